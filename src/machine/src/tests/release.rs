//! Releases: what identifies them, what they deliver, and what they restart.

use super::*;
use crate::{
    NODE_BOOTSTRAP, NODE_CLIENT_CA, Role, node_release, replica_release, units_to_restart,
};
use semver::Version;

fn spec() -> ClusterSpec {
    let mut spec = fixtures::spec(&[]);
    spec.programs.pods = Some(fixtures::pods());
    spec
}

fn with(mut spec: ClusterSpec, kubernetes: Version, etcd: Version) -> ClusterSpec {
    spec.versions.kubernetes = kubernetes;
    spec.versions.etcd = Some(etcd);
    spec
}

#[test]
fn a_machine_boots_with_the_mark_of_its_release_in_force() {
    let spec = spec();
    for (document, mark) in [
        (replica_user_data(&spec), replica_release(&spec).mark),
        (
            node_user_data(&spec, ZONES[0]),
            node_release(&spec, ZONES[0]).mark,
        ),
    ] {
        let (_, file) = document
            .split_once("path: /etc/hakube/release.in-force")
            .unwrap();
        assert!(
            file.lines().take(5).any(|line| line.contains(&mark)),
            "{mark}"
        );
    }
}

#[test]
fn a_delivery_ends_with_the_mark_and_has_nothing_of_the_first_boot() {
    let spec = spec();
    let release = node_release(&spec, ZONES[0]);
    let files = release.delivery(&["kubelet"]);
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths.last(), Some(&"/etc/hakube/release"));
    // A node's token and its CA are its own, and what is in force is what the machine says.
    for path in [NODE_BOOTSTRAP, NODE_CLIENT_CA, RELEASE_IN_FORCE] {
        assert!(!paths.contains(&path), "{path}");
    }
    assert!(
        !paths.iter().any(|path| path.ends_with(".in-force")),
        "{paths:?}"
    );
    let units = files
        .iter()
        .find(|file| file.path == "/etc/hakube/release.units");
    assert_eq!(units.unwrap().content.expose(), "kubelet\n");
}

/// etcd's restart costs a leader, so it restarts only for its own sake.
#[test]
fn only_what_changed_restarts() {
    let (old, etcd) = (Version::new(1, 36, 3), Version::new(3, 6, 6));
    let before = with(spec(), old.clone(), etcd.clone());
    let patched = with(spec(), Version::new(1, 36, 4), etcd);
    let with_etcd = with(spec(), old, Version::new(3, 6, 7));
    let control_plane = [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ];
    let node = ["kubelet", "kube-proxy"];
    let units = units_to_restart(&before, &patched, Role::Replica);
    assert_eq!(units, [control_plane.as_slice(), &node].concat());
    assert_eq!(units_to_restart(&before, &patched, Role::Node), node);
    assert_eq!(
        units_to_restart(&before, &with_etcd, Role::Replica),
        ["etcd"]
    );
    let none: [&str; 0] = [];
    assert_eq!(units_to_restart(&before, &with_etcd, Role::Node), none);
    assert_ne!(
        replica_release(&before).mark,
        replica_release(&patched).mark
    );
}

/// A machine's directory with the script, and a `systemctl` that writes down what it was called with.
struct Machine {
    home: tempfile::TempDir,
}

impl Machine {
    fn new(in_force: &str) -> Self {
        let machine = Self {
            home: tempfile::tempdir().unwrap(),
        };
        machine.write("trust.sh", include_str!("../trust/trust.sh"));
        machine.write("release.in-force", in_force);
        let systemctl = machine.write("systemctl", "#!/bin/sh\necho \"$@\" >>\"${0%/*}/calls\"\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(systemctl, mode).unwrap();
        machine
    }

    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.path().join(name)).unwrap_or_default()
    }

    /// Starts the script as the unit does.
    fn start(&self, install: &str) -> std::process::Child {
        let home = self.home.path().display();
        std::process::Command::new("sh")
            .args(["trust.sh", "release", "--", "etcd", "kubelet"])
            .current_dir(self.home.path())
            .env_clear()
            .env("PATH", format!("{home}:/usr/bin:/bin"))
            .env("INSTALL", install)
            .spawn()
            .unwrap()
    }
}

#[test]
fn the_machine_installs_restarts_the_named_units_and_says_so() {
    let machine = Machine::new("old\n");
    machine.write("release", "new\n");
    machine.write("release.units", "kubelet kube-proxy\n");
    machine.write("install.sh", "echo installed >>calls\n");
    assert!(machine.start("sh install.sh").wait().unwrap().success());
    let calls = machine.read("calls");
    let calls: Vec<&str> = calls.lines().collect();
    let expected = [
        "installed",
        "daemon-reload",
        "try-restart kubelet.service",
        "try-restart kube-proxy.service",
    ];
    assert_eq!(calls, expected);
    assert_eq!(machine.read("release.in-force"), "new\n");
    // Nothing is left to do.
    assert!(machine.start("sh install.sh").wait().unwrap().success());
    assert_eq!(machine.read("calls").lines().count(), expected.len());
}

/// A release that can't be downloaded is taken back by the next one, also while its download is retried for ever.
#[test]
fn another_release_ends_an_installation_that_does_not_end() {
    let machine = Machine::new("old\n");
    machine.write("release", "new\n");
    machine.write("release.units", "none\n");
    machine.write(
        "install.sh",
        "case $(cat release) in new) echo waits >started; exec sleep 3600 ;; esac\n",
    );
    let mut script = machine.start("sh install.sh");
    while machine.read("started").is_empty() {
        std::thread::yield_now();
    }
    // Renamed into place, as the channel does.
    let next = machine.write("release.next", "older\n");
    std::fs::rename(next, machine.home.path().join("release")).unwrap();
    assert!(script.wait().unwrap().success());
    assert_eq!(machine.read("release.in-force"), "older\n");
    assert_eq!(machine.read("calls"), "daemon-reload\n");
}
