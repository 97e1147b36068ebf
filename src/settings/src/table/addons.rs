//! Addons that run in the cluster.

use super::Default::{Unset, Value};
use super::{Group, Kind, Setting, group};

group! { ADDONS: "Addons", "hakube applies the addons when it creates a cluster, repairs changes to them, and removes those that are switched off. To change them on an existing cluster, run `hakube up` with other values. A cluster whose API server is a stand-in has no addons.";
    POD_NETWORK = Setting::new("NETWORK_PROVIDER", Kind::Choice(&["flannel", "none"]), Value("flannel"),
        "The pod network. With `none`, install your own, by HAKUBE_MANIFESTS or afterwards; nodes aren't ready before that.");
    CLUSTER_DNS = Setting::new("KUBE_ENABLE_CLUSTER_DNS", Kind::Bool, Value("true"),
        "Whether CoreDNS serves KUBE_DNS_DOMAIN at KUBE_DNS_SERVER_IP.");
    NODE_LOCAL_DNS = Setting::new("KUBE_ENABLE_NODELOCAL_DNS", Kind::Bool, Value("false"),
        "Whether each node runs a DNS cache, which serves pods at the same KUBE_DNS_SERVER_IP.");
    METRICS_SERVER = Setting::new("KUBE_ENABLE_METRICS_SERVER", Kind::Bool, Value("true"),
        "Whether metrics-server runs, for `kubectl top` and horizontal autoscalers. It verifies kubelets' certificates.");
    IMAGE_REPOSITORY = Setting::new("HAKUBE_IMAGE_REPOSITORY", Kind::Repository,
        Unset("the registries that publish them"),
        "Replaces the registry's host in all image names; `registry.k8s.io/coredns/coredns` \
         keeps `coredns/coredns`.")
        .flag("--image-repository");
    MANIFESTS = Setting::new("HAKUBE_MANIFESTS", Kind::Paths, Unset("none"),
        "Your own objects: YAML or JSON files, and directories of them, read by `hakube up` and stored with the cluster, \
         4 MiB at most. `none` removes earlier ones. The flag can be repeated.")
        .flag("--manifests");
}
