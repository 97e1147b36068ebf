//! The local cloud with instances that boot, in the place of Compute Engine.

use super::lab::PATIENCE;
use hakube_yard::{Host, Yard, until};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const HAKUBE: &str = env!("CARGO_BIN_EXE_hakube");
const PROJECT: &str = "my-project-1234";
/// The first start may build an image.
const FIRST: Duration = Duration::from_secs(600);

/// A cloud that runs until this is dropped.
pub struct Cloud {
    home: tempfile::TempDir,
    daemon: Child,
    url: String,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.home.path().join("daemon.log"));
            let log = log.unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(30);
            eprintln!("the local cloud's log:\n{}", lines[last..].join("\n"));
        }
        let pid = self.daemon.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        drop(self.daemon.wait());
    }
}

impl Cloud {
    /// A new cloud, and the yard that its instances are hosts of.
    pub fn start() -> (Self, Yard) {
        let home = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(home.path().join("daemon.log")).unwrap();
        let mut daemon = Command::new(HAKUBE);
        daemon
            .args(["local", "serve", "--machines", "host"])
            .args(["--project", PROJECT, "--home"])
            .arg(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut cloud = Self {
            home,
            daemon: daemon.spawn().unwrap(),
            url: String::new(),
        };
        let served = cloud.local().join("daemon.json");
        until("the local cloud serves", FIRST, || {
            let ended = cloud.daemon.try_wait().unwrap();
            assert!(ended.is_none(), "it has ended: {ended:?}");
            served.exists()
        })
        .unwrap();
        let daemon: Value =
            serde_json::from_str(&std::fs::read_to_string(served).unwrap()).unwrap();
        cloud.url = daemon["url"].as_str().unwrap().to_owned();
        let local = cloud.local().canonicalize().unwrap();
        let mut yards = Yard::all().unwrap().into_iter();
        let yard = yards.find(|yard| yard.directory().starts_with(&local));
        (cloud, yard.expect("the cloud has a yard"))
    }

    fn local(&self) -> PathBuf {
        self.home.path().join("local")
    }

    /// What makes hakube use it as Compute Engine.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let token = self.local().join("token");
        let pairs = [
            ("KUBERNETES_PROVIDER", "gce"),
            ("PROJECT", PROJECT),
            ("KUBE_GCE_ZONE", "europe-west1-b"),
            ("HAKUBE_COMPUTE_ENDPOINT", &self.url),
            ("HAKUBE_COMPUTE_TOKEN_FILE", token.to_str().unwrap()),
            ("HAKUBE_COMPUTE_MACHINES", "host"),
            // The operator's address in the instances' network.
            ("HAKUBE_SSH_SOURCE", "10.77.0.1/32"),
        ];
        let owned = pairs.map(|(name, value)| (name, value.to_owned()));
        owned.into()
    }

    /// Instances and disks with data that the cloud has.
    pub fn left(&self) -> Vec<PathBuf> {
        let below = |directory: PathBuf| {
            let entries = std::fs::read_dir(directory).into_iter().flatten();
            entries
                .map(|entry| entry.unwrap().path())
                .collect::<Vec<_>>()
        };
        let kinds = ["machines", "disks"].map(|kind| below(self.local().join(kind)));
        kinds.concat().into_iter().flat_map(below).collect()
    }
}

/// The host of an instance: the cloud adds a number to its name.
pub fn host(yard: &Yard, instance: &str) -> Host {
    let is_it = |host: &Host| {
        let hostname = host.run(&["hostname"]);
        hostname.is_ok_and(|ran| ran.stdout.trim() == instance)
    };
    let found = hakube_yard::until_some("the instance runs", PATIENCE, || {
        Ok(yard.hosts().into_iter().find(is_it))
    });
    found.unwrap_or_else(|error| panic!("{instance}: {error}"))
}
