//! kube-up's variables that hakube doesn't honour. Setting one gives a warning with an alternative.

/// A kube-up variable without effect in hakube.
#[derive(Debug)]
pub struct NotHonoured {
    /// Its name.
    pub variable: &'static str,
    /// What to do instead, as a sentence.
    pub instead: &'static str,
}

macro_rules! not_honoured {
    ($($variable:literal => $instead:expr;)*) => {
        /// Variables of kube-up's cluster/gce/config-default.sh and documentation without effect in hakube.
        pub static NOT_HONOURED: &[NotHonoured] =
            &[$(NotHonoured { variable: $variable, instead: $instead }),*];
    };
}

const ADDON: &str = "Install it with HAKUBE_MANIFESTS, or with kubectl once the cluster is up.";
const LOCAL_DNS: &str =
    "The caches of KUBE_ENABLE_NODELOCAL_DNS serve KUBE_DNS_SERVER_IP; pods need no other address.";
const NODES: &str =
    "hakube doesn't configure these on its nodes: create your own node group for them.";
const IMAGE: &str = "KUBE_GCE_MASTER_IMAGE and KUBE_GCE_NODE_IMAGE name an image with its project.";
const ROUTES: &str = "Install a network plugin that supports it.";

not_honoured! {
    "NETWORK_POLICY_PROVIDER" => ROUTES;
    "KUBE_GCE_ENABLE_IP_ALIASES" => ROUTES;
    "KUBE_GCE_IP_ALIAS_SUBNETWORK" => ROUTES;
    "SECONDARY_RANGE_NAME" => ROUTES;
    "KUBE_GCE_API_ENDPOINT" => "HAKUBE_COMPUTE_ENDPOINT sets the endpoint of an emulator.";
    "MASTER_ADVERTISE_ADDRESS" => "Each replica advertises its own address; clients use the endpoint.";
    "KUBE_MASTER_EXTRA_METADATA" => "Set metadata on the machines once they are running.";
    "KUBE_NODE_EXTRA_METADATA" => "Set metadata on the machines once they are running.";
    "KUBE_EXTRA_METADATA" => "Set metadata on the machines once they are running.";
    "KUBE_OS_DISTRIBUTION" => IMAGE;
    "KUBE_MASTER_OS_DISTRIBUTION" => IMAGE;
    "KUBE_NODE_OS_DISTRIBUTION" => IMAGE;
    "KUBE_GCI_VERSION" => IMAGE;
    "KUBE_GCE_MASTER_PROJECT" => IMAGE;
    "KUBE_GCE_NODE_PROJECT" => IMAGE;
    "NODE_LOCAL_SSDS" => NODES;
    "NODE_LOCAL_SSDS_EXT" => NODES;
    "NODE_ACCELERATORS" => NODES;
    "KUBE_NON_MASTER_NODE_LABELS" => "Use KUBE_NODE_LABELS for nodes and KUBE_MASTER_NODE_LABELS for replicas.";
    "KUBE_CONTAINER_RUNTIME" => "Nodes run containerd.";
    "KUBE_CONTAINER_RUNTIME_ENDPOINT" => "Nodes run containerd.";
    "KUBE_UP_AUTOMATIC_CLEANUP" => "`hakube up` finishes an interrupted one; `hakube down` removes its leftovers.";
    "KUBE_BEARER_TOKEN" => "The administrator has a client certificate in the kubeconfig.";
    "ENCRYPTION_PROVIDER_CONFIG" => "Secrets are encrypted with a key that hakube creates: HAKUBE_ENCRYPTION.";
    "KUBE_ADMISSION_CONTROL" => "Kubernetes' default admission plugins and NodeRestriction are enabled.";
    "ENABLE_POD_SECURITY_POLICY" => "Pod security policies were removed in Kubernetes 1.25: use pod security admission.";
    "ENABLE_METADATA_CONCEALMENT" => "Pods can't read nodes' metadata, unless the network plugin bypasses netfilter.";
    "KUBE_LOCAL_DNS_IP" => LOCAL_DNS;
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
