//! Hosts of a test: libvirt's own test driver, which has domains, networks, pools and volumes but runs nothing.
//!
//! What it lacks is here instead: what is uploaded into volumes is kept, and read again; a network that is defined
//! anew is the new one at once. And what a test needs:
//! calls are counted, and one can be made to fail.

use crate::Libvirt;
use crate::config::{AddressPlan, Firmware, HostNetwork, LibvirtConfig, Patience, Virtualization};
use crate::error::{Answer, Fault};
use crate::hypervisor::{DomainSeen, Hypervisor, NetworkSeen, Node, PoolSeen, VolumeSeen, open};
use crate::neighbours::Neighbours;
use async_trait::async_trait;
use hakube_provider::{
    DiskSpec, ErrorKind, ExternalAddress, Login, MachineRef, MachineSpec, NodeGroupSpec,
};
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

/// One host.
pub struct Stage {
    driver: Box<dyn Hypervisor>,
    /// The host's UUID.
    pub uuid: Mutex<String>,
    uploaded: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Calls that were made.
    pub calls: AtomicUsize,
    /// The call that fails, and all after it.
    pub stop_at: AtomicUsize,
    /// What a call of that name fails with.
    pub faults: Mutex<BTreeMap<&'static str, Fault>>,
    /// Whether it can't be reached.
    pub away: AtomicBool,
    hang: Mutex<Option<Hang>>,
}

/// The next call of that name says that it was made, and then waits until the other end is dropped.
struct Hang {
    name: &'static str,
    reached: oneshot::Sender<()>,
    until: mpsc::Receiver<()>,
}

fn gone() -> Fault {
    Fault {
        kind: ErrorKind::Transient { retry_after: None },
        message: "Failed to connect socket: No such file or directory".into(),
        disconnected: true,
    }
}

impl Stage {
    fn call(&self, name: &'static str) -> Answer<&dyn Hypervisor> {
        if self.away.load(Ordering::SeqCst) {
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

    /// The next call of that name hangs: it is awaited by the first, and goes on when the second is dropped.
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

    /// What was uploaded into the volume.
    pub fn content(&self, volume: &str) -> Vec<u8> {
        let uploaded = self.uploaded.lock().unwrap();
        uploaded.get(volume).cloned().unwrap_or_default()
    }

    /// As if a guest had written it.
    pub fn write(&self, volume: &str, content: &[u8]) {
        let mut uploaded = self.uploaded.lock().unwrap();
        uploaded.insert(volume.to_owned(), content.to_vec());
    }

    /// What is there, past all faults.
    pub fn real(&self) -> &dyn Hypervisor {
        self.driver.as_ref()
    }

    /// The names of the pool's volumes, sorted.
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
        !self.away.load(Ordering::SeqCst)
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

    /// The test driver tells of a network that is up only what it was when it came up.
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
        assert!(there.is_some(), "no volume {name} to upload into");
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

/// Who answers on the network.
#[derive(Default)]
pub struct Strangers(pub Mutex<BTreeMap<Ipv4Addr, String>>);

#[async_trait]
impl Neighbours for Strangers {
    async fn at(&self, address: Ipv4Addr) -> Option<String> {
        self.0.lock().unwrap().get(&address).cloned()
    }
}

/// Some hosts, and a base image.
pub struct World {
    pub stages: BTreeMap<String, Arc<Stage>>,
    pub strangers: Arc<Strangers>,
    pub config: LibvirtConfig,
    pub image: NamedTempFile,
    _scratch: TempDir,
}

impl World {
    /// One host with one zone.
    pub fn new() -> Self {
        Self::with(&[(ZONE, "host-a")], "")
    }

    /// These zones on these hosts; all hosts have this, too, as the test driver's own document says it.
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
            away: AtomicBool::new(false),
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
            strangers: Arc::default(),
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

    /// A provider, as another process would have it.
    pub fn provider(&self) -> Libvirt {
        let stages = self.stages.clone();
        let opener = move |uri: &str| match stages.get(uri) {
            Some(stage) if stage.alive() => Ok(Arc::clone(stage) as Arc<dyn Hypervisor>),
            _ => Err(gone()),
        };
        let neighbours = Arc::clone(&self.strangers);
        Libvirt::over(self.config.clone(), Arc::new(opener), neighbours).unwrap()
    }

    /// The only host, or the first.
    pub fn stage(&self) -> &Stage {
        self.stages.values().next().unwrap()
    }

    pub fn machine(&self, name: &str, zone: &str) -> MachineSpec {
        MachineSpec {
            cluster: CLUSTER.into(),
            machine: MachineRef {
                name: name.into(),
                zone: zone.into(),
            },
            machine_type: "1x512MiB".into(),
            image: self.image.path().to_str().unwrap().into(),
            image_sha256: None,
            boot_disk_gb: 4,
            boot_disk_kind: String::new(),
            data_disk: Some(DiskSpec {
                name: format!("{name}-pd"),
                device: "master-pd".into(),
                size_gb: 2,
                kind: String::new(),
            }),
            network: "default".into(),
            subnetwork: None,
            external: ExternalAddress::None,
            alias: None,
            tags: Vec::new(),
            labels: [("role".to_owned(), "replica".to_owned())].into(),
            preemptible: false,
            min_cpu_platform: None,
            service_account: None,
            scopes: Vec::new(),
            user_data: "#cloud-config\n{}\n".into(),
            login: Some(Login {
                user: "hakube".into(),
                public_key: "ssh-ed25519 AAAA".into(),
            }),
        }
    }

    pub fn group(&self, size: u32) -> NodeGroupSpec {
        NodeGroupSpec {
            name: "minion-group".into(),
            template: "minion-template".into(),
            size,
            leaving: Vec::new(),
            machine: self.machine("minion-group", ZONE),
        }
    }
}
