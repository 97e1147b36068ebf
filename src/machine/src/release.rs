//! Upgrades a machine's programs in place. The channel delivers the new release's files over the old ones, then its
//! mark. The machine downloads the programs, restarts what changed, and reports the mark as in force.
//!
//! A release is everything in a machine's document that doesn't belong to its first boot only. A new machine has its
//! release in force from the start.

use super::cloud_config::File;
use super::programs;
use super::service::unit;
use super::trust;
use hakube_model::{CNI_PLUGINS, ClusterSpec, Named, Program};
use hakube_secret::{Secret, SecretFile};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// The mark of the release that the machine should have.
const WANTED: &str = "/etc/hakube/release";
/// The units to restart for it, in order.
const UNITS: &str = "/etc/hakube/release.units";
/// The mark of the release that the machine has.
pub const RELEASE_IN_FORCE: &str = "/etc/hakube/release.in-force";

/// The units that handle upgrades.
pub(super) const ENABLED: [&str; 2] = ["release.service", "release.path"];

/// The units of a replica's control plane, each with the program of the same name, in the order in which they restart.
const CONTROL_PLANE: [&str; 4] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];
/// The same of a machine that runs pods.
const NODE: [&str; 3] = ["containerd", "kubelet", "kube-proxy"];

/// What a machine runs, and the files that bring it there.
#[derive(Debug)]
pub struct Release {
    /// Identifies it. Two machines of the same kind with the same mark have the same files.
    pub mark: String,
    files: Vec<File>,
}

impl Release {
    /// The release of these files, which don't include what belongs to a machine's first boot only.
    pub(super) fn of(spec: &ClusterSpec, files: Vec<File>) -> Self {
        let mut hash = Sha256::new();
        for file in &files {
            for part in [file.path(), file.content()] {
                hash.update(part.len().to_be_bytes());
                hash.update(part);
            }
        }
        let hash = hash.finalize();
        let hash: String = hash
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            mark: format!("v{}-{hash}", spec.versions.kubernetes),
            files,
        }
    }

    /// The files with which a machine boots, and which say that this release is in force.
    pub(super) fn booting(self) -> Vec<File> {
        let mut files = self.files;
        files.push(File::text(
            RELEASE_IN_FORCE,
            0o644,
            format!("{}\n", self.mark),
        ));
        files
    }

    /// The files to deliver to a machine that has another release, the trigger last. `units` restart, in order.
    pub fn delivery(&self, units: &[&str]) -> Vec<SecretFile> {
        let file = |path: &str, mode, content: String| SecretFile {
            path: path.to_owned(),
            mode,
            content: Secret::new(content),
        };
        let files = self.files.iter();
        let mut files: Vec<SecretFile> = files
            .map(|one| file(one.path(), one.mode(), one.content().to_owned()))
            .collect();
        let units = if units.is_empty() {
            "none".to_owned()
        } else {
            units.join(" ")
        };
        files.push(file(UNITS, 0o644, format!("{units}\n")));
        files.push(file(WANTED, 0o644, format!("{}\n", self.mark)));
        files
    }
}

/// The units that handle upgrades, and restart these by default.
pub(super) fn files(programs: &[Named<'_>]) -> Vec<File> {
    let names: BTreeSet<&str> = programs.iter().map(|(name, _)| *name).collect();
    let units = CONTROL_PLANE.iter().chain(&NODE);
    let units: Vec<&str> = units.copied().filter(|unit| names.contains(unit)).collect();
    let install = programs::installing(programs)
        .map(|command| format!("Environment=\"INSTALL={command}\"\n"))
        .unwrap_or_default();
    let service = format!(
        "[Unit]\nDescription=Upgrade of the machine's programs\nStartLimitIntervalSec=0\n\n\
         [Service]\nType=oneshot\n{install}ExecStart=/bin/sh {} {WANTED} -- {}\n\
         Restart=on-failure\nRestartSec=2s\nTimeoutStartSec=infinity\n\n\
         [Install]\nWantedBy=multi-user.target\n",
        trust::SCRIPT,
        units.join(" "),
    );
    let path = format!(
        "[Unit]\nDescription=Wait for an upgrade\n\n[Path]\nPathChanged={WANTED}\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    vec![
        unit("release.service", &service),
        unit("release.path", &path),
    ]
}

/// The units of a machine to restart when it goes from one specification to another, in order.
pub fn units_to_restart(from: &ClusterSpec, to: &ClusterSpec, role: Role) -> Vec<&'static str> {
    let programs = |spec: &ClusterSpec| -> Vec<(&'static str, Program)> {
        let named = match role {
            Role::Replica => spec.programs.replica(spec.replica_is_node()),
            Role::Node => spec.programs.node(),
        };
        named
            .into_iter()
            .map(|(name, program)| (name, program.clone()))
            .collect()
    };
    let old = programs(from);
    let is_changed = |name: &str, program: &Program| {
        let (one, other) = (&from.versions, &to.versions);
        let version = match name {
            "etcd" => one.etcd != other.etcd,
            "containerd" => one.runtime != other.runtime,
            // An installed program has the same path in every version.
            _ => one.kubernetes != other.kubernetes,
        };
        version
            || !old
                .iter()
                .any(|(known, had)| *known == name && had == program)
    };
    let new = programs(to);
    let changed: BTreeSet<&str> = new
        .iter()
        .filter(|(name, program)| *name != CNI_PLUGINS && is_changed(name, program))
        .map(|(name, _)| *name)
        .collect();
    let units = CONTROL_PLANE.into_iter().chain(NODE);
    units.filter(|unit| changed.contains(unit)).collect()
}

/// What a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A replica, which may run pods as well.
    Replica,
    /// A node.
    Node,
}
