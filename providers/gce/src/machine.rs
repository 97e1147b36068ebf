//! Machines created individually.

use crate::Gce;
use crate::error::Fault;
use crate::link::name_in;
use crate::mark::{labels, ours};
use crate::operation::{change, look, request};
use crate::properties::{
    boot_disk, metadata, scheduling, service_account, shielded, size_gb, tags,
};
use google_cloud_compute_v1::model;
use google_cloud_compute_v1::model::access_config::Type as NatType;
use google_cloud_compute_v1::model::instance::Status;
use hakube_provider::{
    Attempt, DiskSpec, ErrorKind, ExternalAddress, Machine, MachineRef, MachineSpec, MachineState,
    ProviderError, Result,
};
use ipnet::IpNet;
use std::net::IpAddr;

/// The name of access configs that hakube creates. Others have other names (`external-nat` by
/// gcloud), so read the name before deleting one.
const ACCESS_CONFIG: &str = "External NAT";

/// The length of a console's tail, in characters.
const CONSOLE_TAIL: usize = 8192;

impl Gce {
    /// See [`hakube_provider::Provider::ensure_machine`].
    pub(crate) async fn put_machine(&self, spec: &MachineSpec) -> Result<Machine> {
        let attempt = spec.machine.attempt("create");
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
            self.ensure_data_disk(spec)
        )?;
        let interface = self
            .network_interface(spec, external)
            .set_alias_ip_ranges(alias);
        let insert = request!(self.instances.insert in &spec.machine.zone)
            .set_body(self.instance_body(spec, interface));
        self.insert(attempt, change!(insert)).await?;
        match self.instance(&spec.machine).await? {
            Some(made) => machine(attempt, &made),
            None => Err(attempt.error(
                ErrorKind::TRANSIENT,
                "it disappeared right after its creation",
            )),
        }
    }

    /// Ensures that the machine runs or is starting.
    async fn started(&self, reference: &MachineRef, found: model::Instance) -> Result<Machine> {
        let attempt = reference.attempt("start");
        let seen = machine(&attempt, &found)?;
        match seen.state {
            MachineState::Starting | MachineState::Running => Ok(seen),
            MachineState::Stopping => {
                Err(attempt.error(ErrorKind::TRANSIENT, "it is being stopped or deleted"))
            }
            MachineState::Stopped => {
                let start =
                    request!(self.instances.start in &reference.zone).set_instance(&reference.name);
                self.run(&attempt, change!(start)).await?;
                // An ephemeral address changes after a stop.
                self.machine_now(reference)
                    .await?
                    .ok_or_else(|| vanished(&attempt))
            }
        }
    }

    /// See [`hakube_provider::Provider::machine`].
    pub(crate) async fn machine_now(&self, reference: &MachineRef) -> Result<Option<Machine>> {
        let attempt = reference.attempt("read");
        self.instance(reference)
            .await?
            .map(|found| machine(&attempt, &found))
            .transpose()
    }

    /// See [`hakube_provider::Provider::console`].
    pub(crate) async fn console_tail(&self, reference: &MachineRef) -> Result<String> {
        let attempt = reference.attempt("read the console of");
        let output = request!(self.instances.get_serial_port_output in &reference.zone)
            .set_instance(&reference.name)
            .send()
            .await
            .map_err(|error| attempt.failed(&Fault::from(error)))?;
        Ok(tail(output.contents.as_deref().unwrap_or_default()).to_owned())
    }

    pub(crate) async fn instance(&self, reference: &MachineRef) -> Result<Option<model::Instance>> {
        let attempt = reference.attempt("read");
        let get = request!(self.instances.get in &reference.zone).set_instance(&reference.name);
        look(&attempt, get.send()).await
    }

    async fn ensure_data_disk(&self, spec: &MachineSpec) -> Result<()> {
        let Some(disk) = &spec.data_disk else {
            return Ok(());
        };
        let zone = &spec.machine.zone;
        let attempt = Attempt::new("create", format!("disk {} in {zone}", disk.name));
        let get = request!(self.disks.get in zone).set_disk(&disk.name);
        if let Some(found) = look(&attempt, get.send()).await? {
            return ours(&attempt, &spec.cluster, found).map(drop);
        }
        let body = model::Disk::new()
            .set_name(&disk.name)
            .set_labels(labels(&spec.cluster, &spec.labels))
            .set_size_gb(size_gb(disk.size_gb))
            .set_type(self.zonal_link(zone, "diskTypes", &disk.kind));
        let insert = request!(self.disks.insert in zone).set_body(body);
        self.insert(&attempt, change!(insert)).await
    }

    /// The access config for an external address. Resolves reservations.
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

    /// The alias range of the reserved address of this name.
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

    /// A machine's only network interface.
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

fn vanished(attempt: &Attempt) -> ProviderError {
    attempt.error(ErrorKind::TRANSIENT, "it was deleted in the meantime")
}

/// The access config with this address, or with any.
pub(crate) fn access_config(address: Option<IpAddr>) -> model::AccessConfig {
    model::AccessConfig::new()
        .set_name(ACCESS_CONFIG)
        .set_type(NatType::OneToOneNat)
        .set_or_clear_nat_ip(address.map(|address| address.to_string()))
}

/// The alias range that contains only this address. The guest agent of Google's images makes the
/// machine accept traffic for it.
pub(crate) fn alias_range(address: IpAddr) -> model::AliasIpRange {
    model::AliasIpRange::new().set_ip_cidr_range(IpNet::from(address).to_string())
}

/// The addresses of an interface's single-address alias ranges.
pub(crate) fn aliases(interface: &model::NetworkInterface) -> Vec<IpAddr> {
    let ranges = interface.alias_ip_ranges.iter();
    ranges.filter_map(alias_address).collect()
}

/// The address of a single-address range: `10.0.0.7/32`, or the address alone.
pub(crate) fn alias_address(range: &model::AliasIpRange) -> Option<IpAddr> {
    let range = range.ip_cidr_range.as_deref()?;
    if let Ok(address) = range.parse() {
        return Some(address);
    }
    let range: IpNet = range.parse().ok()?;
    (range.prefix_len() == range.max_prefix_len()).then(|| range.addr())
}

/// Converts an instance to the provider API's type.
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

/// The end of a text, starting at a line break if there is one.
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
    fn only_a_single_address_range_is_an_address() {
        let of = |range| alias_address(&model::AliasIpRange::new().set_ip_cidr_range(range));
        let address = "10.0.0.7".parse().ok();
        assert_eq!(of("10.0.0.7/32"), address);
        assert_eq!(of("10.0.0.7"), address);
        assert_eq!(of("10.4.0.0/24"), None);
    }

    #[test]
    fn a_long_console_is_cut_at_a_line_break() {
        assert_eq!(tail("short\n"), "short\n");
        let line = "boot message ü\n";
        let long = line.repeat(2000);
        let cut = tail(&long);
        assert!(cut.chars().count() < CONSOLE_TAIL);
        assert!(cut.starts_with(line) && long.ends_with(cut));
    }
}
