//! Test hosts on libvirt's test driver, which has domains, networks, pools and volumes but runs nothing.
//!
//! This wrapper adds what the driver doesn't support: data uploaded to volumes is kept and can be read, and
//! redefining a network takes effect at once. For the tests, it counts calls and can make one fail or hang.

use crate::Libvirt;
use crate::config::{AddressPlan, Firmware, HostNetwork, LibvirtConfig, Patience, Virtualization};
use crate::error::{Answer, Fault};
use crate::hypervisor::{
    DomainSeen, Hypervisor, NetworkSeen, Node, PoolSeen, VolumeSeen, connection::open,
};
use crate::neighbours::Neighbours;
use async_trait::async_trait;
use hakube_contract::{group_spec, machine_spec};
use hakube_provider::{DiskSpec, ErrorKind, Login, MachineSpec, NodeGroupSpec};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tempfile::{NamedTempFile, TempDir};
use tokio::sync::oneshot;

pub const CLUSTER: &str = "kubernetes";
pub const ZONE: &str = "lan-site1-a";

/// A host.
pub struct Stage {
    driver: Box<dyn Hypervisor>,
    /// The host's UUID.
    pub uuid: Mutex<String>,
    uploaded: Mutex<BTreeMap<String, Vec<u8>>>,
    /// The number of calls made.
    pub calls: AtomicUsize,
    /// The first call that fails; all later ones fail too.
    pub stop_at: AtomicUsize,
    /// The errors of calls, by name.
    pub faults: Mutex<BTreeMap<&'static str, Fault>>,
    /// Whether the host is unreachable.
    pub unreachable: AtomicBool,
    hang: Mutex<Option<Hang>>,
}

/// The next call of this name reports that it was reached, then waits until the other end is dropped.
struct Hang {
    name: &'static str,
    reached: oneshot::Sender<()>,
    until: mpsc::Receiver<()>,
}

fn gone() -> Fault {
    Fault {
        kind: ErrorKind::TRANSIENT,
        message: "Failed to connect socket: No such file or directory".into(),
        disconnected: true,
    }
}

impl Stage {
    fn call(&self, name: &'static str) -> Answer<&dyn Hypervisor> {
        if self.unreachable.load(Ordering::SeqCst) {
            return Err(gone());
        }
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if number >= self.stop_at.load(Ordering::SeqCst) {
            return Err(Fault::new(
                ErrorKind::Fatal,
                format!("stopped before {name}"),
            ));
        }
        let hang = self.hang.lock().unwrap().take_if(|hang| hang.name == name);
        if let Some(hang) = hang {
            hang.reached.send(()).unwrap();
            let _ = hang.until.recv();
        }
        match self.faults.lock().unwrap().get(name) {
            Some(fault) => Err(fault.clone()),
            None => Ok(self.driver.as_ref()),
        }
    }

    /// Makes the next call of this name hang. The receiver reports that it was reached; dropping
    /// the sender lets it continue.
    pub fn hang(&self, name: &'static str) -> (oneshot::Receiver<()>, mpsc::Sender<()>) {
        let (reached, is_reached) = oneshot::channel();
        let (release, until) = mpsc::channel();
        *self.hang.lock().unwrap() = Some(Hang {
            name,
            reached,
            until,
        });
        (is_reached, release)
    }

    /// The data uploaded to a volume.
    pub fn content(&self, volume: &str) -> Vec<u8> {
        let uploaded = self.uploaded.lock().unwrap();
        uploaded.get(volume).cloned().unwrap_or_default()
    }

    /// Writes a volume as a guest would.
    pub fn write(&self, volume: &str, content: &[u8]) {
        let mut uploaded = self.uploaded.lock().unwrap();
        uploaded.insert(volume.to_owned(), content.to_vec());
    }

    /// The driver itself, without faults.
    pub fn real(&self) -> &dyn Hypervisor {
        self.driver.as_ref()
    }

    pub fn volumes(&self) -> Vec<String> {
        let mut volumes = self.real().volumes("default").unwrap();
        volumes.sort();
        volumes
    }
}

macro_rules! passed_on {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        $(fn $name(&self, $($argument: $type),*) -> Answer<$answer> {
            self.call(stringify!($name))?.$name($($argument),*)
        })+
    };
}

impl Hypervisor for Stage {
    fn alive(&self) -> bool {
        !self.unreachable.load(Ordering::SeqCst)
    }

    passed_on! {
        domain_capabilities(arch: &str, kind: &str) -> Option<String>;
        node() -> Node;
        domains() -> Vec<DomainSeen>;
        domain(name: &str) -> Option<DomainSeen>;
        define_domain(xml: &str) -> ();
        autostart_domain(name: &str) -> ();
        start_domain(name: &str) -> ();
        resume_domain(name: &str) -> ();
        destroy_domain(name: &str) -> ();
        undefine_domain(name: &str) -> ();
        networks() -> Vec<NetworkSeen>;
        network(name: &str) -> Option<NetworkSeen>;
        autostart_network(name: &str) -> ();
        start_network(name: &str) -> ();
        destroy_network(name: &str) -> ();
        undefine_network(name: &str) -> ();
        pool(name: &str) -> Option<PoolSeen>;
        refresh_pool(pool: &str) -> ();
        volumes(pool: &str) -> Vec<String>;
        volume(pool: &str, name: &str) -> Option<VolumeSeen>;
        create_volume(pool: &str, xml: &str) -> ();
    }

    /// The test driver's host has no UUID.
    fn capabilities(&self) -> Answer<String> {
        let capabilities = self.call("capabilities")?.capabilities()?;
        let uuid = format!("<host><uuid>{}</uuid>", self.uuid.lock().unwrap());
        Ok(capabilities.replacen("<host>", &uuid, 1))
    }

    /// The test driver reports an active network as it was when it was started.
    fn define_network(&self, xml: &str) -> Answer<()> {
        let driver = self.call("define_network")?;
        let up: Vec<NetworkSeen> = driver.networks()?;
        let up = up.into_iter().filter(|network| network.active);
        let up = up.filter(|network| xml.contains(&format!("<name>{}</name>", network.name)));
        let up: Vec<String> = up.map(|network| network.name).collect();
        for name in &up {
            driver.destroy_network(name)?;
        }
        driver.define_network(xml)?;
        for name in &up {
            driver.start_network(name)?;
        }
        Ok(())
    }

    fn delete_volume(&self, pool: &str, name: &str) -> Answer<()> {
        self.call("delete_volume")?.delete_volume(pool, name)?;
        self.uploaded.lock().unwrap().remove(name);
        Ok(())
    }

    fn upload(&self, pool: &str, name: &str, content: &mut dyn Read, length: u64) -> Answer<()> {
        let there = self.call("upload")?.volume(pool, name)?;
        assert!(there.is_some(), "no volume {name} to upload to");
        let mut bytes = Vec::new();
        content.take(length).read_to_end(&mut bytes).unwrap();
        self.write(name, &bytes);
        Ok(())
    }

    fn tail(&self, _pool: &str, name: &str, at_most: u64) -> Answer<Vec<u8>> {
        self.call("tail")?;
        let content = self.content(name);
        let from = content
            .len()
            .saturating_sub(usize::try_from(at_most).unwrap());
        Ok(content[from..].to_vec())
    }
}

/// The addresses in use on the network.
#[derive(Default)]
pub struct AddressesInUse(pub Mutex<BTreeMap<Ipv4Addr, String>>);

#[async_trait]
impl Neighbours for AddressesInUse {
    async fn at(&self, address: Ipv4Addr) -> Option<String> {
        self.0.lock().unwrap().get(&address).cloned()
    }
}

/// Hosts and a base image.
pub struct World {
    pub stages: BTreeMap<String, Arc<Stage>>,
    pub in_use: Arc<AddressesInUse>,
    pub config: LibvirtConfig,
    pub image: NamedTempFile,
    _scratch: TempDir,
}

impl World {
    /// A host with one zone.
    pub fn new() -> Self {
        Self::with(&[(ZONE, "host-a")], "")
    }

    /// These zones on these hosts. `more` is added to each host's test driver document.
    pub fn with(zones: &[(&str, &str)], more: &str) -> Self {
        let scratch = TempDir::new().unwrap();
        let node = scratch.path().join("node.xml");
        let pool =
            "<pool type='dir'><name>default</name><target><path>/pool</path></target></pool>";
        std::fs::write(&node, format!("<node>{pool}{more}</node>")).unwrap();
        let stage = |uri: &str| Stage {
            uuid: Mutex::new(format!("uuid-of-{uri}")),
            driver: Box::new(open(&format!("test://{}", node.display())).unwrap()),
            uploaded: Mutex::default(),
            calls: AtomicUsize::new(0),
            stop_at: AtomicUsize::new(usize::MAX),
            faults: Mutex::default(),
            unreachable: AtomicBool::new(false),
            hang: Mutex::default(),
        };
        let mut image = NamedTempFile::new().unwrap();
        image.write_all(b"a base image").unwrap();
        let range = "192.168.77.0/24".parse().unwrap();
        let zones = zones
            .iter()
            .map(|(zone, uri)| ((*zone).to_owned(), (*uri).to_owned()));
        let zones: BTreeMap<String, String> = zones.collect();
        Self {
            stages: zones
                .values()
                .map(|uri| (uri.clone(), Arc::new(stage(uri))))
                .collect(),
            in_use: Arc::default(),
            config: LibvirtConfig {
                zones,
                pool: "default".into(),
                network: HostNetwork::Nat { range },
                addresses: AddressPlan::of(range),
                virtualization: Virtualization::Auto,
                firmware: Firmware::Bios,
                patience: Patience {
                    connect: Duration::from_secs(30),
                    call: Duration::from_secs(30),
                },
            },
            image,
            _scratch: scratch,
        }
    }

    /// A provider, as another process would create it.
    pub fn provider(&self) -> Libvirt {
        let stages = self.stages.clone();
        let opener = move |uri: &str| match stages.get(uri) {
            Some(stage) if stage.alive() => Ok(Arc::clone(stage) as Arc<dyn Hypervisor>),
            _ => Err(gone()),
        };
        let neighbours = Arc::clone(&self.in_use);
        Libvirt::over(self.config.clone(), Arc::new(opener), neighbours).unwrap()
    }

    /// The first host.
    pub fn stage(&self) -> &Stage {
        self.stages.values().next().unwrap()
    }

    pub fn machine(&self, name: &str, zone: &str) -> MachineSpec {
        MachineSpec {
            machine_type: "1x512MiB".into(),
            image: self.image.path().to_str().unwrap().into(),
            boot_disk_gb: 4,
            data_disk: Some(DiskSpec {
                name: format!("{name}-pd"),
                device: "master-pd".into(),
                size_gb: 2,
                kind: String::new(),
            }),
            login: Some(Login {
                user: "hakube".into(),
                public_key: "ssh-ed25519 AAAA".into(),
            }),
            ..machine_spec(CLUSTER, name, zone)
        }
    }

    pub fn group(&self, size: u32) -> NodeGroupSpec {
        let machine = self.machine("minion-group", ZONE);
        group_spec(machine, "minion-template", size)
    }
}
