//! The images of hakube's own pods, and where they are pulled from. Used by manifests, the
//! container runtime's configuration and the list of artifacts.

/// An image that hakube's clusters need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// The sandbox that holds a pod's namespaces.
    Pause,
    /// The cluster's DNS.
    CoreDns,
    /// The pod network.
    Flannel,
    /// metrics-server.
    MetricsServer,
}

impl Image {
    /// All images.
    pub const ALL: [Self; 4] = [
        Self::Pause,
        Self::CoreDns,
        Self::Flannel,
        Self::MetricsServer,
    ];

    /// Where the image is published: the registry's host, the repository, the version.
    /// Sources: Kubernetes 1.36's own constants, and the releases of CoreDNS, flannel and metrics-server.
    pub fn published(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Pause => ("registry.k8s.io", "pause", "3.10.2"),
            Self::CoreDns => ("registry.k8s.io", "coredns/coredns", "v1.14.2"),
            Self::Flannel => ("ghcr.io", "flannel-io/flannel", "v0.28.4"),
            Self::MetricsServer => ("registry.k8s.io", "metrics-server/metrics-server", "v0.8.0"),
        }
    }

    /// The name to pull the image by. `mirror`, if any, replaces the registry's host.
    pub fn reference(self, mirror: Option<&str>) -> String {
        let (host, repository, version) = self.published();
        format!("{}/{repository}:{version}", mirror.unwrap_or(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_replaces_only_the_registrys_host() {
        let mirrored = |image: Image| image.reference(Some("mirror.test:5000/k8s"));
        assert_eq!(
            mirrored(Image::Flannel),
            "mirror.test:5000/k8s/flannel-io/flannel:v0.28.4"
        );
        assert_eq!(
            mirrored(Image::CoreDns),
            "mirror.test:5000/k8s/coredns/coredns:v1.14.2"
        );
        for image in Image::ALL {
            let (host, _, version) = image.published();
            let published = image.reference(None);
            assert!(published.starts_with(host) && published.ends_with(version));
        }
    }
}
