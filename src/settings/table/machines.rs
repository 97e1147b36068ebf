//! What replicas' machines and nodes are made of.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { REPLICA_MACHINES: "Replicas' machines", "Every replica is made the same way. Sizes, images and disk types are the provider's names.";
    MASTER_SIZE = Setting::new("MASTER_SIZE", Kind::MachineType, Derived("from NUM_NODES"),
        "The machine type: e2-standard-2, -4 above 10 nodes, -8 above 50, -16 above 100, -32 above 500; for libvirt \
         processors and memory, `2x4GiB`.");
    MASTER_ROOT_DISK_SIZE = Setting::new("MASTER_ROOT_DISK_SIZE", Kind::SizeGb(10, 65536), Value("20GB"),
        "Size of the boot disk.");
    MASTER_DISK_SIZE = Setting::new("MASTER_DISK_SIZE", Kind::SizeGb(10, 65536), Value("20GB"),
        "Size of the disk that holds etcd's data.");
    MASTER_DISK_TYPE = Setting::new("MASTER_DISK_TYPE", Kind::Name, Value("pd-ssd"),
        "Type of that disk. etcd is only as quick as its disk's fsync.");
    MASTER_IMAGE = Setting::new("KUBE_GCE_MASTER_IMAGE", Kind::Word,
        Value("projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64"),
        "The boot image, project included. It needs cloud-init, which Google's Debian images haven't got, systemd and \
         Python 3.");
    PREEMPTIBLE_MASTER = Setting::new("PREEMPTIBLE_MASTER", Kind::Bool, Value("false"),
        "Whether the provider may take the machine back at any time, for less money. Not for what matters.");
    MASTER_MIN_CPU = Setting::new("MASTER_MIN_CPU_ARCHITECTURE", Kind::CpuPlatform, Unset("any"),
        "The oldest processors that will do. Not every machine type has a choice: e2 has none.");
    REGISTER_MASTER = Setting::new("REGISTER_MASTER", Kind::Bool, Value("true"),
        "Whether replicas are nodes too, tainted `node-role.kubernetes.io/control-plane:NoSchedule`. Without, their API \
         servers don't reach pods: no webhooks and no aggregated APIs that pods serve. On the local cloud they never are.");
    MASTER_NODE_LABELS = Setting::new("KUBE_MASTER_NODE_LABELS", Kind::Labels, Unset("none"),
        "Labels that replicas register with.");
}

group! { NODES: "Nodes", "The workers.";
    NUM_NODES = Setting::new("NUM_NODES", Kind::Integer(0, 5000), Value("3"),
        "How many nodes.")
        .flag("--nodes");
    MAX_PER_GROUP = Setting::new("MAX_INSTANCES_PER_MIG", Kind::Integer(1, 1000), Value("1000"),
        "How many nodes a managed group may have. A zone with more has several groups.");
    CREATE_NODES = Setting::new("KUBE_CREATE_NODES", Kind::Bool, Value("true"),
        "`false`: no nodes are made; NUM_NODES still sets the sizes that are derived from it.");
    NODE_SIZE = Setting::new("NODE_SIZE", Kind::MachineType, Value("e2-standard-2"),
        "The machine type.");
    NODE_DISK_SIZE = Setting::new("NODE_DISK_SIZE", Kind::SizeGb(10, 65536), Value("100GB"),
        "Size of the boot disk.");
    NODE_DISK_TYPE = Setting::new("NODE_DISK_TYPE", Kind::Name, Value("pd-standard"),
        "Type of the boot disk.");
    NODE_IMAGE = Setting::new("KUBE_GCE_NODE_IMAGE", Kind::Word, Derived("from KUBE_GCE_MASTER_IMAGE"),
        "The boot image, project included.");
    PREEMPTIBLE_NODE = Setting::new("PREEMPTIBLE_NODE", Kind::Bool, Value("false"),
        "Whether the provider may take nodes back at any time, for less money.");
    NODE_SERVICE_ACCOUNT = Setting::new("KUBE_GCE_NODE_SERVICE_ACCOUNT", Kind::Word,
        Unset("the project's default"),
        "The service account, by its email address, that programs on nodes ask Google Cloud as.");
    NODE_SCOPES = Setting::new("NODE_SCOPES", Kind::Word, Value("storage-ro,logging-write,monitoring-write"),
        "What these programs may ask for: gcloud's words or scopes' URLs, separated by commas.");
    NODE_PREFIX = Setting::new("NODE_INSTANCE_PREFIX", Kind::Name, Derived("from KUBE_GCE_INSTANCE_PREFIX"),
        "What nodes' names start with: the prefix and `-minion`.");
    NODE_LABELS = Setting::new("KUBE_NODE_LABELS", Kind::Labels, Unset("none"),
        "Labels that nodes register with.");
    NODE_TAINTS = Setting::new("NODE_TAINTS", Kind::Taints, Unset("none"),
        "Taints that nodes register with.");
    MAX_PODS = Setting::new("MAX_PODS_PER_NODE", Kind::Integer(8, 4096), Value("110"),
        "How many pods a node runs at most. It has a range of CLUSTER_IP_RANGE with twice as many addresses or more: \
         a /24 for up to 128 pods, a /23 for up to 256.");
    EVICTION_HARD = Setting::new("EVICTION_HARD", Kind::Thresholds, Unset("the kubelet's own"),
        "Below what a node evicts pods at once: `memory.available<250Mi,nodefs.available<10%`. What isn't named has no \
         threshold then.");
    ALLOWED_UNREADY = Setting::new("ALLOWED_NOTREADY_NODES", Kind::Integer(0, 5000), Value("0"),
        "How many of the nodes needn't be ready for a command to succeed. They have half a minute longer than the others.");
}
