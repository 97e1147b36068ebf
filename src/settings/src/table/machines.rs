//! Machines of replicas and nodes.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { REPLICA_MACHINES: "Replica machines", "All replicas have the same configuration. Machine types, images and disk types are the provider's names.";
    MASTER_SIZE = Setting::new("MASTER_SIZE", Kind::MachineType, Derived("from NUM_NODES"),
        "The machine type: e2-standard-2, -4 above 10 nodes, -8 above 50, -16 above 100, -32 above 500; for libvirt \
         CPUs and memory, `2x4GiB`.");
    MASTER_ROOT_DISK_SIZE = Setting::new("MASTER_ROOT_DISK_SIZE", Kind::SizeGb(10, 65536), Value("20GB"),
        "The size of the boot disk.");
    MASTER_DISK_SIZE = Setting::new("MASTER_DISK_SIZE", Kind::SizeGb(10, 65536), Value("20GB"),
        "The size of the disk that holds etcd's data.");
    MASTER_DISK_TYPE = Setting::new("MASTER_DISK_TYPE", Kind::Name, Value("pd-ssd"),
        "The type of that disk. etcd is only as fast as its disk's fsync.");
    MASTER_IMAGE = Setting::new("KUBE_GCE_MASTER_IMAGE", Kind::Word,
        Value("projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64"),
        "The boot image, including its project. It needs systemd, Python 3 and cloud-init, which Google's Debian images \
         don't have.");
    PREEMPTIBLE_MASTER = Setting::new("PREEMPTIBLE_MASTER", Kind::Bool, Value("false"),
        "Whether replicas are preemptible: cheaper, but the provider may stop them at any time. Not for production.");
    MASTER_MIN_CPU = Setting::new("MASTER_MIN_CPU_ARCHITECTURE", Kind::CpuPlatform, Unset("any"),
        "The minimum CPU platform. Some machine types, such as e2, don't support it.");
    REGISTER_MASTER = Setting::new("REGISTER_MASTER", Kind::Bool, Value("true"),
        "Whether replicas are also nodes, tainted `node-role.kubernetes.io/control-plane:NoSchedule`. Otherwise their API \
         servers can't reach pods: webhooks and aggregated APIs served by pods don't work. On the local cloud they are never nodes.");
    MASTER_NODE_LABELS = Setting::new("KUBE_MASTER_NODE_LABELS", Kind::Labels, Unset("none"),
        "Labels that replicas register with.");
}

group! { NODES: "Nodes", "Worker nodes.";
    NUM_NODES = Setting::new("NUM_NODES", Kind::Integer(0, 5000), Value("3"),
        "The number of nodes.")
        .flag("--nodes");
    MAX_PER_GROUP = Setting::new("MAX_INSTANCES_PER_MIG", Kind::Integer(1, 1000), Value("1000"),
        "The maximum number of nodes in a managed instance group. A zone with more nodes has several groups.");
    CREATE_NODES = Setting::new("KUBE_CREATE_NODES", Kind::Bool, Value("true"),
        "`false`: no nodes are created; other settings are still derived from NUM_NODES.");
    NODE_SIZE = Setting::new("NODE_SIZE", Kind::MachineType, Value("e2-standard-2"),
        "The machine type.");
    NODE_DISK_SIZE = Setting::new("NODE_DISK_SIZE", Kind::SizeGb(10, 65536), Value("100GB"),
        "The size of the boot disk.");
    NODE_DISK_TYPE = Setting::new("NODE_DISK_TYPE", Kind::Name, Value("pd-standard"),
        "The type of the boot disk.");
    NODE_IMAGE = Setting::new("KUBE_GCE_NODE_IMAGE", Kind::Word, Derived("from KUBE_GCE_MASTER_IMAGE"),
        "The boot image, including its project.");
    PREEMPTIBLE_NODE = Setting::new("PREEMPTIBLE_NODE", Kind::Bool, Value("false"),
        "Whether nodes are preemptible: cheaper, but the provider may stop them at any time.");
    NODE_SERVICE_ACCOUNT = Setting::new("KUBE_GCE_NODE_SERVICE_ACCOUNT", Kind::Word,
        Unset("the project's default"),
        "The email address of the service account that nodes run as.");
    NODE_SCOPES = Setting::new("NODE_SCOPES", Kind::Word, Value("storage-ro,logging-write,monitoring-write"),
        "The access scopes of that service account: gcloud's aliases or scope URLs, separated by commas.");
    NODE_PREFIX = Setting::new("NODE_INSTANCE_PREFIX", Kind::Name, Derived("from KUBE_GCE_INSTANCE_PREFIX"),
        "The prefix of nodes' names: by default the instance prefix and `-minion`.");
    NODE_LABELS = Setting::new("KUBE_NODE_LABELS", Kind::Labels, Unset("none"),
        "Labels that nodes register with.");
    NODE_TAINTS = Setting::new("NODE_TAINTS", Kind::Taints, Unset("none"),
        "Taints that nodes register with.");
    MAX_PODS = Setting::new("MAX_PODS_PER_NODE", Kind::Integer(8, 4096), Value("110"),
        "The maximum number of pods on a node. Each node gets a part of CLUSTER_IP_RANGE with at least twice as many addresses: \
         a /24 for up to 128 pods, a /23 for up to 256.");
    EVICTION_HARD = Setting::new("EVICTION_HARD", Kind::Thresholds, Unset("the kubelet's own"),
        "Hard eviction thresholds of nodes: `memory.available<250Mi,nodefs.available<10%`. Signals that aren't listed have no \
         threshold.");
    ALLOWED_UNREADY = Setting::new("ALLOWED_NOTREADY_NODES", Kind::Integer(0, 5000), Value("0"),
        "How many nodes may be unready for a command to succeed. It waits half a minute longer for them than for the others.");
}
