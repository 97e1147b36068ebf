//! What runs in the cluster besides the control plane.

use super::Default::{Unset, Value};
use super::{Group, Kind, Setting, group};

group! { ADDONS: "Addons", "What a cluster needs to run pods is applied when it is made, repaired when somebody changes it, and removed when it is switched off: `hakube up` with another value of these changes a cluster that exists. A cluster whose API server is a stand-in has none.";
    POD_NETWORK = Setting::new("NETWORK_PROVIDER", Kind::Choice(&["flannel", "none"]), Value("flannel"),
        "What gives pods addresses. `none`: your own, by HAKUBE_MANIFESTS or afterwards; nodes are ready only then.");
    CLUSTER_DNS = Setting::new("KUBE_ENABLE_CLUSTER_DNS", Kind::Bool, Value("true"),
        "Whether CoreDNS answers for KUBE_DNS_DOMAIN at KUBE_DNS_SERVER_IP.");
    METRICS_SERVER = Setting::new("KUBE_ENABLE_METRICS_SERVER", Kind::Bool, Value("true"),
        "Whether metrics-server runs, which `kubectl top` and horizontal autoscalers ask. It verifies kubelets' certificates.");
    IMAGE_REPOSITORY = Setting::new("HAKUBE_IMAGE_REPOSITORY", Kind::Repository,
        Unset("the registries that they are published in"),
        "What takes the place of the registry's host in the names of all images: of `registry.k8s.io/coredns/coredns` \
         stays `coredns/coredns`.")
        .flag("--image-repository");
    MANIFESTS = Setting::new("HAKUBE_MANIFESTS", Kind::Paths, Unset("none"),
        "Your own objects: files of YAML or JSON, and directories of such, read by `hakube up` and kept with the cluster, \
         4 MiB at most. `none` takes those away that were there. The flag may be given several times.")
        .flag("--manifests");
}
