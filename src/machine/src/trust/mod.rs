//! Handles changes of the cluster's CAs on a machine: restarts programs that read their files only at
//! startup. The channel delivers the files, then the CAs' digest; the machine reports when they are in force.

use super::cloud_config::File;
use super::service::unit;
use hakube_model::{ClusterSpec, Endpoint};
use hakube_secret::{Secret, SecretFile};

/// The digest of the CAs that a replica's control plane should use.
const CONTROL_PLANE: &str = "/etc/kubernetes/pki/trust";
/// The same for a machine's kubelet.
const KUBELET: &str = "/etc/kubernetes/pki/kubelet.trust";
/// The suffix of the file that reports what is in force.
const IN_FORCE: &str = ".in-force";
pub(super) const SCRIPT: &str = "/etc/hakube/trust.sh";
/// What is in force on a newly booted node, until the first change.
const BOOTED: &str = "booted\n";

/// A part of a machine that uses CAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustPart {
    /// A replica's etcd and control plane.
    ControlPlane,
    /// A machine's kubelet and kube-proxy.
    Kubelet,
}

impl TrustPart {
    fn file(self) -> &'static str {
        match self {
            Self::ControlPlane => CONTROL_PLANE,
            Self::Kubelet => KUBELET,
        }
    }

    /// The file in which the machine reports what is in force.
    pub fn in_force(self) -> String {
        format!("{}{IN_FORCE}", self.file())
    }

    /// The file with what should be in force. It is delivered after the files that it is about.
    pub fn told(self, mark: &str) -> SecretFile {
        file(self.file(), mark)
    }

    /// For a machine whose programs haven't started yet: they will start with the current files.
    pub fn found(self, mark: &str) -> SecretFile {
        file(&self.in_force(), mark)
    }
}

fn file(path: &str, mark: &str) -> SecretFile {
    SecretFile {
        path: path.to_owned(),
        mode: 0o644,
        content: Secret::new(format!("{mark}\n")),
    }
}

/// The units of a replica that handle changes.
pub(super) const REPLICA: [&str; 2] = ["trust.service", "trust.path"];
/// The units of a machine with a kubelet that handle changes.
pub(super) const NODE: [&str; 2] = ["kubelet-trust.service", "kubelet-trust.path"];

/// The script that restarts programs, for a machine that an earlier version of hakube created.
pub fn restarter() -> SecretFile {
    SecretFile {
        path: SCRIPT.to_owned(),
        mode: 0o644,
        content: Secret::new(include_str!("trust.sh").to_owned()),
    }
}

fn script() -> File {
    File::text(SCRIPT, 0o644, include_str!("trust.sh"))
}

/// For a replica's control plane. haproxy, if any, reads the certificates to check API servers with.
pub(super) fn replica(spec: &ClusterSpec) -> Vec<File> {
    let haproxy = match spec.endpoint {
        Endpoint::Machines => " endpoint-haproxy",
        Endpoint::Provider | Endpoint::External(_) => "",
    };
    let units = format!("etcd kube-apiserver kube-controller-manager kube-scheduler{haproxy}");
    let mut files = follow("trust", CONTROL_PLANE, "", &units);
    files.push(script());
    files
}

/// For a replica's kubelet: hakube delivers its client certificate, and it requests a new serving
/// certificate.
pub(super) fn replica_kubelet() -> Vec<File> {
    let forgotten = " /var/lib/kubelet/pki/kubelet-server-current.pem";
    follow("kubelet-trust", KUBELET, forgotten, "kubelet kube-proxy")
}

/// For a node's kubelet, which rejoins.
pub(super) fn node() -> Vec<File> {
    let forgotten = " /var/lib/kubelet/kubeconfig /var/lib/kubelet/pki/kubelet-client-current.pem \
        /var/lib/kubelet/pki/kubelet-server-current.pem";
    let mut files = follow("kubelet-trust", KUBELET, forgotten, "kubelet kube-proxy");
    files.push(script());
    files
}

/// What is in force on a node when it boots.
pub(super) fn booted() -> File {
    File::text(format!("{KUBELET}{IN_FORCE}"), 0o644, BOOTED)
}

fn follow(name: &str, told: &str, forgotten: &str, units: &str) -> Vec<File> {
    let service = format!(
        "[Unit]\nDescription=Restart programs after a change of the cluster's CAs\n\
         StartLimitIntervalSec=0\n\n\
         [Service]\nType=oneshot\nExecStart=/bin/sh {SCRIPT} {told}{forgotten} -- {units}\n\
         Restart=on-failure\nRestartSec=2s\nTimeoutStartSec=infinity\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    let path = format!(
        "[Unit]\nDescription=Wait for a change of the cluster's CAs\n\n\
         [Path]\nPathChanged={told}\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    vec![
        unit(&format!("{name}.service"), &service),
        unit(&format!("{name}.path"), &path),
    ]
}
