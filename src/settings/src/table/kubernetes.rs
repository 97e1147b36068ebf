//! etcd, the API server, certificates.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { ETCD: "etcd", "Each replica runs one member, with mutual TLS on every port.";
    ETCD_VERSION = Setting::new("ETCD_VERSION", Kind::Version, Unset("the version of the binary that is found"),
        "The etcd version, 3.4 or later.")
        .flag("--etcd-version");
    ETCD_BINARY = Setting::new("HAKUBE_ETCD_BINARY", Kind::Path, Unset("downloaded; on the local cloud `etcd` in PATH"),
        "The path of the etcd binary to run: on this host for the local cloud, otherwise in the machines' image.")
        .flag("--etcd-binary");
    ETCD_QUOTA = Setting::new("ETCD_QUOTA_BACKEND_BYTES", Kind::Integer(16 << 20, 1 << 40), Value("4294967296"),
        "The database size in bytes at which etcd refuses writes. etcd's authors recommend at most 8 GiB.");
    ETCD_ARGS = Setting::new("ETCD_EXTRA_ARGS", Kind::Arguments, Unset("none"),
        "Extra arguments of etcd, beyond those that hakube sets.");
    ETCD_PROGRESS = Setting::new("ETCD_PROGRESS_NOTIFY_INTERVAL", Kind::Duration,
        Derived("from ETCD_EXTRA_ARGS: `5s`, unless they set the flag"),
        "How often etcd sends progress notifications to idle watchers. Not supported by etcd before 3.4.11.");
    ETCD_COMPACTION = Setting::new("ETCD_COMPACTION_INTERVAL_SEC", Kind::Integer(0, 86400), Unset("the API server's own: 300"),
        "How often, in seconds, the API server compacts etcd's history. `0`: never; etcd must then compact automatically.");
}

group! { API_SERVER: "Kubernetes components", "Flags of the control plane's components.";
    API_PORT = Setting::new("HAKUBE_API_PORT", Kind::Integer(1, 65535), Value("443"),
        "The API server's TCP port, on replicas and on the endpoint.")
        .flag("--api-port");
    KUBE_BINARIES = Setting::new("HAKUBE_KUBE_BINARIES", Kind::Path,
        Unset("downloaded; on the local cloud, PATH is searched first"),
        "The directory of kube-apiserver, kube-controller-manager, kube-scheduler and kubelet: on this host \
         for the local cloud (whose kubelets are stand-ins), otherwise in the machines' image.")
        .flag("--kube-binaries");
    STAND_INS = Setting::new("HAKUBE_STAND_INS", Kind::Bool, Value("false"),
        "On the local cloud, whether small stand-ins replace Kubernetes' API server, controller manager and \
         scheduler. They start fast and need no download.")
        .flag("--stand-ins");
    RUNTIME_CONFIG = Setting::new("KUBE_RUNTIME_CONFIG", Kind::Switches, Unset("Kubernetes' own"),
        "API versions to enable or disable, such as `api/all=true`.");
    FEATURE_GATES = Setting::new("KUBE_FEATURE_GATES", Kind::Switches, Unset("Kubernetes' own"),
        "Feature gates to enable or disable in all components.");
    REQUEST_TIMEOUT = Setting::new("KUBE_APISERVER_REQUEST_TIMEOUT_SEC", Kind::Integer(1, 86400), Unset("the API server's own: 60"),
        "The API server's request timeout in seconds. Watches have their own limits.");
    ENCRYPTION = Setting::new("HAKUBE_ENCRYPTION", Kind::Choice(&["secretbox", "none"]), Value("secretbox"),
        "How API servers encrypt Secrets before etcd stores them. The key is in pki.json and, in a file of mode 0600, \
         on replicas; backups have it too.");
    RUN_CONTROLLERS = Setting::new("RUN_CONTROLLERS", Kind::Controllers, Value("*"),
        "The controllers that the controller manager runs. Those required for nodes to join (bootstrapsigner, tokencleaner, \
         csrapproving, csrsigning) always run and can't be switched off.");
    SIGNING_DURATION = Setting::new("CLUSTER_SIGNING_DURATION", Kind::Duration, Unset("the controller manager's own: 8760h"),
        "How long kubelets' certificates are valid, at most as long as their CA. Kubelets renew them automatically.");
    SERVICE_ACCOUNT_ISSUER = Setting::new("SERVICEACCOUNT_ISSUER", Kind::Issuer, Derived("from KUBE_DNS_DOMAIN"),
        "The issuer in service account tokens: `https://kubernetes.default.svc.<domain>`. Changing it invalidates \
         all tokens.");
}

group! { RELEASES: "Downloads", "Machines download the programs that they run. They install only files with the SHA-256 checksums that `hakube up` recorded in the intent. For a closed network, mirror the files and set HAKUBE_MIRROR.";
    KUBERNETES_RELEASES = Setting::new("HAKUBE_KUBERNETES_RELEASES", Kind::ReleaseUrl,
        Unset("none on the local cloud"),
        "The URL of Kubernetes releases, with `v1.36.3/bin/linux/amd64/kube-apiserver` and so on below it.")
        .flag("--kubernetes-releases");
    ETCD_RELEASES = Setting::new("HAKUBE_ETCD_RELEASES", Kind::ReleaseUrl,
        Unset("none on the local cloud"),
        "The URL of etcd releases, with `v3.6.6/etcd-v3.6.6-linux-amd64.tar.gz` below it.")
        .flag("--etcd-releases");
    CONTAINERD_RELEASES = Setting::new("HAKUBE_CONTAINERD_RELEASES", Kind::ReleaseUrl,
        Unset("none on the local cloud"),
        "The URL of containerd releases, with `v2.2.9/containerd-2.2.9-linux-amd64.tar.gz` below it.");
    RUNC_RELEASES = Setting::new("HAKUBE_RUNC_RELEASES", Kind::ReleaseUrl,
        Unset("none on the local cloud"),
        "The URL of runc releases, with `v1.3.4/runc.amd64` below it.");
    CNI_RELEASES = Setting::new("HAKUBE_CNI_RELEASES", Kind::ReleaseUrl,
        Unset("none on the local cloud"),
        "The URL of CNI plugins releases, with `v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz` below it.");
    MIRROR = Setting::new("HAKUBE_MIRROR", Kind::ReleaseUrl, Unset("none"),
        "The URL of a mirror of all of these. Below it are `kubernetes`, `etcd`, `containerd`, `runc` and `cni-plugins`, laid out as the \
         publishers do, and `images` with an `images.json`. The settings above take precedence.")
        .flag("--mirror");
    IMAGES = Setting::new("HAKUBE_IMAGES", Kind::ReleaseUrl,
        Derived("from HAKUBE_MIRROR"),
        "The URL of image archives and their `images.json`. Machines import all of them before they run pods. If unset, \
         images are pulled from their registries.")
        .flag("--images");
    CONTAINERD_VERSION = Setting::new("HAKUBE_CONTAINERD_VERSION", Kind::Version, Value("2.2.9"),
        "The containerd version, 2.0 or later.");
    RUNC_VERSION = Setting::new("HAKUBE_RUNC_VERSION", Kind::Version, Value("1.3.4"),
        "The runc version.");
    CNI_VERSION = Setting::new("HAKUBE_CNI_VERSION", Kind::Version, Value("1.9.1"),
        "The CNI plugins version.");
    NODE_ARCH = Setting::new("HAKUBE_NODE_ARCH", Kind::Choice(&["amd64", "arm64"]), Value("amd64"),
        "The architecture of replicas and nodes, and of downloaded programs and images. The local cloud's \
         machines have this host's.")
        .flag("--node-arch");
    SHA256SUMS = Setting::new("HAKUBE_SHA256SUMS", Kind::Path,
        Unset("published next to the files: `<file>.sha256`, etcd's `SHA256SUMS` and so on"),
        "A file with the downloads' checksums, in sha256sum's format, to use instead of the mirror's. \
         Required for a mirror without TLS.")
        .flag("--sha256sums");
}

group! { CERTIFICATES: "Certificates", "hakube is its own certificate authority.";
    EXTRA_SANS = Setting::new("HAKUBE_EXTRA_SANS", Kind::CertificateNames, Unset("none"),
        "Additional names and addresses in the API server's certificate.");
    CA_DAYS = Setting::new("HAKUBE_CA_DAYS", Kind::Integer(1, 36500), Value("3650"),
        "How many days the CAs are valid.");
    CERT_DAYS = Setting::new("HAKUBE_CERT_DAYS", Kind::Integer(1, 36500), Value("365"),
        "How many days all other certificates are valid; at most as long as the CAs.");
}
