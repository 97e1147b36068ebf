//! Hosts with libvirt, a mirror of the guests' programs, and a home.

use crate::support::{Home, eventually_within, replica_names};
use axum::Router;
use axum::http::{StatusCode, Uri};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const MIRROR_PORT: u16 = 8080;

/// Without hardware virtualisation, a guest takes a minute and a half to boot on an otherwise idle machine.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// hakube's exit code for changes that a safety rule forbids.
pub const REFUSED: i32 = 3;

pub struct Lab {
    pub home: Home,
    /// The endpoint's address: the first one available.
    pub address: &'static str,
    hosts: Vec<Host>,
}

#[derive(Clone, Copy)]
struct Host {
    uri: &'static str,
    /// The path prefix of its files.
    files: &'static str,
}

/// The hosts' location and properties.
struct Site {
    /// The environment variable that is set if they exist.
    found_by: &'static str,
    /// The mirror's address for guests.
    gateway: &'static str,
    address: &'static str,
    zones: [(&'static str, Host); 3],
    settings: Vec<(&'static str, String)>,
}

impl Lab {
    /// Three zones on one host, the one that the test runs on; a network that `up` creates; a kernel outside
    /// the image. `None` if there is no such host.
    pub async fn one_host() -> Option<Self> {
        let guest = PathBuf::from(std::env::var("HAKUBE_TEST_GUEST").unwrap_or_default());
        let file = |name: &str| guest.join(name).display().to_string();
        let host = Host {
            uri: "qemu:///system",
            files: "/",
        };
        Self::at(Site {
            found_by: "HAKUBE_HOST",
            gateway: "10.40.0.1",
            address: "10.40.0.10",
            zones: ["rack-a", "rack-b", "rack-c"].map(|zone| (zone, host)),
            settings: vec![
                ("KUBE_GCE_MASTER_IMAGE", file("disk.qcow2")),
                ("HAKUBE_LIBVIRT_KERNEL", file("vmlinuz")),
                ("HAKUBE_LIBVIRT_INITRD", file("initrd.img")),
                (
                    "HAKUBE_LIBVIRT_KERNEL_ARGUMENTS",
                    "root=/dev/vda2 ro console=ttyS0 net.ifnames=0".into(),
                ),
            ],
        })
        .await
    }

    /// A host for each zone, over ssh; an existing bridge; an image from a server, booted by UEFI. `None` if
    /// there is no rack.
    pub async fn rack() -> Option<Self> {
        let host = |uri, files| Host { uri, files };
        Self::at(Site {
            found_by: "HAKUBE_RACK",
            gateway: "10.50.0.1",
            address: "10.50.0.100",
            zones: [
                (
                    "rack-a",
                    host("qemu+ssh://root@host-a/system", "/run/rack/host-a"),
                ),
                (
                    "rack-b",
                    host("qemu+ssh://root@host-b/system", "/run/rack/host-b"),
                ),
                (
                    "rack-c",
                    host("qemu+ssh://root@host-c/system", "/run/rack/host-c"),
                ),
            ],
            settings: vec![
                ("HAKUBE_LIBVIRT_NETWORK", "bridge:lan".into()),
                (
                    "HAKUBE_LIBVIRT_ADDRESSES",
                    "10.50.0.100-10.50.0.129/24".into(),
                ),
                ("HAKUBE_LIBVIRT_GATEWAY", "10.50.0.1".into()),
                (
                    "KUBE_GCE_MASTER_IMAGE",
                    format!("http://10.50.0.1:{MIRROR_PORT}/disk.qcow2"),
                ),
            ],
        })
        .await
    }

    async fn at(site: Site) -> Option<Self> {
        let (Ok(_), Ok(guest), Ok(stand_in)) = (
            std::env::var(site.found_by),
            std::env::var("HAKUBE_TEST_GUEST"),
            std::env::var("HAKUBE_TEST_STAND_IN"),
        ) else {
            eprintln!("skipped: no host with libvirt; scripts/test vm creates them");
            return None;
        };
        let mut home = Home::new();
        let image = Path::new(&guest).join("disk.qcow2");
        let mut sums = mirror(&home.beside("mirror"), Path::new(&stand_in), &image).await;
        // Every intent contains the checksums of pod runtimes. Nothing here uses those, so they aren't
        // downloaded.
        for name in [
            "kube-proxy",
            "containerd-2.2.9-linux-amd64.tar.gz",
            "runc.amd64",
            "cni-plugins-linux-amd64-v1.9.1.tgz",
        ] {
            sums.push_str(&format!("{}  {name}\n", "0".repeat(64)));
        }
        let list = home.beside("sums");
        std::fs::write(&list, sums).unwrap();
        let zones = site
            .zones
            .map(|(zone, host)| format!("{zone}={}", host.uri));
        // libvirt's library runs ssh.
        let programs = std::env::var("PATH").unwrap();
        for (name, value) in [
            ("PATH", programs.as_str()),
            ("KUBERNETES_PROVIDER", "libvirt"),
            ("HAKUBE_LIBVIRT_ZONES", &zones.join(",")),
            ("MULTIZONE", "true"),
            // Stand-ins schedule no pods.
            ("REGISTER_MASTER", "false"),
            ("HAKUBE_STAND_INS", "false"),
            ("HAKUBE_LIBVIRT_TYPE", "qemu"),
            ("HAKUBE_IMAGE_SHA256", &sha256sum(&image)),
            ("MASTER_SIZE", "1x1GiB"),
            ("MASTER_ROOT_DISK_SIZE", "10GB"),
            ("MASTER_DISK_SIZE", "10GB"),
            ("HAKUBE_ETCD_BINARY", "/usr/bin/etcd"),
            (
                "HAKUBE_KUBERNETES_RELEASES",
                &format!("http://{}:{MIRROR_PORT}", site.gateway),
            ),
            ("HAKUBE_SHA256SUMS", list.to_str().unwrap()),
            // etcd's recommendation for networks with high latency.
            (
                "ETCD_EXTRA_ARGS",
                "--heartbeat-interval=500 --election-timeout=5000",
            ),
            ("HAKUBE_TIMEOUT", "600s"),
        ] {
            home.set(name, value);
        }
        for (name, value) in &site.settings {
            home.set(name, value);
        }
        let mut hosts = site.zones.map(|(_, host)| host).to_vec();
        hosts.dedup_by_key(|host| host.uri);
        for host in &hosts {
            host.virsh("pool-define-as default dir --target /var/lib/libvirt/images");
            host.virsh("pool-start default");
            host.virsh("pool-autostart default");
        }
        Some(Self {
            home,
            address: site.address,
            hosts,
        })
    }

    /// Runs a command, which must succeed, and prints how long it took.
    pub async fn timed(&self, what: &str, arguments: &str) -> Value {
        let started = Instant::now();
        let ended = self.home.start(arguments).end_within(PATIENCE).await;
        let summary = ended.succeeded().summary();
        eprintln!("vm: {what}: {:.1} s", started.elapsed().as_secs_f64());
        summary
    }

    /// The same for a command that is refused while a member of etcd responds late, as emulated ones do.
    pub async fn timed_once_allowed(&self, what: &str, arguments: &str) {
        let started = Instant::now();
        eventually_within(PATIENCE, what, async || {
            let ended = self.home.start(arguments).end_within(PATIENCE).await;
            (ended.exit != Some(REFUSED)).then(|| ended.succeeded())
        })
        .await;
        eprintln!("vm: {what}: {:.1} s", started.elapsed().as_secs_f64());
    }

    pub async fn timed_until(&self, what: &str, done: impl AsyncFnOnce()) {
        let started = Instant::now();
        done().await;
        eprintln!("vm: {what}: {:.1} s", started.elapsed().as_secs_f64());
    }

    /// Waits until status reports this many healthy replicas and no drift.
    pub async fn status_of(&self, replicas: usize) -> Value {
        eventually_within(PATIENCE, "all replicas are healthy", async || {
            let status = self.home.status().await;
            let well = status["quorum"]["healthy"] == replicas
                && status["quorum"]["voters"] == replicas
                && replica_names(&status).len() == replicas
                && status["endpoint"]["ready"] == true
                && status["drift"].as_array().is_some_and(Vec::is_empty);
            if !well {
                eprintln!("not {replicas} healthy replicas yet: {status}");
            }
            well.then_some(status)
        })
        .await
    }

    /// The MAC address that the endpoint's address resolves to; each new holder announces its own.
    pub fn card_of_endpoint(&self) -> Option<String> {
        let known = output(Command::new("ip").args(["neigh", "show", self.address]));
        let mut words = known.split_whitespace();
        words.find(|word| *word == "lladdr")?;
        words.next().map(str::to_owned)
    }

    /// Whether the endpoint responds, on any guest.
    pub async fn endpoint_answers(&self) -> bool {
        let url = format!("https://{}:6443/readyz", self.address);
        let asked = Command::new("curl")
            .args(["--silent", "--insecure", "--max-time", "1", &url])
            .output()
            .unwrap();
        asked.stdout.starts_with(b"ok")
    }

    pub fn destroy(&self, guest: &str) {
        let runs = |host: &&Host| host.virsh("list --name").lines().any(|name| name == guest);
        let host = self.hosts.iter().find(runs).unwrap();
        host.virsh(&format!("destroy {guest}"));
    }

    /// Excludes a host that stays off from later checks.
    pub fn lose(&mut self, name: &str) {
        self.hosts.retain(|host| !host.uri.contains(name));
    }

    /// All objects of each host's libvirt, and all files of its pool and firmware, even those unknown to
    /// libvirt.
    pub fn everything(&self) -> BTreeMap<&'static str, String> {
        let has = |host: &Host| (host.uri, host.everything());
        self.hosts.iter().map(has).collect()
    }
}

impl Host {
    fn virsh(self, arguments: &str) -> String {
        output(
            Command::new("virsh")
                .args(["--quiet", "--connect", self.uri])
                .args(arguments.split_whitespace()),
        )
    }

    fn everything(self) -> String {
        let listed = ["list", "net-list", "pool-list"]
            .map(|list| self.virsh(&format!("{list} --all --name")));
        let kept = ["images", "qemu/nvram"].map(|directory| {
            let directory = Path::new(self.files)
                .join("var/lib/libvirt")
                .join(directory);
            let entries = std::fs::read_dir(&directory).into_iter().flatten();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            format!("{directory:?}: {names:?}")
        });
        [listed.join("\n"), kept.join("\n")].concat()
    }
}

/// The network interfaces of the host that the test runs on.
pub fn interfaces() -> String {
    output(Command::new("ip").args(["-brief", "link"]))
}

/// The output of a program, which must succeed.
pub fn output(program: &mut Command) -> String {
    let ended = program.output().unwrap();
    let words = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{program:?}: {words}");
    String::from_utf8(ended.stdout).unwrap()
}

/// Serves the image and the stand-ins, under the names and paths of Kubernetes' releases; returns the
/// stand-ins' checksums.
async fn mirror(directory: &Path, stand_in: &Path, image: &Path) -> String {
    let release = directory.join("v1.36.3/bin/linux/amd64");
    std::fs::create_dir_all(&release).unwrap();
    std::os::unix::fs::symlink(image, directory.join("disk.qcow2")).unwrap();
    let stripped = directory.join("stand-in");
    output(Command::new("strip").arg("-o").args([&stripped, stand_in]));
    let mut sums = String::new();
    for name in [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
    ] {
        std::fs::hard_link(&stripped, release.join(name)).unwrap();
        let sum = sha256sum(&release.join(name));
        sums.push_str(&format!("{sum}  v1.36.3/bin/linux/amd64/{name}\n"));
    }
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", MIRROR_PORT))
        .await
        .unwrap();
    let root = directory.to_path_buf();
    let files = Router::new().fallback(async move |uri: Uri| {
        tokio::fs::read(root.join(uri.path().trim_start_matches('/')))
            .await
            .map_err(|_| StatusCode::NOT_FOUND)
    });
    tokio::spawn(async move { axum::serve(listener, files).await });
    sums
}

fn sha256sum(file: &Path) -> String {
    let text = output(Command::new("sha256sum").arg(file));
    text.split_whitespace().next().unwrap().to_owned()
}
