//! Machines made one by one, and what any machine is made of.

use crate::Gce;
use crate::error::Fault;
use crate::link::name_in;
use crate::mark::{labels, ours};
use crate::operation::{change, look};
use crate::ssh;
use google_cloud_compute_v1::model;
use google_cloud_compute_v1::model::access_config::Type as NatType;
use google_cloud_compute_v1::model::instance::Status;
use google_cloud_compute_v1::model::scheduling::{
    InstanceTerminationAction, OnHostMaintenance, ProvisioningModel,
};
use hakube_provider::{
    Attempt, DiskSpec, ErrorKind, ExternalAddress, Machine, MachineRef, MachineSpec, MachineState,
    ProviderError, Result,
};
use ipnet::IpNet;
use std::net::IpAddr;

/// The name of the access configs that we make. Others are called otherwise (`external-nat` by gcloud):
/// read it back before deleting one.
const ACCESS_CONFIG: &str = "External NAT";

/// gcloud's short words for scopes that aren't the scope's own last part. Source:
/// <https://cloud.google.com/sdk/gcloud/reference/compute/instances/create#--scopes>.
const SCOPES: [(&str, &str); 9] = [
    ("compute-ro", "compute.readonly"),
    ("compute-rw", "compute"),
    ("logging-write", "logging.write"),
    ("monitoring-write", "monitoring.write"),
    ("service-control", "servicecontrol"),
    ("service-management", "service.management.readonly"),
    ("storage-full", "devstorage.full_control"),
    ("storage-ro", "devstorage.read_only"),
    ("storage-rw", "devstorage.read_write"),
];

/// The tail of a console, in characters.
const CONSOLE_TAIL: usize = 8192;

impl Gce {
    /// See [`hakube_provider::Provider::ensure_machine`].
    pub(crate) async fn machine_exists(&self, spec: &MachineSpec) -> Result<Machine> {
        let attempt = machine_attempt("create", &spec.machine);
        match self.instance(&spec.machine).await? {
            Some(found) => {
                let found = ours(&attempt, &spec.cluster, found)?;
                self.started(&spec.machine, found).await
            }
            None => self.make_machine(&attempt, spec).await,
        }
    }

    async fn make_machine(&self, attempt: &Attempt, spec: &MachineSpec) -> Result<Machine> {
        let (external, alias, ()) = futures::try_join!(
            self.access_config(&spec.external),
            self.alias_range(spec.alias.as_deref()),
            self.data_disk_exists(spec)
        )?;
        let interface = self
            .network_interface(spec, external)
            .set_alias_ip_ranges(alias);
        let insert = self
            .clients
            .instances()
            .await?
            .insert()
            .set_project(&self.config.project)
            .set_zone(&spec.machine.zone)
            .set_body(self.instance_body(spec, interface));
        self.insert(attempt, change!(insert)).await?;
        match self.instance(&spec.machine).await? {
            Some(made) => machine(attempt, &made),
            None => Err(attempt.error(
                ErrorKind::Transient { retry_after: None },
                "it is gone again, a moment after it was made",
            )),
        }
    }

    /// The machine, running or on its way there.
    async fn started(&self, reference: &MachineRef, found: model::Instance) -> Result<Machine> {
        let attempt = machine_attempt("start", reference);
        let seen = machine(&attempt, &found)?;
        match seen.state {
            MachineState::Starting | MachineState::Running => Ok(seen),
            MachineState::Stopping => Err(attempt.error(
                ErrorKind::Transient { retry_after: None },
                "it is being stopped or deleted",
            )),
            MachineState::Stopped => {
                let start = self
                    .clients
                    .instances()
                    .await?
                    .start()
                    .set_project(&self.config.project)
                    .set_zone(&reference.zone)
                    .set_instance(&reference.name);
                self.run(&attempt, change!(start)).await?;
                // An ephemeral address is another one after a stop.
                self.machine_now(reference)
                    .await?
                    .ok_or_else(|| vanished(&attempt))
            }
        }
    }

    /// See [`hakube_provider::Provider::machine`].
    pub(crate) async fn machine_now(&self, reference: &MachineRef) -> Result<Option<Machine>> {
        let attempt = machine_attempt("read", reference);
        self.instance(reference)
            .await?
            .map(|found| machine(&attempt, &found))
            .transpose()
    }

    /// See [`hakube_provider::Provider::console`].
    pub(crate) async fn console_tail(&self, reference: &MachineRef) -> Result<String> {
        let attempt = machine_attempt("read the console of", reference);
        let output = self
            .clients
            .instances()
            .await?
            .get_serial_port_output()
            .set_project(&self.config.project)
            .set_zone(&reference.zone)
            .set_instance(&reference.name)
            .send()
            .await
            .map_err(|error| attempt.failed(&Fault::from(error)))?;
        Ok(tail(output.contents.as_deref().unwrap_or_default()).to_owned())
    }

    pub(crate) async fn instance(&self, reference: &MachineRef) -> Result<Option<model::Instance>> {
        let attempt = machine_attempt("read", reference);
        let get = self
            .clients
            .instances()
            .await?
            .get()
            .set_project(&self.config.project)
            .set_zone(&reference.zone)
            .set_instance(&reference.name);
        look(&attempt, get.send()).await
    }

    async fn data_disk_exists(&self, spec: &MachineSpec) -> Result<()> {
        let Some(disk) = &spec.data_disk else {
            return Ok(());
        };
        let zone = &spec.machine.zone;
        let attempt = Attempt::new("create", format!("disk {} in {zone}", disk.name));
        let client = self.clients.disks().await?;
        let get = client
            .get()
            .set_project(&self.config.project)
            .set_zone(zone)
            .set_disk(&disk.name);
        if let Some(found) = look(&attempt, get.send()).await? {
            return ours(&attempt, &spec.cluster, found).map(drop);
        }
        let body = model::Disk::new()
            .set_name(&disk.name)
            .set_labels(labels(&spec.cluster, &spec.labels))
            .set_size_gb(size_gb(disk.size_gb))
            .set_type(self.zonal_link(zone, "diskTypes", &disk.kind));
        let insert = client
            .insert()
            .set_project(&self.config.project)
            .set_zone(zone)
            .set_body(body);
        self.insert(&attempt, change!(insert)).await
    }

    /// The access config that gives a machine that address; reservations are looked up.
    pub(crate) async fn access_config(
        &self,
        external: &ExternalAddress,
    ) -> Result<Option<model::AccessConfig>> {
        Ok(match external {
            ExternalAddress::None => None,
            ExternalAddress::Ephemeral => Some(access_config(None)),
            ExternalAddress::Reserved(name) => {
                Some(access_config(Some(self.reserved(name).await?.address)))
            }
        })
    }

    /// The alias range that is the reserved address of that name.
    async fn alias_range(&self, name: Option<&str>) -> Result<Option<model::AliasIpRange>> {
        let Some(name) = name else {
            return Ok(None);
        };
        Ok(Some(alias_range(self.reserved(name).await?.address)))
    }

    fn instance_body(
        &self,
        spec: &MachineSpec,
        interface: model::NetworkInterface,
    ) -> model::Instance {
        let zone = &spec.machine.zone;
        let data_disk = spec.data_disk.iter().map(|disk| self.attached(zone, disk));
        let kind = self.zonal_link(zone, "diskTypes", &spec.boot_disk_kind);
        let disks: Vec<_> = [boot_disk(spec, kind)]
            .into_iter()
            .chain(data_disk)
            .collect();
        model::Instance::new()
            .set_name(&spec.machine.name)
            .set_machine_type(self.zonal_link(zone, "machineTypes", &spec.machine_type))
            .set_labels(labels(&spec.cluster, &spec.labels))
            .set_tags(tags(spec))
            .set_disks(disks)
            .set_network_interfaces([interface])
            .set_metadata(metadata(spec))
            .set_scheduling(scheduling(spec))
            .set_service_accounts(service_account(spec))
            .set_or_clear_min_cpu_platform(spec.min_cpu_platform.clone())
            .set_shielded_instance_config(shielded())
    }

    fn attached(&self, zone: &str, disk: &DiskSpec) -> model::AttachedDisk {
        model::AttachedDisk::new()
            .set_source(self.zonal_link(zone, "disks", &disk.name))
            .set_device_name(&disk.device)
            .set_auto_delete(false)
    }

    /// The one network interface of a machine.
    pub(crate) fn network_interface(
        &self,
        spec: &MachineSpec,
        external: Option<model::AccessConfig>,
    ) -> model::NetworkInterface {
        let interface = model::NetworkInterface::new()
            .set_network(self.network_link(&spec.network))
            .set_access_configs(external);
        match &spec.subnetwork {
            Some(name) => interface.set_subnetwork(self.subnetwork_link(name)),
            None => interface,
        }
    }
}

/// An attempt on a machine.
pub(crate) fn machine_attempt(action: &'static str, reference: &MachineRef) -> Attempt {
    Attempt::new(
        action,
        format!("machine {} in {}", reference.name, reference.zone),
    )
}

fn vanished(attempt: &Attempt) -> ProviderError {
    attempt.error(
        ErrorKind::Transient { retry_after: None },
        "it was deleted in the meantime",
    )
}

/// The access config of that address, or of any.
pub(crate) fn access_config(address: Option<IpAddr>) -> model::AccessConfig {
    model::AccessConfig::new()
        .set_name(ACCESS_CONFIG)
        .set_type(NatType::OneToOneNat)
        .set_or_clear_nat_ip(address.map(|address| address.to_string()))
}

/// The range of an interface that is this address alone. The guest agent of Google's images makes the machine
/// take what comes for it.
pub(crate) fn alias_range(address: IpAddr) -> model::AliasIpRange {
    model::AliasIpRange::new().set_ip_cidr_range(IpNet::from(address).to_string())
}

/// The addresses of an interface's alias ranges that are one address each.
pub(crate) fn aliases(interface: &model::NetworkInterface) -> Vec<IpAddr> {
    let ranges = interface.alias_ip_ranges.iter();
    ranges.filter_map(alias_address).collect()
}

/// The address that a range is: `10.0.0.7/32`, or the address alone.
pub(crate) fn alias_address(range: &model::AliasIpRange) -> Option<IpAddr> {
    let range = range.ip_cidr_range.as_deref()?;
    if let Ok(address) = range.parse() {
        return Some(address);
    }
    let range: IpNet = range.parse().ok()?;
    (range.prefix_len() == range.max_prefix_len()).then(|| range.addr())
}

/// The boot disk: made from the image, gone with the machine, marked in case it outlives it. `kind` is its
/// type as the place wants it: a link for an instance, a name for a template.
pub(crate) fn boot_disk(spec: &MachineSpec, kind: String) -> model::AttachedDisk {
    model::AttachedDisk::new()
        .set_boot(true)
        .set_auto_delete(true)
        .set_initialize_params(
            model::AttachedDiskInitializeParams::new()
                .set_source_image(&spec.image)
                .set_disk_size_gb(size_gb(spec.boot_disk_gb))
                .set_disk_type(kind)
                .set_labels(labels(&spec.cluster, &spec.labels)),
        )
}

/// Compute Engine counts disks in signed numbers.
pub(crate) fn size_gb(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(crate) fn tags(spec: &MachineSpec) -> model::Tags {
    model::Tags::new().set_items(&spec.tags)
}

pub(crate) fn metadata(spec: &MachineSpec) -> model::Metadata {
    let user_data = ("user-data", spec.user_data.clone());
    let login = spec.login.iter().flat_map(ssh::metadata);
    let items = std::iter::once(user_data).chain(login);
    model::Metadata::new().set_items(
        items.map(|(key, value)| model::metadata::Items::new().set_key(key).set_value(value)),
    )
}

/// A spot machine can neither be moved nor started again by Compute Engine. It is what preemptible machines
/// became: as cheap, and not over after a day. One that is taken back is stopped, and keeps its disks.
pub(crate) fn scheduling(spec: &MachineSpec) -> model::Scheduling {
    let maintenance = if spec.preemptible {
        OnHostMaintenance::Terminate
    } else {
        OnHostMaintenance::Migrate
    };
    let scheduling = model::Scheduling::new()
        .set_preemptible(spec.preemptible)
        .set_automatic_restart(!spec.preemptible)
        .set_on_host_maintenance(maintenance);
    if spec.preemptible {
        scheduling
            .set_provisioning_model(ProvisioningModel::Spot)
            .set_instance_termination_action(InstanceTerminationAction::Stop)
    } else {
        scheduling
    }
}

/// None where nothing may be asked for: Compute Engine wants scopes with an account.
pub(crate) fn service_account(spec: &MachineSpec) -> Option<model::ServiceAccount> {
    let email = spec.service_account.as_deref().unwrap_or("default");
    (!spec.scopes.is_empty()).then(|| {
        model::ServiceAccount::new()
            .set_email(email)
            .set_scopes(spec.scopes.iter().map(|scope| scope_url(scope)))
    })
}

/// A scope as Compute Engine has it, of gcloud's word for it.
fn scope_url(scope: &str) -> String {
    if scope.starts_with("https://") {
        return scope.to_owned();
    }
    let known = SCOPES.iter().find(|(word, _)| *word == scope);
    let last = known.map_or(scope, |(_, last)| last);
    format!("https://www.googleapis.com/auth/{last}")
}

pub(crate) fn shielded() -> model::ShieldedInstanceConfig {
    model::ShieldedInstanceConfig::new()
        .set_enable_secure_boot(true)
        .set_enable_vtpm(true)
        .set_enable_integrity_monitoring(true)
}

/// An instance as the provider's vocabulary has it.
pub(crate) fn machine(attempt: &Attempt, found: &model::Instance) -> Result<Machine> {
    let (Some(name), Some(zone)) = (&found.name, &found.zone) else {
        return Err(attempt.error(ErrorKind::Fatal, "Compute Engine left out its name or zone"));
    };
    let interface = found.network_interfaces.first();
    let parse = |text: &String| text.parse::<IpAddr>().ok();
    Ok(Machine {
        name: name.clone(),
        zone: name_in(zone).to_owned(),
        state: state(found.status.as_ref()),
        internal_address: interface.and_then(|nic| nic.network_ip.as_ref().and_then(parse)),
        external_address: interface
            .and_then(|nic| nic.access_configs.first()?.nat_ip.as_ref().and_then(parse)),
        alias_addresses: interface.map(aliases).unwrap_or_default(),
        labels: found.labels.clone().into_iter().collect(),
    })
}

fn state(status: Option<&Status>) -> MachineState {
    match status {
        Some(Status::Running | Status::Repairing) => MachineState::Running,
        Some(
            Status::Stopping | Status::PendingStop | Status::Suspending | Status::Deprovisioning,
        ) => MachineState::Stopping,
        Some(Status::Stopped | Status::Terminated | Status::Suspended) => MachineState::Stopped,
        _ => MachineState::Starting,
    }
}

/// The last part of a text, from the start of a line where one begins in it.
fn tail(text: &str) -> &str {
    let Some((start, _)) = text.char_indices().rev().nth(CONSOLE_TAIL - 1) else {
        return text;
    };
    if start == 0 {
        return text;
    }
    let tail = &text[start..];
    tail.split_once('\n').map_or(tail, |(_, lines)| lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_range_is_an_address_only_if_it_has_no_other() {
        let of = |range| alias_address(&model::AliasIpRange::new().set_ip_cidr_range(range));
        let address = "10.0.0.7".parse().ok();
        assert_eq!(of("10.0.0.7/32"), address);
        assert_eq!(of("10.0.0.7"), address);
        assert_eq!(of("10.4.0.0/24"), None);
    }

    #[test]
    fn a_long_console_is_cut_at_a_line() {
        assert_eq!(tail("short\n"), "short\n");
        let line = "boot message ü\n";
        let long = line.repeat(2000);
        let cut = tail(&long);
        assert!(cut.chars().count() < CONSOLE_TAIL);
        assert!(cut.starts_with(line) && long.ends_with(cut));
    }
}
