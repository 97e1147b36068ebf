//! The files of a machine that runs pods: of nodes, and of replicas that register as nodes.
//!
//! In start order: host preparation, containerd, the import of image archives, the kubelet, kube-proxy.
//! kube-proxy is a unit rather than a DaemonSet, so that Services work before the first pod runs and it is
//! installed like all other programs. It uses the kubelet's certificate, which is renewed automatically.

mod containerd;
mod kubelet;
mod proxy;

use super::cloud_config::File;
use super::programs::archive_name;
use super::service::{Service, unit};
use hakube_model::ClusterSpec;
use hakube_pki::NodeFiles;

pub(super) use kubelet::Registration;

/// The identity of a replica's kubelet and kube-proxy. The kubelet stores renewed certificates next
/// to the first one, and maintains a link to the current one.
pub const NODE_FILES: NodeFiles = NodeFiles {
    first: "/var/lib/kubelet/pki/kubelet-client-first.pem",
    current: "/var/lib/kubelet/pki/kubelet-client-current.pem",
    kubeconfig: "/etc/kubernetes/kubelet.kubeconfig",
};

/// Prepares the host.
const PREPARE: &str = "node-prepare.service";
const PREPARE_SCRIPT: &str = "/usr/local/lib/hakube/prepare.sh";
/// Imports image archives.
const IMAGES: &str = "images.service";
const IMAGES_LIST: &str = "/etc/hakube/images.list";
const IMAGES_SCRIPT: &str = "/usr/local/lib/hakube/images.sh";

/// The files of a machine with this registration.
pub(super) fn files(spec: &ClusterSpec, registration: &Registration<'_>) -> Vec<File> {
    let downloads = super::programs::unit(&spec.programs.node());
    let mut files = kubelet::files(spec, registration, downloads);
    if spec.programs.pods.is_none() {
        return files;
    }
    files.extend(prepare());
    files.extend(containerd::files(spec, downloads));
    if !spec.programs.images().is_empty() {
        files.extend(images(spec));
    }
    files.extend(proxy::files(spec, registration, downloads));
    files
}

/// The units that are enabled and started on a node.
pub(super) fn units(spec: &ClusterSpec) -> Vec<&'static str> {
    let mut units = vec!["kubelet.service"];
    if spec.programs.pods.is_some() {
        units.extend(["containerd.service", "kube-proxy.service"]);
    }
    units
}

fn prepare() -> [File; 2] {
    let content = format!(
        "[Unit]\nDescription=Host preparation for pods\nBefore=containerd.service\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/bin/sh {PREPARE_SCRIPT} {} {}\n",
        containerd::TEMPLATE,
        containerd::CONFIG,
    );
    [
        File::text(PREPARE_SCRIPT, 0o755, include_str!("prepare.sh")),
        unit(PREPARE, &content),
    ]
}

fn images(spec: &ClusterSpec) -> [File; 3] {
    let directory = super::programs::IMAGES_DIRECTORY;
    let archives = spec.programs.images().iter();
    let list: String = archives
        .map(|archive| format!("{} {}\n", archive_name(&archive.image), archive.image))
        .collect();
    let content = format!(
        "[Unit]\nDescription=Import of image archives\n\
         Requires=containerd.service\nAfter=containerd.service\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n\
         Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         ExecStart=/bin/sh {IMAGES_SCRIPT} {IMAGES_LIST} {directory}\nTimeoutStartSec=infinity\nRestart=on-failure\nRestartSec=2s\n"
    );
    [
        File::text(IMAGES_LIST, 0o644, list),
        File::text(IMAGES_SCRIPT, 0o755, include_str!("images.sh")),
        unit(IMAGES, &content),
    ]
}
