//! Where the programs of a machine come from.

use super::cloud_config::File;
use crate::cluster::ClusterSpec;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where one program comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// An executable that is on the machine already: part of its image, or (on the local cloud, whose
    /// machines share it) of this host.
    #[serde(alias = "host")]
    Installed(PathBuf),
    /// hakube's stand-in, run by this hakube. Not Kubernetes.
    StandIn {
        /// The hakube to run.
        hakube: PathBuf,
    },
    /// A download, which is installed if its sum is right.
    Artifact(Artifact),
}

/// A download and the sum that it must have. It is part of the intent: every replica that a cluster ever
/// gets runs the same programs as its first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where it is.
    pub url: String,
    /// The download's SHA-256, in 64 hexadecimal digits.
    pub sha256: String,
    /// The program's path within the download, where that is a `.tar.gz`.
    pub member: Option<String>,
}

/// Where each program of a cluster comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programs {
    /// etcd.
    pub etcd: Program,
    /// kube-apiserver.
    pub kube_apiserver: Program,
    /// kube-controller-manager.
    pub kube_controller_manager: Program,
    /// kube-scheduler.
    pub kube_scheduler: Program,
    /// kubelet.
    pub kubelet: Program,
}

/// A program and its name on the machine.
type Named<'a> = (&'static str, &'a Program);

/// Where programs are called by name.
const DIRECTORY: &str = "/usr/local/bin";
const LIST: &str = "/etc/hakube/artifacts.json";
const INSTALLER: &str = "/usr/local/lib/hakube/artifacts.py";
const UNIT: &str = "artifacts.service";

impl Programs {
    /// The names of the components that are stood in for.
    pub fn stand_ins(&self) -> Vec<&'static str> {
        self.replica()
            .into_iter()
            .chain(self.node())
            .filter(|(_, program)| matches!(program, Program::StandIn { .. }))
            .map(|(name, _)| name)
            .collect()
    }

    /// Those of a replica.
    pub(super) fn replica(&self) -> [Named<'_>; 4] {
        [
            ("etcd", &self.etcd),
            ("kube-apiserver", &self.kube_apiserver),
            ("kube-controller-manager", &self.kube_controller_manager),
            ("kube-scheduler", &self.kube_scheduler),
        ]
    }

    /// Those of a node.
    pub(super) fn node(&self) -> [Named<'_>; 1] {
        [("kubelet", &self.kubelet)]
    }
}

/// The unit after which the downloaded ones of these programs are there, if any is.
pub(super) fn unit(programs: &[Named<'_>]) -> Option<&'static str> {
    programs
        .iter()
        .any(|(_, program)| matches!(program, Program::Artifact(_)))
        .then_some(UNIT)
}

/// The files that make these programs callable as `/usr/local/bin/<name>`.
pub(super) fn files(programs: &[Named<'_>], spec: &ClusterSpec) -> Vec<File> {
    let mut files: Vec<File> = programs
        .iter()
        .filter_map(|(name, program)| {
            let script = script(name, program, spec)?;
            Some(File::text(format!("{DIRECTORY}/{name}"), 0o755, script))
        })
        .collect();
    if let Some(unit) = unit(programs) {
        files.extend(installer(programs, unit));
    }
    files
}

fn script(name: &str, program: &Program, spec: &ClusterSpec) -> Option<String> {
    match program {
        Program::Installed(path) => Some(format!("#!/bin/sh\nexec {} \"$@\"\n", quote(path))),
        Program::StandIn { hakube } => Some(format!(
            "#!/bin/sh\n# A stand-in: not Kubernetes' {name}.\nexec {} stand-in {name} --stand-in-version={} \"$@\"\n",
            quote(hakube),
            spec.versions.kubernetes
        )),
        Program::Artifact(_) => None,
    }
}

/// The list of downloads, what installs them, and the unit that runs that. It is handed every path, so
/// that a machine of the local cloud can hand it its own.
fn installer(programs: &[Named<'_>], unit: &str) -> [File; 3] {
    let list: Vec<serde_json::Value> = programs
        .iter()
        .filter_map(|(name, program)| match program {
            Program::Artifact(artifact) => Some(serde_json::json!({
                "name": name,
                "url": artifact.url,
                "sha256": artifact.sha256,
                "member": artifact.member,
            })),
            _ => None,
        })
        .collect();
    let content = format!(
        "[Unit]\nDescription=Programs, downloaded and verified\n\
         Wants=network-online.target\nAfter=network-online.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/usr/bin/python3 {INSTALLER} {LIST} {DIRECTORY}\n\
         TimeoutStartSec=infinity\nStandardOutput=journal+console\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    [
        File::text(
            LIST,
            0o644,
            format!("{:#}\n", serde_json::Value::Array(list)),
        ),
        File::text(INSTALLER, 0o644, include_str!("artifacts.py")),
        File::text(format!("/etc/systemd/system/{unit}"), 0o644, content),
    ]
}

/// A path as one word of a POSIX shell.
fn quote(path: &std::path::Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_whatever_is_in_it() {
        assert_eq!(
            quote("/opt/it's here/etcd".as_ref()),
            r"'/opt/it'\''s here/etcd'"
        );
    }
}
