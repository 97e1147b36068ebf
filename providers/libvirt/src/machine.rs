//! Machines created individually, and the properties of all machines.
//!
//! A machine's domain is defined first, which claims its name and address. Then its volumes are
//! created. Finally the domain is labelled complete and started. An incomplete machine is recreated
//! from the start with the same address, because its host key's private half may be lost. Deletion
//! works in reverse (`delete.rs`).

use crate::Libvirt;
use crate::domain::{Domain, Paths, mac};
use crate::host::Host;
use crate::hypervisor::{DomainSeen, DomainState, Format, PoolSeen, VolumeSeen};
use crate::machinery::Machinery;
use crate::mark::{Group, MachineMark, network_name, strange};
use crate::seed::{HostKey, Seed};
use crate::size::Size;
use crate::volumes::{self, GIB, Part, Volume};
use hakube_provider::{
    Attempt, ErrorKind, MARK, Machine, MachineRef, MachineSpec, MachineState, Result, SshServer,
};
use std::net::{IpAddr, Ipv4Addr};
use uuid::Uuid;

/// The port of the images' ssh server.
const SSH_PORT: u16 = 22;
/// The length of a console's tail, in bytes.
const CONSOLE_TAIL: u64 = 8192;

/// A machine of any cluster.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) state: DomainState,
    /// Its ownership label and other metadata.
    pub(crate) mark: MachineMark,
}

impl Found {
    /// Whether it is complete and runs or is about to stop.
    pub(crate) fn is_up(&self) -> bool {
        let stopped = matches!(self.state, DomainState::Off | DomainState::Paused);
        self.mark.complete && !stopped
    }

    /// Converts it to the provider API's type.
    pub(crate) fn machine(&self) -> Machine {
        let mark = (MARK.to_owned(), self.mark.cluster.clone());
        Machine {
            name: self.name.clone(),
            zone: self.mark.zone.clone(),
            state: match self.state {
                _ if !self.mark.complete => MachineState::Starting,
                DomainState::Running => MachineState::Running,
                DomainState::Stopping => MachineState::Stopping,
                DomainState::Paused | DomainState::Off => MachineState::Stopped,
            },
            internal_address: Some(IpAddr::V4(self.mark.address)),
            external_address: None,
            alias_addresses: Vec::new(),
            labels: self.mark.labels.clone().into_iter().chain([mark]).collect(),
        }
    }
}

/// Reads a domain's metadata; `None` if it isn't any cluster's.
pub(crate) fn read(attempt: &Attempt, domain: DomainSeen) -> Result<Option<Found>> {
    let mark = MachineMark::from_xml(&domain.xml).map_err(|fault| attempt.failed(&fault))?;
    Ok(mark.map(|mark| Found {
        name: domain.name,
        state: domain.state,
        mark,
    }))
}

/// Reads a domain's metadata. A domain that isn't the cluster's is an error.
pub(crate) fn ours(attempt: &Attempt, cluster: &str, domain: DomainSeen) -> Result<Found> {
    let found = read(attempt, domain)?;
    let whose = found.as_ref().map(|found| found.mark.cluster.clone());
    found
        .filter(|found| found.mark.cluster == cluster)
        .ok_or_else(|| strange(attempt, cluster, whose.as_deref()))
}

/// The name of a data disk. A group's machines are identical, and so are their disks: each is named
/// after its machine, and created and deleted with it.
fn data_disk_name(spec: &MachineSpec, group: Option<&Group>) -> Option<String> {
    let disk = spec.data_disk.as_ref()?;
    Some(match group {
        Some(_) => format!("{}-{}", spec.machine.name, disk.device),
        None => disk.name.clone(),
    })
}

impl Libvirt {
    /// See [`hakube_provider::Provider::ensure_machine`]; also records a group machine's group.
    pub(crate) async fn put_machine(
        &self,
        spec: &MachineSpec,
        group: Option<Group>,
    ) -> Result<Machine> {
        let attempt = spec.machine.attempt("create");
        let host = self.host_of(&attempt, &spec.machine.zone)?;
        match self
            .our_domain(host, &attempt, &spec.cluster, &spec.machine)
            .await?
        {
            Some(found) if found.mark.complete => self.started(host, &spec.machine, &found).await,
            unfinished => {
                // Its deletion was interrupted before it was powered off.
                if let Some(found) = unfinished
                    .as_ref()
                    .filter(|it| it.state != DomainState::Off)
                {
                    host.destroy_domain(&attempt, &found.name).await?;
                }
                self.make(host, &attempt, spec, group, unfinished).await?;
                self.machine_now(&spec.machine).await?.ok_or_else(|| {
                    attempt.error(
                        ErrorKind::TRANSIENT,
                        "it disappeared right after its creation",
                    )
                })
            }
        }
    }

    /// The cluster's machine of this name. A machine that isn't the cluster's is an error.
    async fn our_domain(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        machine: &MachineRef,
    ) -> Result<Option<Found>> {
        let Some(found) = host.domain(attempt, &machine.name).await? else {
            return Ok(None);
        };
        let found = ours(attempt, cluster, found)?;
        if found.mark.zone != machine.zone {
            let message = format!("it exists in zone {} of the same host", found.mark.zone);
            return Err(attempt.error(ErrorKind::Conflict, message));
        }
        Ok(Some(found))
    }

    async fn make(
        &self,
        host: &Host,
        attempt: &Attempt,
        spec: &MachineSpec,
        group: Option<Group>,
        unfinished: Option<Found>,
    ) -> Result<()> {
        let size: Size = spec
            .machine_type
            .parse()
            .map_err(|words: String| attempt.error(ErrorKind::Invalid, words))?;
        let pool = self.pool_of(host, attempt).await?;
        let machinery = self.machinery_of(host, attempt).await?;
        let (base, image) = self.image_on(host, spec).await?;
        let boot_size = spec.boot_disk_gb * GIB;
        if base.capacity > boot_size {
            let message = format!(
                "its boot disk has {} GiB, but the image needs {} GiB",
                spec.boot_disk_gb,
                base.capacity.div_ceil(GIB)
            );
            return Err(attempt.error(ErrorKind::Invalid, message));
        }
        let data_disk = data_disk_name(spec, group.as_ref());
        let draft = |address, host_key, complete| MachineMark {
            cluster: spec.cluster.clone(),
            zone: spec.machine.zone.clone(),
            address,
            host_key,
            image: image.clone(),
            complete,
            group: group.clone(),
            data_disk: data_disk.clone(),
            labels: spec.labels.clone(),
        };
        let paths = Layout::of(spec, data_disk.as_deref());
        let describe = |mark: &MachineMark| {
            Domain {
                name: &spec.machine.name,
                size,
                mark,
                machinery: &machinery,
                firmware: &self.config.firmware,
                network: &network_name(&spec.cluster),
                paths: paths.at(&pool, spec),
            }
            .xml()
        };
        let address = {
            let hosts = self.answering().await?;
            // Locked until the address is claimed, so that nothing else chooses it.
            let _alone = self.agreeing.lock().await;
            let mut agreed = self.agreed(&spec.cluster, &hosts).await?;
            let zone = &spec.machine.zone;
            agreed.confirm(attempt, host, zone)?;
            let address = match &unfinished {
                Some(found) => found.mark.address,
                None => {
                    self.free_address(attempt, zone, &agreed.mark, &hosts)
                        .await?
                }
            };
            let known = agreed.mark.known.entry(zone.clone()).or_default();
            known.insert(address);
            self.network_for(host, &agreed, &hosts).await?;
            if unfinished.is_none() {
                let taken = describe(&draft(address, String::new(), false));
                host.define_domain(attempt, &taken).await?;
            }
            address
        };
        let key = HostKey::new(attempt)?;
        let seed = self.seed(attempt, spec, address, &key)?;
        self.fill(host, attempt, spec, &paths, &base, seed).await?;
        let complete = describe(&draft(address, key.public, true));
        let name = &spec.machine.name;
        host.autostart_domain(attempt, name).await?;
        host.define_domain(attempt, &complete).await?;
        host.start_domain(&attempt.to("start"), name).await
    }

    fn seed(
        &self,
        attempt: &Attempt,
        spec: &MachineSpec,
        address: Ipv4Addr,
        host_key: &HostKey,
    ) -> Result<Vec<u8>> {
        let seed = Seed {
            instance: &Uuid::new_v4().to_string(),
            name: &spec.machine.name,
            mac: &mac(&spec.cluster, &spec.machine.name, address),
            address,
            plan: &self.config.addresses,
            user_data: &spec.user_data,
            login: spec.login.as_ref(),
            host_key,
        };
        seed.disk().map_err(|error| {
            attempt.error(ErrorKind::Fatal, format!("can't write its seed: {error}"))
        })
    }

    /// Creates all volumes of a machine that has never run. Keeps an existing data disk.
    async fn fill(
        &self,
        host: &Host,
        attempt: &Attempt,
        spec: &MachineSpec,
        layout: &Layout,
        base: &VolumeSeen,
        seed: Vec<u8>,
    ) -> Result<()> {
        let name = |volume: &Volume| volume.name(&spec.cluster);
        let boot = name(&layout.boot);
        let over = volumes::over(&boot, spec.boot_disk_gb * GIB, base);
        self.remade(host, attempt, &boot, &over).await?;
        if let Some((volume, disk)) = layout.data.as_ref().zip(spec.data_disk.as_ref()) {
            let (data, format) = (name(volume), volumes::data_format(disk));
            let empty = volumes::empty(&data, format, disk.size_gb * GIB);
            if self.volume_on(host, attempt, &data).await?.is_none() {
                self.create_volume(host, attempt, &empty).await?;
            }
        }
        let (seeded, length) = (name(&layout.seed), seed.len() as u64);
        let empty = volumes::empty(&seeded, Format::Raw, length);
        self.remade(host, attempt, &seeded, &empty).await?;
        let pool = self.config.pool.clone();
        host.move_bytes(length, attempt, move |hypervisor| {
            hypervisor.upload(&pool, &seeded, &mut seed.as_slice(), length)
        })
        .await?;
        let log = name(&layout.log);
        let empty = volumes::empty(&log, Format::Raw, 0);
        self.remade(host, attempt, &log, &empty).await
    }

    /// Ensures that the machine runs.
    async fn started(&self, host: &Host, reference: &MachineRef, found: &Found) -> Result<Machine> {
        let attempt = reference.attempt("start");
        let name = &reference.name;
        match found.state {
            DomainState::Running => return Ok(found.machine()),
            DomainState::Stopping => {
                return Err(attempt.error(ErrorKind::TRANSIENT, "it is being stopped"));
            }
            DomainState::Paused => {
                host.resume_domain(&attempt, name).await?;
            }
            DomainState::Off => {
                let hosts = self.answering().await?;
                // Without the network no domain starts, not even by autostart.
                let _alone = self.agreeing.lock().await;
                let agreed = self.agreed(&found.mark.cluster, &hosts).await?;
                self.network_on(host, &agreed.mark).await?;
                host.start_domain(&attempt, name).await?;
            }
        }
        let started = Found {
            state: DomainState::Running,
            ..found.clone()
        };
        Ok(started.machine())
    }

    /// A machine of any cluster, by name and zone.
    pub(crate) async fn found(
        &self,
        attempt: &Attempt,
        reference: &MachineRef,
    ) -> Result<Option<Found>> {
        let host = self.host_of(attempt, &reference.zone)?;
        let found = match host.domain(attempt, &reference.name).await? {
            Some(found) => read(attempt, found)?,
            None => None,
        };
        Ok(found.filter(|found| found.mark.zone == reference.zone))
    }

    /// See [`hakube_provider::Provider::machine`].
    pub(crate) async fn machine_now(&self, reference: &MachineRef) -> Result<Option<Machine>> {
        let found = self.found(&reference.attempt("read"), reference).await?;
        Ok(found.map(|found| found.machine()))
    }

    /// See [`hakube_provider::Provider::ssh_server`].
    pub(crate) async fn ssh_server_now(&self, reference: &MachineRef) -> Result<Option<SshServer>> {
        let found = self.found(&reference.attempt("read"), reference).await?;
        let running = found.filter(|found| {
            found.mark.complete
                && found.state == DomainState::Running
                && !found.mark.host_key.is_empty()
        });
        Ok(running.map(|found| SshServer {
            address: IpAddr::V4(found.mark.address),
            port: SSH_PORT,
            host_keys: vec![found.mark.host_key],
        }))
    }

    /// See [`hakube_provider::Provider::console`].
    pub(crate) async fn console_tail(&self, reference: &MachineRef) -> Result<String> {
        let attempt = reference.attempt("read the console of");
        let Some(found) = self.found(&attempt, reference).await? else {
            return Err(attempt.error(ErrorKind::Invalid, "the machine doesn't exist"));
        };
        let host = self.host_of(&attempt, &reference.zone)?;
        let log = volume_of(&reference.zone, &reference.name, Part::Log(None));
        let log = log.name(&found.mark.cluster);
        let pool = self.config.pool.clone();
        let bytes = host
            .ask(&attempt, move |hypervisor| {
                match hypervisor.volume(&pool, &log)? {
                    Some(_) => hypervisor.tail(&pool, &log, CONSOLE_TAIL),
                    None => Ok(Vec::new()),
                }
            })
            .await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// How the host runs guests.
    pub(crate) async fn machinery_of(&self, host: &Host, attempt: &Attempt) -> Result<Machinery> {
        let capabilities = host.capabilities(attempt).await?;
        Machinery::choose(&capabilities, self.config.virtualization)
            .map_err(|fault| attempt.failed(&fault))?
            .map_err(|words| {
                let message = format!("{}: {words}", host.uri);
                let error = attempt.error(ErrorKind::Invalid, message);
                error.with_hint("enable hardware virtualization in the host's firmware, or use emulated guests, which run everywhere but slowly")
            })
    }
}

pub(crate) fn volume_of(zone: &str, name: &str, part: Part) -> Volume {
    Volume::Machine {
        zone: zone.to_owned(),
        name: name.to_owned(),
        part,
    }
}

struct Layout {
    boot: Volume,
    seed: Volume,
    log: Volume,
    data: Option<Volume>,
}

impl Layout {
    fn of(spec: &MachineSpec, data_disk: Option<&str>) -> Self {
        let MachineRef { name, zone } = &spec.machine;
        Self {
            boot: volume_of(zone, name, Part::Boot),
            seed: volume_of(zone, name, Part::Seed),
            log: volume_of(zone, name, Part::Log(None)),
            data: data_disk.map(|disk| Volume::Data {
                zone: zone.clone(),
                name: disk.to_owned(),
            }),
        }
    }

    /// The volumes' paths: a volume that is a file is in its pool's directory, under its name.
    fn at(&self, pool: &PoolSeen, spec: &MachineSpec) -> Paths {
        let path = |volume: &Volume| format!("{}/{}", pool.path, volume.name(&spec.cluster));
        let data = self.data.as_ref().zip(spec.data_disk.as_ref());
        Paths {
            boot: path(&self.boot),
            seed: path(&self.seed),
            log: path(&self.log),
            data: data.map(|(volume, disk)| {
                (
                    path(volume),
                    volumes::data_format(disk),
                    disk.device.clone(),
                )
            }),
        }
    }
}
