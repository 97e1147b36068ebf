//! All machines of a cloud.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use hakube_local_machine::{DiskId, GuestSpec, Machine, MachineDisk, Runtime};
use hakube_local_net::{Wires, Wiring};
use hakube_yard::{Device, Host, HostSpec, Result, Yard};

use crate::files;
use crate::machine::HostMachine;
use crate::network::Network;

/// The hosts of a yard, by the zones and names of machines.
#[derive(Debug)]
pub(crate) struct Fleet {
    yard: Yard,
    directory: PathBuf,
    layer: PathBuf,
    hosts: Mutex<HashMap<(String, String), Host>>,
    made: AtomicU32,
    network: Mutex<Network>,
    /// Itself, for its machines.
    own: Weak<Self>,
}

/// A host shuts down in two seconds. Some pods' first processes ignore SIGTERM, so one that runs them needs what
/// it is given.
const SHUTDOWN: Duration = Duration::from_secs(30);
/// The longest name of a host, before its number.
const LONGEST: usize = 30;
/// The size of a boot disk without another size.
const USUAL_GIGABYTES: u64 = 10;

impl Fleet {
    pub fn new(yard: Yard, directory: PathBuf, layer: PathBuf) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            yard,
            directory,
            layer,
            hosts: Mutex::default(),
            made: AtomicU32::default(),
            network: Mutex::default(),
            own: Weak::clone(own),
        })
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<(String, String), Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn network(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory of a machine, which outlives the yard.
    pub fn machine_directory(&self, zone: &str, name: &str) -> PathBuf {
        self.directory.join("machines").join(zone).join(name)
    }

    /// The host of a machine that has been booted.
    pub fn host(&self, zone: &str, name: &str) -> Option<Host> {
        self.hosts()
            .get(&(zone.to_owned(), name.to_owned()))
            .cloned()
    }

    /// Boots a machine. Its host is created if it is missing.
    pub fn boot(&self, zone: &str, spec: &GuestSpec) -> Result<()> {
        let devices = self.devices(&spec.disks)?;
        if let Some(host) = self.host(zone, &spec.name) {
            if host.is_on() {
                return Ok(());
            }
            host.set_devices(&devices)?;
            return host.power_on();
        }
        let own = self.machine_directory(zone, &spec.name);
        std::fs::create_dir_all(&own).map_err(io("creating", &own))?;
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let short: String = spec.name.chars().take(LONGEST).collect();
        let mut host = HostSpec::new(format!("{}-{number}", short.trim_end_matches('-')))
            .layer(&self.layer)
            .disk_file(own.join("boot-disk"))
            .disk_mib(spec.boot_disk_gb.unwrap_or(USUAL_GIGABYTES) * 1024)
            .devices(devices);
        for (path, content) in files::of(spec) {
            host = host.file(path, 0o644, content);
        }
        let host = self.yard.boot(&host)?;
        let port = host.port();
        self.hosts()
            .insert((zone.to_owned(), spec.name.clone()), host);
        if let std::net::IpAddr::V4(address) = spec.address {
            self.network().plug(&self.yard, address, port)?;
        }
        Ok(())
    }

    /// Deletes a machine's host, which is powered off. Its disks stay.
    pub fn forget(&self, zone: &str, name: &str) -> Result<()> {
        let key = (zone.to_owned(), name.to_owned());
        let Some(host) = self.host(zone, name) else {
            return Ok(());
        };
        host.remove()?;
        self.hosts().remove(&key);
        self.network().unplug(&host.port());
        Ok(())
    }

    fn disk_file(&self, disk: &DiskId) -> PathBuf {
        self.directory
            .join("disks")
            .join(&disk.zone)
            .join(&disk.name)
    }

    /// The files of disks, which are created, or grow, as needed. They take only the space that is used.
    pub fn devices(&self, disks: &[MachineDisk]) -> Result<Vec<Device>> {
        let device = |disk: &MachineDisk| {
            let file = self.disk_file(&disk.disk);
            let made = || -> std::io::Result<()> {
                if let Some(directory) = file.parent() {
                    std::fs::create_dir_all(directory)?;
                }
                let open = std::fs::File::options()
                    .create(true)
                    .append(true)
                    .open(&file)?;
                let size = disk.gigabytes << 30;
                if open.metadata()?.len() < size {
                    open.set_len(size)?;
                }
                Ok(())
            };
            made().map_err(io("creating", &file))?;
            let name = format!("google-{}", disk.device);
            Ok(Device { file, name })
        };
        disks.iter().map(device).collect()
    }

    /// Deletes the files of all disks but these.
    fn delete_disks_but(&self, kept: &HashSet<PathBuf>) {
        let all = self.directory.join("disks");
        let below = |directory: &Path| {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        for file in below(&all).iter().flat_map(|zone| below(zone)) {
            if kept.contains(&file) {
                continue;
            }
            if let Err(error) = std::fs::remove_file(&file) {
                tracing::warn!(file = %file.display(), %error, "a deleted disk's content stays");
            }
        }
    }
}

#[async_trait]
impl Runtime for Fleet {
    fn machine(&self, zone: &str, name: &str) -> Arc<dyn Machine> {
        Arc::new(HostMachine::new(self.own.clone(), zone, name))
    }

    fn of_root(&self, _: &Path) -> Option<(String, String)> {
        None
    }

    fn patience(&self) -> Duration {
        SHUTDOWN
    }

    async fn keep_disks(&self, disks: &[DiskId]) {
        let kept = disks.iter().map(|disk| self.disk_file(disk)).collect();
        self.delete_disks_but(&kept);
    }
}

#[async_trait]
impl Wires for Fleet {
    async fn apply(&self, wiring: Wiring) -> std::result::Result<(), String> {
        let Some(own) = self.own.upgrade() else {
            return Ok(());
        };
        let applied =
            tokio::task::spawn_blocking(move || own.network().apply(&own.yard, wiring)).await;
        match applied {
            Ok(applied) => applied.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn io(what: &'static str, path: &Path) -> impl Fn(std::io::Error) -> hakube_yard::Error {
    let path = path.display().to_string();
    move |source| hakube_yard::Error::Io {
        what: format!("{what} {path}"),
        source,
    }
}

/// What is known of ports, by the machines' addresses.
pub(crate) type Ports = BTreeMap<std::net::Ipv4Addr, String>;
