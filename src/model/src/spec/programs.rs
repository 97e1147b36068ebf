//! The sources of a machine's programs.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The name that the CNI plugins have together.
pub const CNI_PLUGINS: &str = "cni-plugins";

/// Where one program comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// An executable that already exists: in the machine's image, or for the local cloud on this host.
    #[serde(alias = "host")]
    Installed(PathBuf),
    /// hakube's stand-in for the program.
    StandIn {
        /// The hakube executable to run.
        hakube: PathBuf,
    },
    /// A download, installed if its checksum matches.
    Artifact(Artifact),
    /// A download for nodes whose checksum isn't recorded yet: it is resolved before the first node
    /// is created.
    Deferred(Deferred),
}

/// A download without a recorded checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deferred {
    /// The download's URL.
    pub url: String,
    /// The URL of its publisher's checksum.
    pub sums: String,
    /// The same as an artifact's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
}

/// A download with its expected checksum. It is part of the intent: all replicas of a cluster run
/// the same programs as the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The download's URL.
    pub url: String,
    /// Its SHA-256, in 64 hexadecimal digits.
    pub sha256: String,
    /// The program's path within the download, if that is a `.tar.gz`. A path ending in `/` is a
    /// directory: all its files are installed.
    pub member: Option<String>,
}

/// An image archive that a machine imports before its kubelet starts, instead of pulling the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageArchive {
    /// The image's name, as pods use it: `registry.k8s.io/pause:3.10.2`.
    pub image: String,
    /// The archive's URL.
    pub url: String,
    /// The archive's SHA-256, in 64 hexadecimal digits.
    pub sha256: String,
}

/// The sources of a cluster's programs.
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
    /// Other programs that run pods. `None` if machines are processes of the operator's host: their
    /// nodes are hollow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodPrograms>,
}

/// Programs other than the kubelet that a machine needs to run pods.
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
    /// The URL of their directory, if its list is to be fetched before the first node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred_images: Option<String>,
}

/// A program and its name on the machine.
pub type Named<'a> = (&'static str, &'a Program);

impl Programs {
    /// A replica's programs, including those of a node if `is_node`.
    pub fn replica(&self, is_node: IsNode) -> Vec<Named<'_>> {
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

    /// A node's programs.
    pub fn node(&self) -> Vec<Named<'_>> {
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

    /// The loopback addresses of servers that machines download from.
    pub fn on_loopback(&self) -> BTreeSet<SocketAddr> {
        let urls = self.downloads(IsNode::Yes);
        urls.iter().filter_map(|url| loopback(url)).collect()
    }

    /// The URLs of a replica's downloads.
    pub fn downloads(&self, is_node: IsNode) -> Vec<String> {
        let images = match is_node {
            IsNode::Yes => self.images(),
            IsNode::No => &[],
        };
        urls(&self.replica(is_node), images)
    }

    /// The URLs of a node's downloads.
    pub fn node_downloads(&self) -> Vec<String> {
        urls(&self.node(), self.images())
    }

    /// A node's programs, to resolve deferred ones.
    pub fn node_mut(&mut self) -> Vec<&mut Program> {
        let mut programs = vec![&mut self.kubelet];
        if let Some(pods) = &mut self.pods {
            programs.extend([
                &mut pods.kube_proxy,
                &mut pods.containerd,
                &mut pods.runc,
                &mut pods.cni_plugins,
            ]);
        }
        programs
    }

    /// The image archives of a machine that runs pods.
    pub fn images(&self) -> &[ImageArchive] {
        self.pods.as_ref().map_or(&[], |pods| &pods.images)
    }
}

/// The loopback address of a URL's server, if it has one.
fn loopback(url: &str) -> Option<SocketAddr> {
    let url = url::Url::parse(url).ok()?;
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
        Program::Installed(_) | Program::StandIn { .. } | Program::Deferred(_) => None,
    });
    let images = images.iter().map(|archive| archive.url.clone());
    programs.chain(images).collect()
}

/// Whether a replica registers as a node and runs pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsNode {
    /// It does.
    Yes,
    /// It only serves.
    No,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn servers_on_loopback_are_recognized_by_their_urls() {
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
}
