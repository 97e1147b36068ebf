//! The versions that machines run, and where their programs are.

use std::path::PathBuf;

/// The versions that machines run; everything else has hakube's default version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub kubernetes: &'static str,
    pub etcd: &'static str,
    /// The argument of `scripts/lib/kubernetes-programs` that builds them.
    pub set: &'static str,
}

impl Versions {
    /// The default versions of `up`.
    pub const DEFAULT: Self = Self {
        kubernetes: "v1.36.3",
        etcd: "3.6.16",
        set: "default",
    };
    /// The previous minor versions of both.
    pub const BEFORE: Self = Self {
        kubernetes: "v1.35.4",
        etcd: "3.5.35",
        set: "deep",
    };
}

impl Versions {
    /// What `scripts/lib/kubernetes-programs` built; `None` if the environment says that this machine can't run it.
    pub fn built(self) -> Option<PathBuf> {
        const WITHOUT: &str = "HAKUBE_TESTS_WITHOUT_KUBERNETES";
        if hakube_yard::without_hosts() || std::env::var_os(WITHOUT).is_some() {
            return None;
        }
        let built = std::env::var_os("HAKUBE_TEST_KUBERNETES").map(PathBuf::from);
        let built = built.unwrap_or_else(|| {
            panic!("HAKUBE_TEST_KUBERNETES isn't set to what scripts/lib/kubernetes-programs prints: run scripts/test pods, or set {WITHOUT}=1")
        });
        let Self {
            kubernetes, set, ..
        } = self;
        let kubelet = format!("mirror/kubernetes/{kubernetes}/bin/linux/amd64/kubelet");
        assert!(
            built.join(kubelet).exists(),
            "{} has no Kubernetes {kubernetes}: HAKUBE_TEST_KUBERNETES is to be what `scripts/lib/kubernetes-programs {set}` prints",
            built.display()
        );
        Some(built)
    }
}
