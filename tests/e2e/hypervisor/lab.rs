//! A host with libvirt, a mirror of the programs that its guests download, and a home.

use crate::support::{Home, eventually_within, replica_names};
use axum::Router;
use axum::http::{StatusCode, Uri};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where the guests find the mirror: the host's own address in the network that `up` makes.
const GATEWAY: &str = "10.40.0.1";
const MIRROR_PORT: u16 = 8080;

/// A guest boots in a minute and a half without hardware virtualisation, on a machine with nothing else to do.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// hakube's exit code for what a safety rule forbids.
const REFUSED: i32 = 3;

/// The host and the home.
pub struct Lab {
    pub home: Home,
    /// The endpoint's address: the first that may be given out.
    pub address: &'static str,
}

impl Lab {
    /// `None` where there is no such host.
    pub async fn new() -> Option<Self> {
        let (Ok(guest), Ok(stand_in)) = (
            std::env::var("HAKUBE_TEST_GUEST"),
            std::env::var("HAKUBE_TEST_STAND_IN"),
        ) else {
            eprintln!("skipped: no host with libvirt; scripts/test vm makes one");
            return None;
        };
        let mut home = Home::new();
        let guest = PathBuf::from(guest);
        let file = |name: &str| guest.join(name).to_str().unwrap().to_owned();
        let sums = mirror(&home.beside("mirror"), Path::new(&stand_in)).await;
        let list = home.beside("sums");
        std::fs::write(&list, sums).unwrap();
        let image_sum = sha256sum(&guest.join("disk.qcow2"));
        for (name, value) in [
            ("KUBERNETES_PROVIDER", "libvirt"),
            (
                "HAKUBE_LIBVIRT_ZONES",
                "rack-a=qemu:///system,rack-b=qemu:///system,rack-c=qemu:///system",
            ),
            ("MULTIZONE", "true"),
            ("HAKUBE_LIBVIRT_TYPE", "qemu"),
            ("HAKUBE_LIBVIRT_KERNEL", &file("vmlinuz")),
            ("HAKUBE_LIBVIRT_INITRD", &file("initrd.img")),
            (
                "HAKUBE_LIBVIRT_KERNEL_ARGUMENTS",
                "root=/dev/vda ro console=ttyS0 net.ifnames=0",
            ),
            ("KUBE_GCE_MASTER_IMAGE", &file("disk.qcow2")),
            ("HAKUBE_IMAGE_SHA256", &image_sum),
            ("MASTER_SIZE", "1x1GiB"),
            ("MASTER_ROOT_DISK_SIZE", "10GB"),
            ("MASTER_DISK_SIZE", "10GB"),
            ("HAKUBE_ETCD_BINARY", "/usr/bin/etcd"),
            (
                "HAKUBE_KUBERNETES_RELEASES",
                &format!("http://{GATEWAY}:{MIRROR_PORT}"),
            ),
            ("HAKUBE_SHA256SUMS", list.to_str().unwrap()),
            // As etcd's authors advise where an answer takes longer than on a network of metal.
            (
                "ETCD_EXTRA_ARGS",
                "--heartbeat-interval=500 --election-timeout=5000",
            ),
            ("HAKUBE_TIMEOUT", "600s"),
        ] {
            home.set(name, value);
        }
        let lab = Self {
            home,
            address: "10.40.0.10",
        };
        lab.virsh("pool-define-as default dir --target /var/lib/libvirt/images");
        lab.virsh("pool-build default");
        lab.virsh("pool-start default");
        Some(lab)
    }

    /// Runs a command to its end, which must be a success, and prints how long it took.
    pub async fn timed(&self, what: &str, arguments: &str) -> Value {
        let started = Instant::now();
        let ended = self.home.start(arguments).end_within(PATIENCE).await;
        let summary = ended.succeeded().summary();
        eprintln!("vm: {what}: {:.1} s", started.elapsed().as_secs_f64());
        summary
    }

    /// The same of a command that is refused while a member of etcd is late with its answer, as emulated ones are.
    pub async fn timed_once_allowed(&self, what: &str, arguments: &str) {
        let started = Instant::now();
        eventually_within(PATIENCE, what, async || {
            let ended = self.home.start(arguments).end_within(PATIENCE).await;
            (ended.exit != Some(REFUSED)).then(|| ended.succeeded())
        })
        .await;
        eprintln!("vm: {what}: {:.1} s", started.elapsed().as_secs_f64());
    }

    /// Waits until status says that so many replicas are well and nothing differs.
    pub async fn status_of(&self, replicas: usize) -> Value {
        eventually_within(PATIENCE, "all is well", async || {
            let status = self.home.status().await;
            let well = status["quorum"]["healthy"] == replicas
                && status["quorum"]["voters"] == replicas
                && replica_names(&status).len() == replicas
                && status["endpoint"]["ready"] == true
                && status["drift"].as_array().is_some_and(Vec::is_empty);
            if !well {
                eprintln!("not yet {replicas}: {status}");
            }
            well.then_some(status)
        })
        .await
    }

    /// Whether the endpoint answers, whoever holds it.
    pub async fn endpoint_answers(&self) -> bool {
        let url = format!("https://{}:6443/readyz", self.address);
        let asked = Command::new("curl")
            .args(["--silent", "--insecure", "--max-time", "1", &url])
            .output()
            .unwrap();
        asked.stdout.starts_with(b"ok")
    }

    /// What libvirt answers.
    pub fn virsh(&self, arguments: &str) -> String {
        let answer = Command::new("virsh")
            .args(["--quiet", "--connect", "qemu:///system"])
            .args(arguments.split_whitespace())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let words = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success(), "virsh {arguments}: {words}");
        text
    }

    /// Everything that libvirt has, its files, and the host's network interfaces.
    pub fn everything(&self) -> String {
        let list = |program: &str, arguments: &[&str]| {
            let listed = Command::new(program).args(arguments).output().unwrap();
            String::from_utf8_lossy(&listed.stdout).into_owned()
        };
        [
            self.virsh("list --all --name"),
            self.virsh("net-list --all --name"),
            self.virsh("pool-list --all --name"),
            self.virsh("vol-list default"),
            list(
                "ls",
                &["/var/lib/libvirt/images", "/var/lib/libvirt/qemu/nvram"],
            ),
            list("ip", &["-brief", "link"]),
        ]
        .join("\n")
    }
}

/// Serves the stand-ins under the names and paths of Kubernetes' releases, and returns their sums.
async fn mirror(directory: &Path, stand_in: &Path) -> String {
    let release = directory.join("v1.36.0/bin/linux/amd64");
    std::fs::create_dir_all(&release).unwrap();
    let stripped = directory.join("stand-in");
    let strip = Command::new("strip")
        .arg("-o")
        .args([&stripped, stand_in])
        .status();
    assert!(strip.unwrap().success());
    let mut sums = String::new();
    for name in [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
    ] {
        std::fs::hard_link(&stripped, release.join(name)).unwrap();
        let sum = sha256sum(&release.join(name));
        sums.push_str(&format!("{sum}  v1.36.0/bin/linux/amd64/{name}\n"));
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
    let answer = Command::new("sha256sum").arg(file).output().unwrap();
    let text = String::from_utf8(answer.stdout).unwrap();
    text.split_whitespace().next().unwrap().to_owned()
}
