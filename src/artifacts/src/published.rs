//! Publishers' names of the programs that machines download: pure.

use hakube_model::Arch;
use hakube_settings::Settings;
use semver::Version;

/// A program that machines download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// etcd.
    Etcd,
    /// kube-apiserver.
    ApiServer,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// kubelet.
    Kubelet,
    /// kube-proxy.
    Proxy,
    /// containerd, its shim and `ctr`.
    Containerd,
    /// runc.
    Runc,
    /// The set of CNI plugins.
    CniPlugins,
}

impl Published {
    /// All of them, in display order.
    pub const ALL: [Self; 9] = [
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kubelet,
        Self::Proxy,
        Self::Etcd,
        Self::Containerd,
        Self::Runc,
        Self::CniPlugins,
    ];
    /// Kubernetes' programs on a replica.
    pub const CONTROL_PLANE: [Self; 3] =
        [Self::ApiServer, Self::ControllerManager, Self::Scheduler];

    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::Proxy => "kube-proxy",
            Self::Containerd => "containerd",
            Self::Runc => "runc",
            Self::CniPlugins => "cni-plugins",
        }
    }

    /// The directory of a mirror with its releases.
    pub fn directory(self) -> &'static str {
        match self {
            Self::ApiServer
            | Self::ControllerManager
            | Self::Scheduler
            | Self::Kubelet
            | Self::Proxy => "kubernetes",
            other => other.name(),
        }
    }

    /// The URL of its releases, if set.
    pub fn releases(self, settings: &Settings) -> Option<&str> {
        let releases = &settings.releases;
        let url = match self {
            Self::Etcd => &releases.etcd,
            Self::Containerd => &releases.containerd,
            Self::Runc => &releases.runc,
            Self::CniPlugins => &releases.cni_plugins,
            _ => &releases.kubernetes,
        };
        url.as_deref()
    }

    /// The version in the settings; etcd's may be unset.
    pub fn version(self, settings: &Settings) -> Option<&Version> {
        let versions = &settings.versions;
        match self {
            Self::Etcd => versions.etcd.as_ref(),
            Self::Containerd => Some(&versions.runtime.containerd),
            Self::Runc => Some(&versions.runtime.runc),
            Self::CniPlugins => Some(&versions.runtime.cni_plugins),
            _ => Some(&versions.kubernetes),
        }
    }

    /// The file's path below the URL of its releases. Sources of the names:
    /// <https://kubernetes.io/releases/download/#binaries>, <https://github.com/etcd-io/etcd/releases>,
    /// <https://github.com/containerd/containerd/releases>, <https://github.com/opencontainers/runc/releases>,
    /// <https://github.com/containernetworking/plugins/releases>
    pub fn path(self, version: &Version, arch: Arch) -> String {
        match self {
            Self::Etcd => format!("v{version}/{}.tar.gz", etcd_stem(version, arch)),
            Self::Containerd => format!("v{version}/containerd-{version}-linux-{arch}.tar.gz"),
            Self::Runc => format!("v{version}/runc.{arch}"),
            Self::CniPlugins => format!("v{version}/cni-plugins-linux-{arch}-v{version}.tgz"),
            kubernetes => format!("v{version}/bin/linux/{arch}/{}", kubernetes.name()),
        }
    }

    /// The path, below the same URL, of the file with its SHA-256.
    pub fn sums(self, version: &Version, arch: Arch) -> String {
        let path = || self.path(version, arch);
        match self {
            Self::Etcd => format!("v{version}/SHA256SUMS"),
            Self::Containerd => format!("{}.sha256sum", path()),
            Self::Runc => format!("v{version}/runc.sha256sum"),
            _ => format!("{}.sha256", path()),
        }
    }

    /// The program's path within the file, if that is an archive. A directory ends in `/`.
    pub fn member(self, version: &Version, arch: Arch) -> Option<String> {
        match self {
            Self::Etcd => Some(format!("{}/etcd", etcd_stem(version, arch))),
            Self::Containerd => Some("bin/".to_owned()),
            Self::CniPlugins => Some("./".to_owned()),
            _ => None,
        }
    }
}

fn etcd_stem(version: &Version, arch: Arch) -> String {
    format!("etcd-v{version}-linux-{arch}")
}
