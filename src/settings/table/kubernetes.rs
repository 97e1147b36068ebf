//! etcd, the API server, certificates.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { ETCD: "etcd", "One member on each replica, mutual TLS on every port.";
    ETCD_VERSION = Setting::new("ETCD_VERSION", Kind::Version, Unset("that of the binary found"),
        "etcd's version, 3.4 or later.");
    ETCD_BINARY = Setting::new("HAKUBE_ETCD_BINARY", Kind::Path, Unset("downloaded; on the local cloud `etcd` in PATH"),
        "The etcd to run: a program of this host on the local cloud, of the machines' image elsewhere.")
        .flag("--etcd-binary");
    ETCD_QUOTA = Setting::new("ETCD_QUOTA_BACKEND_BYTES", Kind::Integer(16 << 20, 1 << 40), Value("4294967296"),
        "The size in bytes at which etcd refuses writes. etcd's authors advise against more than 8 GiB.");
    ETCD_ARGS = Setting::new("ETCD_EXTRA_ARGS", Kind::Arguments, Unset("none"),
        "Arguments besides those that hakube sets itself.");
    ETCD_PROGRESS = Setting::new("ETCD_PROGRESS_NOTIFY_INTERVAL", Kind::Duration,
        Derived("from ETCD_EXTRA_ARGS: `5s`, unless the flag is there"),
        "How often watchers hear how far etcd is when nothing changes. etcd before 3.4.11 doesn't know it.");
    ETCD_COMPACTION = Setting::new("ETCD_COMPACTION_INTERVAL_SEC", Kind::Integer(0, 86400), Unset("the API server's own: 300"),
        "How often, in seconds, the API server has etcd forget what was. `0`: never, so that etcd must do it by itself.");
}

group! { API_SERVER: "Kubernetes components", "Flags of the control plane's components.";
    API_PORT = Setting::new("HAKUBE_API_PORT", Kind::Integer(1, 65535), Value("443"),
        "The API server's TCP port, on replicas and on the endpoint.")
        .flag("--api-port");
    KUBE_BINARIES = Setting::new("HAKUBE_KUBE_BINARIES", Kind::Path,
        Unset("downloaded; on the local cloud PATH first"),
        "The directory with kube-apiserver, kube-controller-manager, kube-scheduler and kubelet: one of this host \
         on the local cloud (whose kubelets are stand-ins), of the machines' image elsewhere.")
        .flag("--kube-binaries");
    STAND_INS = Setting::new("HAKUBE_STAND_INS", Kind::Bool, Value("false"),
        "On the local cloud, whether small stand-ins take the place of Kubernetes' API server, controller manager and \
         scheduler: quick to start, and nothing to download.")
        .flag("--stand-ins");
    RUNTIME_CONFIG = Setting::new("KUBE_RUNTIME_CONFIG", Kind::Switches, Unset("Kubernetes' own"),
        "APIs switched on or off, such as `api/all=true`.");
    FEATURE_GATES = Setting::new("KUBE_FEATURE_GATES", Kind::Switches, Unset("Kubernetes' own"),
        "Features switched on or off, in all components.");
    REQUEST_TIMEOUT = Setting::new("KUBE_APISERVER_REQUEST_TIMEOUT_SEC", Kind::Integer(1, 86400), Unset("the API server's own: 60"),
        "After how many seconds the API server gives a request up. Watches have limits of their own.");
    RUN_CONTROLLERS = Setting::new("RUN_CONTROLLERS", Kind::Controllers, Value("*"),
        "Which controllers the controller manager runs. Those that nodes join by (bootstrapsigner, tokencleaner, \
         csrapproving, csrsigning) run in any case, and can't be switched off.");
    SIGNING_DURATION = Setting::new("CLUSTER_SIGNING_DURATION", Kind::Duration, Unset("the controller manager's own: 8760h"),
        "How long kubelets' certificates are valid, at most as long as their authority. Kubelets renew them.");
    SERVICE_ACCOUNT_ISSUER = Setting::new("SERVICEACCOUNT_ISSUER", Kind::Issuer, Derived("from KUBE_DNS_DOMAIN"),
        "The issuer in service account tokens: `https://kubernetes.default.svc.<domain>`. Changing it makes \
         every token invalid.");
}

group! { RELEASES: "Downloads", "Machines download the programs that they run, and install none whose SHA-256 isn't that which `hakube up` wrote into the intent. For a closed network, mirror the files and name the mirror.";
    KUBERNETES_RELEASES = Setting::new("HAKUBE_KUBERNETES_RELEASES", Kind::ReleaseUrl,
        Unset("none on the local cloud"),
        "Where Kubernetes' releases are: below it `v1.36.0/bin/linux/amd64/kube-apiserver` and so on.")
        .flag("--kubernetes-releases");
    ETCD_RELEASES = Setting::new("HAKUBE_ETCD_RELEASES", Kind::ReleaseUrl,
        Unset("none on the local cloud"),
        "Where etcd's releases are: below it `v3.6.6/etcd-v3.6.6-linux-amd64.tar.gz`.")
        .flag("--etcd-releases");
    CONTAINERD_RELEASES = Setting::new("HAKUBE_CONTAINERD_RELEASES", Kind::ReleaseUrl,
        Unset("none on the local cloud"),
        "Where containerd's releases are: below it `v2.2.9/containerd-2.2.9-linux-amd64.tar.gz`.");
    RUNC_RELEASES = Setting::new("HAKUBE_RUNC_RELEASES", Kind::ReleaseUrl,
        Unset("none on the local cloud"),
        "Where runc's releases are: below it `v1.3.4/runc.amd64`.");
    CNI_RELEASES = Setting::new("HAKUBE_CNI_RELEASES", Kind::ReleaseUrl,
        Unset("none on the local cloud"),
        "Where the CNI plugins' releases are: below it `v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz`.");
    MIRROR = Setting::new("HAKUBE_MIRROR", Kind::ReleaseUrl, Unset("none"),
        "Where a mirror of all of these is: below it `kubernetes`, `etcd`, `containerd`, `runc`, `cni-plugins` as the \
         publishers have them, and `images` with an `images.json`. The settings above go first where you set them.")
        .flag("--mirror");
    IMAGES = Setting::new("HAKUBE_IMAGES", Kind::ReleaseUrl,
        Derived("from HAKUBE_MIRROR"),
        "Where image archives and their `images.json` are. Machines import all of them before they run pods; without, \
         images come from their registries.")
        .flag("--images");
    CONTAINERD_VERSION = Setting::new("HAKUBE_CONTAINERD_VERSION", Kind::Version, Value("2.2.9"),
        "containerd's version, 2.0 or later.");
    RUNC_VERSION = Setting::new("HAKUBE_RUNC_VERSION", Kind::Version, Value("1.3.4"),
        "runc's version.");
    CNI_VERSION = Setting::new("HAKUBE_CNI_VERSION", Kind::Version, Value("1.9.1"),
        "The CNI plugins' version.");
    NODE_ARCH = Setting::new("HAKUBE_NODE_ARCH", Kind::Choice(&["amd64", "arm64"]), Value("amd64"),
        "The architecture of replicas and nodes: what programs and images are downloaded for. The local cloud's \
         machines have this host's.")
        .flag("--node-arch");
    SHA256SUMS = Setting::new("HAKUBE_SHA256SUMS", Kind::Path,
        Unset("from where the files are: `<file>.sha256`, etcd's `SHA256SUMS` and so on"),
        "A file with the sums of the downloads, in sha256sum's format, that is believed instead of the mirror. \
         Needed for one without TLS.")
        .flag("--sha256sums");
}

group! { CERTIFICATES: "Certificates", "hakube is its own certificate authority.";
    EXTRA_SANS = Setting::new("HAKUBE_EXTRA_SANS", Kind::CertificateNames, Unset("none"),
        "Names and addresses that the API server's certificate is valid for, besides the cluster's own.");
    CA_DAYS = Setting::new("HAKUBE_CA_DAYS", Kind::Integer(1, 36500), Value("3650"),
        "How many days the authorities are valid.");
    CERT_DAYS = Setting::new("HAKUBE_CERT_DAYS", Kind::Integer(1, 36500), Value("365"),
        "How many days all other certificates are valid; no more than the authorities.");
}
