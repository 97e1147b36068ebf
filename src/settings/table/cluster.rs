//! Which cluster, where, and how available.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { CLUSTER: "The cluster", "Which cluster a command is about, who makes its machines, and what runs on them.";
    PROVIDER = Setting::new("KUBERNETES_PROVIDER", Kind::Choice(&["local", "gce", "libvirt", "hosts"]), Value("local"),
        "Who makes the machines: this one (`local`), Google Compute Engine, or libvirt.")
        .flag("--provider");
    PROFILE = Setting::new("HAKUBE_PROFILE", Kind::Choice(&["local", "gce", "libvirt", "hosts", "test"]),
        Derived("from KUBERNETES_PROVIDER"),
        "The set of defaults, `env/<profile>.env`. One that isn't the provider's own goes before it.")
        .flag("--profile");
    CLUSTER_NAME = Setting::new("CLUSTER_NAME", Kind::Name, Derived("from KUBE_GCE_INSTANCE_PREFIX"),
        "The cluster's name: what everything made for it is marked with, and found by.")
        .flag("--cluster");
    INSTANCE_PREFIX = Setting::new("KUBE_GCE_INSTANCE_PREFIX", Kind::Name,
        Derived("from CLUSTER_NAME, or `kubernetes`"),
        "What the names of machines, addresses and so on start with. Leave room for what is appended.");
    PROJECT = Setting::new("PROJECT", Kind::Project, Derived("from gcloud's active configuration"),
        "The Google Cloud project. For gce there must be one.")
        .flag("--project").aliases(&["GOOGLE_CLOUD_PROJECT"]);
    COMPUTE_ENDPOINT = Setting::new("HAKUBE_COMPUTE_ENDPOINT", Kind::ReleaseUrl, Unset("Google's own"),
        "Where Compute Engine's API is, for an emulator of it whose machines are processes on this host.")
        .flag("--compute-endpoint");
    NETWORK_PROJECT = Setting::new("NETWORK_PROJECT", Kind::Project, Derived("from PROJECT"),
        "The project of the network, its subnetwork and its firewall rules. Another one than PROJECT is the host of a \
         shared VPC; its network and subnetwork must exist.");
    ZONE = Setting::new("KUBE_GCE_ZONE", Kind::Zone,
        Derived("from HAKUBE_LIBVIRT_ZONES or HAKUBE_HOSTS: its first, or `us-central1-b`"),
        "The zone. Its region is the name without the last part, and a cluster stays in one region.")
        .flag("--zone");
    KUBE_VERSION = Setting::new("KUBE_VERSION", Kind::Version, Value("v1.36.0"),
        "Kubernetes' version, 1.31 to 1.36.")
        .flag("--kubernetes-version");
}

group! { HIGH_AVAILABILITY: "High availability", "kube-up's variables for replicas work as they did; `hakube replicate` and `hakube down --replica` say the same in fewer words.";
    MULTIZONE = Setting::new("MULTIZONE", Kind::Bool, Value("false"),
        "Whether replicas may be in several zones of the region. Set when the cluster is made, then inherited.")
        .flag("--multizone");
    QUORUM_READ = Setting::new("ENABLE_ETCD_QUORUM_READ", Kind::Bool,
        Unset("reads are quorum reads"),
        "Whether reads go through etcd's quorum. The API server's have, always, since Kubernetes 1.13: `true` \
         is recorded, and `false` can't be had.")
        .aliases(&["ENABLE_ETCD_QUORUM_READS"]);
    LOAD_BALANCER = Setting::new("HAKUBE_LOAD_BALANCER", Kind::Choice(&["auto", "always"]), Value("auto"),
        "`auto`: the endpoint moves to a load balancer with the second replica. `always`: it is there from the \
         first, and never moves.")
        .flag("--load-balancer");
    ENDPOINT = Setting::new("HAKUBE_ENDPOINT", Kind::Socket, Unset("hakube holds the endpoint's address"),
        "The address and port of a balancer of your own that clients reach the cluster by; for libvirt and hosts. hakube says \
         which backends it should have.")
        .flag("--endpoint");
    REPLICATE_EXISTING = Setting::new("KUBE_REPLICATE_EXISTING_MASTER", Kind::Bool, Value("false"),
        "`hakube up` adds a replica to the cluster, as `hakube replicate` does.");
    USE_EXISTING = Setting::new("KUBE_USE_EXISTING_MASTER", Kind::Bool, Value("false"),
        "`hakube up` adds nodes to the cluster and no replica.");
    DELETE_NODES = Setting::new("KUBE_DELETE_NODES", Kind::Bool, Value("true"),
        "`false`: `hakube down` removes one replica, as `hakube down --replica` does, and nothing else.");
    REPLICA_NAME = Setting::new("KUBE_REPLICA_NAME", Kind::Name, Unset("any replica of the zone"),
        "The replica that `hakube down` removes when KUBE_DELETE_NODES is `false`.");
}
