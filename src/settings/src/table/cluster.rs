//! The cluster, its location and its availability.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { CLUSTER: "The cluster", "The cluster that a command applies to, its provider, and its versions.";
    PROVIDER = Setting::new("KUBERNETES_PROVIDER", Kind::Choice(&["local", "gce", "libvirt", "hosts"]), Value("local"),
        "The provider of machines: this host (`local`), Google Compute Engine (`gce`), libvirt, or existing hosts (`hosts`).")
        .flag("--provider");
    PROFILE = Setting::new("HAKUBE_PROFILE", Kind::Choice(&["local", "gce", "libvirt", "hosts", "test"]),
        Derived("from KUBERNETES_PROVIDER"),
        "The set of defaults, `env/<profile>.env`. It takes precedence over the provider's own profile.")
        .flag("--profile");
    CLUSTER_NAME = Setting::new("CLUSTER_NAME", Kind::Name, Derived("from KUBE_GCE_INSTANCE_PREFIX"),
        "The cluster's name. All its resources are labelled with it, and found by that label.")
        .flag("--cluster");
    INSTANCE_PREFIX = Setting::new("KUBE_GCE_INSTANCE_PREFIX", Kind::Name,
        Derived("from CLUSTER_NAME, or `kubernetes`"),
        "The prefix of the names of machines, addresses and other resources. Leave room for suffixes.");
    PROJECT = Setting::new("PROJECT", Kind::Project, Derived("from gcloud's active configuration"),
        "The Google Cloud project. Required for gce.")
        .flag("--project").aliases(&["GOOGLE_CLOUD_PROJECT"]);
    COMPUTE_ENDPOINT = Setting::new("HAKUBE_COMPUTE_ENDPOINT", Kind::ReleaseUrl, Unset("Google's own"),
        "The Compute Engine API's URL, for an emulator.")
        .flag("--compute-endpoint");
    COMPUTE_MACHINES = Setting::new("HAKUBE_COMPUTE_MACHINES", Kind::Choice(&["process", "host"]), Value("process"),
        "What the machines of an emulator are: processes on this host, or hosts that boot. The local cloud has hosts with \
         `hakube local serve --machines host`.");
    NETWORK_PROJECT = Setting::new("NETWORK_PROJECT", Kind::Project, Derived("from PROJECT"),
        "The project of the network, its subnetwork and its firewall rules. If it isn't PROJECT, it is the host project of a \
         shared VPC; its network and subnetwork must exist.");
    ZONE = Setting::new("KUBE_GCE_ZONE", Kind::Zone,
        Derived("from the first zone of HAKUBE_LIBVIRT_ZONES or HAKUBE_HOSTS, or `us-central1-b`"),
        "The zone. Its region is the name without the last part. A cluster is in one region.")
        .flag("--zone");
    KUBE_VERSION = Setting::new("KUBE_VERSION", Kind::Version, Value("v1.36.3"),
        "The Kubernetes version, 1.31 to 1.36.")
        .flag("--kubernetes-version");
}

group! { HIGH_AVAILABILITY: "High availability", "kube-up's variables for replicas are supported; `hakube replicate` and `hakube down --replica` are shorter.";
    MULTIZONE = Setting::new("MULTIZONE", Kind::Bool, Value("false"),
        "Whether replicas may be in several zones of the region. Set when the cluster is created, then inherited.")
        .flag("--multizone");
    QUORUM_READ = Setting::new("ENABLE_ETCD_QUORUM_READ", Kind::Bool,
        Unset("reads are quorum reads"),
        "Whether the API server reads through etcd's quorum. Since Kubernetes 1.13 it always does: `true` \
         is recorded, and `false` has no effect.")
        .aliases(&["ENABLE_ETCD_QUORUM_READS"]);
    LOAD_BALANCER = Setting::new("HAKUBE_LOAD_BALANCER", Kind::Choice(&["auto", "always"]), Value("auto"),
        "`auto`: the endpoint moves to a load balancer with the second replica. `always`: it exists from the \
         first replica, and the endpoint never moves.")
        .flag("--load-balancer");
    ENDPOINT = Setting::new("HAKUBE_ENDPOINT", Kind::Socket, Unset("hakube holds the endpoint's address"),
        "The address and port of your own load balancer in front of the cluster; for libvirt and hosts. hakube prints \
         its backends.")
        .flag("--endpoint");
    REPLICATE_EXISTING = Setting::new("KUBE_REPLICATE_EXISTING_MASTER", Kind::Bool, Value("false"),
        "`hakube up` adds a replica to the cluster, like `hakube replicate`.");
    USE_EXISTING = Setting::new("KUBE_USE_EXISTING_MASTER", Kind::Bool, Value("false"),
        "`hakube up` adds nodes to the cluster, but no replica.");
    DELETE_NODES = Setting::new("KUBE_DELETE_NODES", Kind::Bool, Value("true"),
        "`false`: `hakube down` removes only one replica, like `hakube down --replica`.");
    REPLICA_NAME = Setting::new("KUBE_REPLICA_NAME", Kind::Name, Unset("any replica of the zone"),
        "The replica that `hakube down` removes when KUBE_DELETE_NODES is `false`.");
}
