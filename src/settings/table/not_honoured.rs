//! kube-up's variables that hakube doesn't honour. Whoever sets one is told, and told what to do.

/// A variable of kube-up's without effect here.
#[derive(Debug)]
pub struct NotHonoured {
    /// Its name.
    pub variable: &'static str,
    /// What to do instead, as a sentence.
    pub instead: &'static str,
}

macro_rules! not_honoured {
    ($($variable:literal => $instead:expr;)*) => {
        /// Variables in kube-up's cluster/gce/config-default.sh and its documentation without effect here.
        pub static NOT_HONOURED: &[NotHonoured] =
            &[$(NotHonoured { variable: $variable, instead: $instead }),*];
    };
}

const ADDON: &str = "Install it by HAKUBE_MANIFESTS, or with kubectl when the cluster is up.";
const LOCAL_DNS: &str = "Pods ask CoreDNS itself: a cache on each node is worth its place with thousands of requests a second.";
const NODES: &str = "hakube's nodes are plain ones: make others with a node group of your own.";
const IMAGE: &str = "KUBE_GCE_MASTER_IMAGE and KUBE_GCE_NODE_IMAGE name an image with its project.";
const ROUTES: &str = "Install a network plugin that brings what you need.";

not_honoured! {
    "NETWORK_POLICY_PROVIDER" => ROUTES;
    "KUBE_GCE_ENABLE_IP_ALIASES" => ROUTES;
    "KUBE_GCE_IP_ALIAS_SUBNETWORK" => ROUTES;
    "SECONDARY_RANGE_NAME" => ROUTES;
    "KUBE_GCE_API_ENDPOINT" => "hakube talks to Compute Engine, or to its own local cloud.";
    "MASTER_ADVERTISE_ADDRESS" => "Each replica advertises its own address; clients use the endpoint.";
    "KUBE_MASTER_EXTRA_METADATA" => "Set metadata on the machines when they are up.";
    "KUBE_NODE_EXTRA_METADATA" => "Set metadata on the machines when they are up.";
    "KUBE_EXTRA_METADATA" => "Set metadata on the machines when they are up.";
    "KUBE_OS_DISTRIBUTION" => IMAGE;
    "KUBE_MASTER_OS_DISTRIBUTION" => IMAGE;
    "KUBE_NODE_OS_DISTRIBUTION" => IMAGE;
    "KUBE_GCI_VERSION" => IMAGE;
    "KUBE_GCE_MASTER_PROJECT" => IMAGE;
    "KUBE_GCE_NODE_PROJECT" => IMAGE;
    "NODE_LOCAL_SSDS" => NODES;
    "NODE_LOCAL_SSDS_EXT" => NODES;
    "NODE_ACCELERATORS" => NODES;
    "KUBE_NON_MASTER_NODE_LABELS" => "KUBE_NODE_LABELS is the same: KUBE_MASTER_NODE_LABELS is for replicas.";
    "KUBE_CONTAINER_RUNTIME" => "Nodes run containerd.";
    "KUBE_CONTAINER_RUNTIME_ENDPOINT" => "Nodes run containerd.";
    "KUBE_UP_AUTOMATIC_CLEANUP" => "`hakube up` finishes what an earlier one left; `hakube down` removes it.";
    "KUBE_BEARER_TOKEN" => "The administrator has a client certificate, in the kubeconfig.";
    "ENCRYPTION_PROVIDER_CONFIG" => "Encryption at rest isn't set up; etcd's disk is the provider's to encrypt.";
    "KUBE_ADMISSION_CONTROL" => "Kubernetes' own admission plugins run, and NodeRestriction.";
    "ENABLE_POD_SECURITY_POLICY" => "Pod security policies are gone since 1.25: use pod security admission.";
    "ENABLE_METADATA_CONCEALMENT" => "Pods can't read the metadata of nodes, unless the network plugin bypasses netfilter.";
    "KUBE_ENABLE_NODELOCAL_DNS" => LOCAL_DNS;
    "KUBE_ENABLE_DNS_HORIZONTAL_AUTOSCALER" => ADDON;
    "CLUSTER_DNS_CORE_DNS" => ADDON;
    "KUBE_ENABLE_CLUSTER_UI" => ADDON;
    "KUBE_ENABLE_CLUSTER_MONITORING" => ADDON;
    "KUBE_ENABLE_CLUSTER_LOGGING" => ADDON;
    "KUBE_ENABLE_NODE_LOGGING" => ADDON;
    "KUBE_LOGGING_DESTINATION" => ADDON;
    "KUBE_ENABLE_L7_LOADBALANCING" => ADDON;
    "KUBE_ENABLE_NODE_PROBLEM_DETECTOR" => ADDON;
    "KUBE_ENABLE_CLUSTER_AUTOSCALER" => ADDON;
    "KUBE_AUTOSCALER_MIN_NODES" => ADDON;
    "KUBE_AUTOSCALER_MAX_NODES" => ADDON;
}
