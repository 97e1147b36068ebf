//! Where the programs of a machine come from.

use super::cloud_config::File;
use crate::cluster::ClusterSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
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
    /// The program's path within the download, where that is a `.tar.gz`. A path that ends with `/` is a
    /// directory: every file in it is installed.
    pub member: Option<String>,
}

/// An image archive that a machine imports before its kubelet starts, so that no registry is asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageArchive {
    /// The image's name, as pods ask for it: `registry.k8s.io/pause:3.10.2`.
    pub image: String,
    /// Where the archive is.
    pub url: String,
    /// The archive's SHA-256, in 64 hexadecimal digits.
    pub sha256: String,
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
    /// What runs pods beside the kubelet. `None` where machines are processes of the operator's host: their
    /// nodes are hollow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodPrograms>,
}

/// What a machine needs besides the kubelet to run pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodPrograms {
    /// kube-proxy.
    pub kube_proxy: Program,
    /// containerd, its shim and `ctr`.
    pub containerd: Program,
    /// runc.
    pub runc: Program,
    /// The CNI plugins.
    pub cni_plugins: Program,
    /// Images that don't come from a registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImageArchive>,
}

/// A program and its name on the machine.
type Named<'a> = (&'static str, &'a Program);

/// Where programs are called by name.
const DIRECTORY: &str = "/usr/local/bin";
/// Where the container runtime looks for CNI plugins.
pub(super) const CNI_DIRECTORY: &str = "/opt/cni/bin";
/// Where image archives wait to be imported.
pub(super) const IMAGES_DIRECTORY: &str = "/var/lib/hakube/images";
/// The name that the CNI plugins have together.
const CNI_PLUGINS: &str = "cni-plugins";
const LIST: &str = "/etc/hakube/artifacts.json";
const INSTALLER: &str = "/usr/local/lib/hakube/artifacts.py";
const UNIT: &str = "artifacts.service";

impl Programs {
    /// Those of a replica, and of the node that it is where `is_node`.
    pub(super) fn replica(&self, is_node: IsNode) -> Vec<Named<'_>> {
        let mut programs = vec![
            ("etcd", &self.etcd),
            ("kube-apiserver", &self.kube_apiserver),
            ("kube-controller-manager", &self.kube_controller_manager),
            ("kube-scheduler", &self.kube_scheduler),
        ];
        if is_node == IsNode::Yes {
            programs.extend(self.node());
        }
        programs
    }

    /// Those of a node.
    pub(super) fn node(&self) -> Vec<Named<'_>> {
        let mut programs = vec![("kubelet", &self.kubelet)];
        if let Some(pods) = &self.pods {
            programs.extend([
                ("kube-proxy", &pods.kube_proxy),
                ("containerd", &pods.containerd),
                ("runc", &pods.runc),
                (CNI_PLUGINS, &pods.cni_plugins),
            ]);
        }
        programs
    }

    /// The servers on a loopback that machines download from.
    pub fn on_loopback(&self) -> BTreeSet<SocketAddr> {
        let urls = self.downloads(true);
        urls.iter().filter_map(|url| loopback(url)).collect()
    }

    /// The URLs of what a replica downloads, which is a node too where `is_node`.
    pub fn downloads(&self, is_node: bool) -> Vec<String> {
        if is_node {
            urls(&self.replica(IsNode::Yes), self.images())
        } else {
            urls(&self.replica(IsNode::No), &[])
        }
    }

    /// The URLs of what a node downloads.
    pub fn node_downloads(&self) -> Vec<String> {
        urls(&self.node(), self.images())
    }

    /// The image archives of a machine that runs pods.
    pub(super) fn images(&self) -> &[ImageArchive] {
        self.pods.as_ref().map_or(&[], |pods| &pods.images)
    }
}

/// The loopback address that a URL's server has, if it has one.
fn loopback(url: &str) -> Option<SocketAddr> {
    let url = reqwest::Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let address = match host {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        host => host.parse().ok()?,
    };
    let port = url.port_or_known_default()?;
    address
        .is_loopback()
        .then_some(SocketAddr::new(address, port))
}

fn urls(programs: &[Named<'_>], images: &[ImageArchive]) -> Vec<String> {
    let programs = programs.iter().filter_map(|(_, program)| match program {
        Program::Artifact(artifact) => Some(artifact.url.clone()),
        Program::Installed(_) | Program::StandIn { .. } => None,
    });
    let images = images.iter().map(|archive| archive.url.clone());
    programs.chain(images).collect()
}

/// Whether a replica registers as a node and runs pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IsNode {
    Yes,
    No,
}

/// The unit after which the downloaded ones of these programs are there, if any is.
pub(super) fn unit(programs: &[Named<'_>]) -> Option<&'static str> {
    programs
        .iter()
        .any(|(_, program)| matches!(program, Program::Artifact(_)))
        .then_some(UNIT)
}

/// The files that make these programs callable as `/usr/local/bin/<name>`, and that bring the image archives.
pub(super) fn files(
    programs: &[Named<'_>],
    images: &[ImageArchive],
    spec: &ClusterSpec,
) -> Vec<File> {
    let mut files: Vec<File> = programs
        .iter()
        .filter(|(name, _)| *name != CNI_PLUGINS)
        .filter_map(|(name, program)| {
            let script = script(name, program, spec)?;
            Some(File::text(format!("{DIRECTORY}/{name}"), 0o755, script))
        })
        .collect();
    if let Some(unit) = unit(programs) {
        files.extend(installer(programs, images, unit));
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
fn installer(programs: &[Named<'_>], images: &[ImageArchive], unit: &str) -> [File; 3] {
    let programs = programs.iter().filter_map(|(name, program)| match program {
        Program::Artifact(artifact) => Some(serde_json::json!({
            "name": name,
            "url": artifact.url,
            "sha256": artifact.sha256,
            "member": artifact.member,
            "into": if *name == CNI_PLUGINS { CNI_DIRECTORY } else { DIRECTORY },
        })),
        _ => None,
    });
    let images = images.iter().map(|archive| {
        serde_json::json!({
            "name": archive_name(&archive.image),
            "url": archive.url,
            "sha256": archive.sha256,
            "member": null,
            "into": IMAGES_DIRECTORY,
        })
    });
    let list: Vec<serde_json::Value> = programs.chain(images).collect();
    let content = format!(
        "[Unit]\nDescription=Programs, downloaded and verified\n\
         Wants=network-online.target\nAfter=network-online.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStart=/usr/bin/python3 {INSTALLER} {LIST} {DIRECTORY} {CNI_DIRECTORY} {IMAGES_DIRECTORY}\n\
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

/// An image's name as a file's.
pub fn archive_name(image: &str) -> String {
    let name = image.replace(
        |c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-',
        "_",
    );
    format!("{name}.tar")
}

/// A path as one word of a POSIX shell.
fn quote(path: &std::path::Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn servers_on_a_loopback_are_known_by_their_urls() {
        let at = |url: &str| loopback(url).map(|at| at.to_string());
        assert_eq!(
            at("http://127.0.0.1:8000/etcd/x.tar.gz").unwrap(),
            "127.0.0.1:8000"
        );
        assert_eq!(at("http://localhost/x").unwrap(), "127.0.0.1:80");
        assert_eq!(at("https://[::1]:8443/x").unwrap(), "[::1]:8443");
        assert_eq!(at("http://10.77.0.1:8000/x"), None);
        assert_eq!(at("https://mirror.test/x"), None);
    }

    #[test]
    fn a_path_stays_one_word_whatever_is_in_it() {
        assert_eq!(
            quote("/opt/it's here/etcd".as_ref()),
            r"'/opt/it'\''s here/etcd'"
        );
    }
}
