//! Machines made one by one, and what any machine is made of.
//!
//! A machine's domain is defined first: that takes its name and its address. Then come its volumes; then it is
//! defined as complete, and started. One that isn't complete is made from the start, with the address that it
//! has: its host key's private half may be lost. Deleting goes the other way (`delete.rs`).

use crate::Libvirt;
use crate::domain::{Domain, Paths, mac};
use crate::host::Host;
use crate::hypervisor::{DomainSeen, DomainState, Format, PoolSeen, VolumeSeen};
use crate::machinery::Machinery;
use crate::mark::{Group, MachineMark, NetworkMark, Part, Volume, network_name, strange};
use crate::seed::{HostKey, Seed};
use crate::size::Size;
use crate::volumes::{self, GIB};
use hakube_provider::{
    Attempt, ErrorKind, MARK, Machine, MachineRef, MachineSpec, MachineState, Result, SshServer,
};
use std::net::{IpAddr, Ipv4Addr};
use uuid::Uuid;

/// The port of the images' ssh server.
const SSH_PORT: u16 = 22;
/// The tail of a console, in bytes.
const CONSOLE_TAIL: u64 = 8192;

/// A machine of some cluster's.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its name.
    pub(crate) name: String,
    /// What it is doing.
    pub(crate) state: DomainState,
    /// What it says of itself.
    pub(crate) mark: MachineMark,
}

impl Found {
    /// Whether it is all there and runs, or is about to stop.
    pub(crate) fn is_up(&self) -> bool {
        let stopped = matches!(self.state, DomainState::Off | DomainState::Paused);
        self.mark.complete && !stopped
    }

    /// In the caller's words.
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

pub(crate) fn machine_attempt(action: &'static str, machine: &MachineRef) -> Attempt {
    Attempt::new(
        action,
        format!("machine {} in {}", machine.name, machine.zone),
    )
}

/// What a domain says of itself, if it is any cluster's.
pub(crate) fn read(attempt: &Attempt, domain: DomainSeen) -> Result<Option<Found>> {
    let mark = MachineMark::from_xml(&domain.xml).map_err(|fault| attempt.failed(&fault))?;
    Ok(mark.map(|mark| Found {
        name: domain.name,
        state: domain.state,
        mark,
    }))
}

/// The name of a data disk. A group's machines are all alike, and so are their disks: named for their machine,
/// made with it and gone with it.
fn data_disk_name(spec: &MachineSpec, group: Option<&Group>) -> Option<String> {
    let disk = spec.data_disk.as_ref()?;
    Some(match group {
        Some(_) => format!("{}-{}", spec.machine.name, disk.device),
        None => disk.name.clone(),
    })
}

impl Libvirt {
    /// See [`hakube_provider::Provider::ensure_machine`]; a group's machine also knows its group.
    pub(crate) async fn machine_exists(
        &self,
        spec: &MachineSpec,
        group: Option<Group>,
    ) -> Result<Machine> {
        let attempt = machine_attempt("create", &spec.machine);
        let host = self.host_of(&attempt, &spec.machine.zone)?;
        match self
            .our_domain(host, &attempt, &spec.cluster, &spec.machine)
            .await?
        {
            Some(found) if found.mark.complete => self.started(host, &spec.machine, &found).await,
            unfinished => {
                // Its deletion was cut short, before its power was.
                if let Some(found) = unfinished
                    .as_ref()
                    .filter(|it| it.state != DomainState::Off)
                {
                    self.off(host, &attempt, &found.name).await?;
                }
                self.make(host, &attempt, spec, group, unfinished).await?;
                self.machine_now(&spec.machine).await?.ok_or_else(|| {
                    attempt.error(
                        ErrorKind::Transient { retry_after: None },
                        "it is gone again, a moment after it was made",
                    )
                })
            }
        }
    }

    /// The cluster's machine of that name; somebody else's is an error.
    async fn our_domain(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        machine: &MachineRef,
    ) -> Result<Option<Found>> {
        let name = machine.name.clone();
        let found = host
            .ask(attempt, move |hypervisor| hypervisor.domain(&name))
            .await?;
        let Some(found) = found else { return Ok(None) };
        let Some(found) = read(attempt, found)? else {
            return Err(strange(attempt, cluster, None));
        };
        if found.mark.cluster != cluster {
            return Err(strange(attempt, cluster, Some(&found.mark.cluster)));
        }
        if found.mark.zone != machine.zone {
            let message = format!("it is there, in zone {} of the same host", found.mark.zone);
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
                "its boot disk is to have {} GiB, and the image has {}",
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
            // From the choice of an address until it is taken, nobody else chooses.
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
                host.ask(attempt, move |hypervisor| hypervisor.define_domain(&taken))
                    .await?;
            }
            address
        };
        let key = HostKey::new(attempt)?;
        let seed = self.seed(attempt, spec, address, &key)?;
        self.fill(host, attempt, spec, &paths, &base, seed).await?;
        let complete = describe(&draft(address, key.public, true));
        let name = spec.machine.name.clone();
        host.ask(attempt, move |hypervisor| {
            hypervisor.autostart_domain(&name)
        })
        .await?;
        host.ask(attempt, move |hypervisor| {
            hypervisor.define_domain(&complete)
        })
        .await?;
        let name = spec.machine.name.clone();
        host.ask(&attempt.to("start"), move |hypervisor| {
            hypervisor.start_domain(&name)
        })
        .await
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
            attempt.error(
                ErrorKind::Fatal,
                format!("its seed can't be written: {error}"),
            )
        })
    }

    /// All volumes of a machine that never ran. Its data disk, if there is one already, stays as it is.
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
        self.remade(host, attempt, boot, over).await?;
        if let Some((volume, disk)) = layout.data.as_ref().zip(spec.data_disk.as_ref()) {
            let (data, format) = (name(volume), volumes::data_format(disk));
            let empty = volumes::empty(&data, format, disk.size_gb * GIB);
            if self.volume_on(host, attempt, &data).await?.is_none() {
                self.create_volume(host, attempt, empty).await?;
            }
        }
        let (seeded, length) = (name(&layout.seed), seed.len() as u64);
        let empty = volumes::empty(&seeded, Format::Raw, length);
        self.remade(host, attempt, seeded.clone(), empty).await?;
        let pool = self.config.pool.clone();
        host.move_bytes(length, attempt, move |hypervisor| {
            hypervisor.upload(&pool, &seeded, &mut seed.as_slice(), length)
        })
        .await?;
        let log = name(&layout.log);
        let empty = volumes::empty(&log, Format::Raw, 0);
        self.remade(host, attempt, log, empty).await
    }

    /// The machine, running or on its way there.
    async fn started(&self, host: &Host, reference: &MachineRef, found: &Found) -> Result<Machine> {
        let attempt = machine_attempt("start", reference);
        let name = reference.name.clone();
        match found.state {
            DomainState::Running => return Ok(found.machine()),
            DomainState::Stopping => {
                return Err(attempt.error(
                    ErrorKind::Transient { retry_after: None },
                    "it is being stopped",
                ));
            }
            DomainState::Paused => {
                host.ask(&attempt, move |hypervisor| hypervisor.resume_domain(&name))
                    .await?;
            }
            DomainState::Off => {
                let hosts = self.answering().await?;
                // Without it no domain starts, with its host neither.
                let _alone = self.agreeing.lock().await;
                let agreed = self.agreed(&found.mark.cluster, &hosts).await?;
                self.network_on(host, &agreed.mark).await?;
                host.ask(&attempt, move |hypervisor| hypervisor.start_domain(&name))
                    .await?;
            }
        }
        let started = Found {
            state: DomainState::Running,
            ..found.clone()
        };
        Ok(started.machine())
    }

    /// A machine of any cluster's by name and zone.
    pub(crate) async fn found(
        &self,
        attempt: &Attempt,
        reference: &MachineRef,
    ) -> Result<Option<Found>> {
        let host = self.host_of(attempt, &reference.zone)?;
        let name = reference.name.clone();
        let found = host
            .ask(attempt, move |hypervisor| hypervisor.domain(&name))
            .await?;
        let found = match found {
            Some(found) => read(attempt, found)?,
            None => None,
        };
        Ok(found.filter(|found| found.mark.zone == reference.zone))
    }

    /// See [`hakube_provider::Provider::machine`].
    pub(crate) async fn machine_now(&self, reference: &MachineRef) -> Result<Option<Machine>> {
        let found = self
            .found(&machine_attempt("read", reference), reference)
            .await?;
        Ok(found.map(|found| found.machine()))
    }

    /// See [`hakube_provider::Provider::ssh_server`].
    pub(crate) async fn ssh_server_now(&self, reference: &MachineRef) -> Result<Option<SshServer>> {
        let found = self
            .found(&machine_attempt("read", reference), reference)
            .await?;
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
        let attempt = machine_attempt("read the console of", reference);
        let Some(found) = self.found(&attempt, reference).await? else {
            return Err(attempt.error(ErrorKind::Invalid, "there is no such machine"));
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
        let capabilities = host
            .ask(attempt, |hypervisor| hypervisor.capabilities())
            .await?;
        Machinery::choose(&capabilities, self.config.virtualization)
            .map_err(|fault| attempt.failed(&fault))?
            .map_err(|words| {
                let message = format!("{}: {words}", host.uri);
                let error = attempt.error(ErrorKind::Invalid, message);
                error.with_hint("processors that can must be allowed to, in the host's firmware; emulated guests run everywhere, slowly")
            })
    }

    /// The lowest address of the zone that nobody has, as far as can be known.
    async fn free_address(
        &self,
        attempt: &Attempt,
        zone: &str,
        agreed: &NetworkMark,
        hosts: &[&Host],
    ) -> Result<Ipv4Addr> {
        let zones = self.zone_names();
        let mut taken = self.machines_of_all(hosts).await?;
        taken.extend(agreed.known.values().flatten());
        let endpoints = self.networks_of_all(hosts).await?.into_iter();
        taken.extend(endpoints.filter_map(|mark| Some(mark.endpoint?.1)));
        let mut strangers = Vec::new();
        for address in self.config.addresses.free(&zones, zone, &taken) {
            match self.neighbours.at(address).await {
                None => return Ok(address),
                Some(mac) => strangers.push(format!("{address} is in use by {mac}")),
            }
        }
        let plan = &self.config.addresses;
        let part = plan.part(&zones, zone);
        let part = part.map_or_else(
            || "none".to_owned(),
            |part| format!("{}-{}", part.start(), part.end()),
        );
        let mut message = format!(
            "no address is free: of {}-{}, zone {zone} has {part}",
            plan.first, plan.last
        );
        for stranger in strangers {
            message.push_str("; ");
            message.push_str(&stranger);
        }
        Err(attempt
            .error(ErrorKind::Quota, message)
            .with_hint("give the cluster a longer range that nothing else uses"))
    }
}

/// A machine's volume.
pub(crate) fn volume_of(zone: &str, name: &str, part: Part) -> Volume {
    Volume::Machine {
        zone: zone.to_owned(),
        name: name.to_owned(),
        part,
    }
}

/// A machine's volumes.
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

    /// Where they are: a volume that is a file is in its pool's directory, under its name.
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
