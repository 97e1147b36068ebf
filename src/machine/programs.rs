//! Where the programs of a machine come from.

use super::cloud_config::File;
use crate::cluster::ClusterSpec;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where one program comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// An executable of this host, which the local cloud's machines share.
    Host(PathBuf),
    /// hakube's stand-in, run by this hakube. Not Kubernetes.
    StandIn {
        /// The hakube to run.
        hakube: PathBuf,
    },
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

impl Programs {
    /// The names of the components that are stood in for.
    pub fn stand_ins(&self) -> Vec<&'static str> {
        [
            ("kube-apiserver", &self.kube_apiserver),
            ("kube-controller-manager", &self.kube_controller_manager),
            ("kube-scheduler", &self.kube_scheduler),
            ("kubelet", &self.kubelet),
        ]
        .into_iter()
        .filter(|(_, program)| matches!(program, Program::StandIn { .. }))
        .map(|(name, _)| name)
        .collect()
    }

    /// The file that makes a program callable as `/usr/local/bin/<name>`.
    pub(super) fn file(&self, name: &str, program: &Program, spec: &ClusterSpec) -> File {
        let script = match program {
            Program::Host(path) => format!("#!/bin/sh\nexec {} \"$@\"\n", quote(path)),
            Program::StandIn { hakube } => format!(
                "#!/bin/sh\n# A stand-in: not Kubernetes' {name}.\nexec {} stand-in {name} --stand-in-version={} \"$@\"\n",
                quote(hakube),
                spec.versions.kubernetes
            ),
        };
        File::text(format!("/usr/local/bin/{name}"), 0o755, script)
    }
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
