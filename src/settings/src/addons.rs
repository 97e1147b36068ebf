//! Addons: which are enabled, their image repository, and the operator's own manifests.

use super::parse::{self, Malformed, Parsed};
use super::path::Directories;
use super::reader::Reader;
use super::table;
use hakube_model::PodNetwork;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The addons that the operator wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonWishes {
    /// The pod network.
    pub pod_network: PodNetwork,
    /// Whether CoreDNS is installed.
    pub cluster_dns: bool,
    /// Whether each node runs a DNS cache.
    pub node_local_dns: bool,
    /// Whether metrics-server is installed.
    pub metrics_server: bool,
    /// Replaces the images' registries.
    pub image_repository: Option<String>,
    /// Files and directories of the operator's own manifests. Absolute.
    pub manifests: Vec<PathBuf>,
}

pub(super) fn addons(read: &mut Reader<'_>, directories: &Directories<'_>) -> Option<AddonWishes> {
    let pod_network = read.read(&table::POD_NETWORK, str::parse);
    let cluster_dns = read.boolean(&table::CLUSTER_DNS);
    let node_local_dns = read.boolean(&table::NODE_LOCAL_DNS);
    if node_local_dns == Some(true) && cluster_dns == Some(false) {
        read.object_with_form(
            &table::NODE_LOCAL_DNS,
            "there is no cluster DNS to cache: KUBE_ENABLE_CLUSTER_DNS is false",
            "false, or KUBE_ENABLE_CLUSTER_DNS=true".to_owned(),
        );
    }
    let metrics_server = read.boolean(&table::METRICS_SERVER);
    let image_repository = read.read(&table::IMAGE_REPOSITORY, image_repository);
    let manifests = read.read(&table::MANIFESTS, |text| match text {
        "none" => Ok(Vec::new()),
        paths => directories.resolve_list(paths),
    });
    Some(AddonWishes {
        pod_network: pod_network?,
        cluster_dns: cluster_dns?,
        node_local_dns: node_local_dns?,
        metrics_server: metrics_server?,
        image_repository,
        manifests: manifests.unwrap_or_default(),
    })
}

/// A registry's host and a path.
fn image_repository(text: &str) -> Parsed<String> {
    if text.contains("://") {
        return Err(Malformed::new(
            "it has a scheme, which image names don't have",
        ));
    }
    let mut parts = text.split('/');
    let host = parts.next().unwrap_or_default();
    let (name, port) = host
        .split_once(':')
        .map_or((host, None), |(name, port)| (name, Some(port)));
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    if parse::domain(name).is_err() && name.parse::<std::net::Ipv4Addr>().is_err() {
        return Err(Malformed::new("it doesn't start with a registry's host"));
    }
    if !port.is_none_or(is_port) {
        return Err(Malformed::new("the port is invalid"));
    }
    let is_word = |part: &str| {
        let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        part.starts_with(is_end)
            && part.ends_with(is_end)
            && part.chars().all(|c| is_end(c) || "._-".contains(c))
    };
    if parts.all(is_word) {
        Ok(text.to_owned())
    } else {
        Err(Malformed::new(
            "the path has a part that isn't a valid repository name",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_a_host_and_a_path() {
        for good in [
            "mirror.test",
            "mirror.test:5000",
            "10.0.0.1:5000/k8s",
            "m.test/a/b-c",
        ] {
            assert_eq!(image_repository(good).as_deref(), Ok(good));
        }
        for bad in [
            "https://mirror.test",
            "mirror.test/",
            "mirror.test:0",
            "mirror.test:x/a",
            "mirror.test//a",
            "mirror.test/A",
            "mirror test",
        ] {
            assert!(image_repository(bad).is_err(), "{bad}");
        }
    }
}
