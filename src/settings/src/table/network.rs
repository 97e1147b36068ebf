//! Networks, ranges and DNS.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { NETWORK: "Network", "The four ranges must not overlap. Ranges derived from NUM_NODES grow with it.";
    NETWORK_NAME = Setting::new("KUBE_GCE_NETWORK", Kind::Name, Value("default"),
        "The network. An existing one is used as it is; a missing one is created.");
    SUBNETWORK = Setting::new("SUBNETWORK", Kind::Name,
        Derived("from KUBE_GCE_NETWORK if CREATE_CUSTOM_NETWORK is true or the network is in another project, otherwise none"),
        "The subnetwork of machines.");
    PRIVATE_CLUSTER = Setting::new("KUBE_GCE_PRIVATE_CLUSTER", Kind::Bool, Value("false"),
        "Whether machines have internal addresses only, and the endpoint has an internal address in their subnetwork.");
    CUSTOM_NETWORK = Setting::new("CREATE_CUSTOM_NETWORK", Kind::Bool, Value("false"),
        "Whether a missing network is created with one subnetwork of NODE_IP_RANGE, rather than one per region.");
    DELETE_NETWORK = Setting::new("KUBE_DELETE_NETWORK", Kind::Bool, Unset("if hakube created it"),
        "Whether `hakube down` deletes the network. A network that hakube didn't create is never deleted.");
    FIREWALLS = Setting::new("HAKUBE_FIREWALLS", Kind::Bool, Value("true"),
        "Whether hakube creates firewall rules. With `false`, others do, such as a shared VPC's administrators: \
         docs/gce.md lists the rules needed.");
    SSH_SOURCE = Setting::new("HAKUBE_SSH_SOURCE", Kind::Ranges, Unset("required for gce"),
        "Source ranges allowed to SSH to replicas; hakube copies files over SSH. Use the operators' addresses, such as \
         203.0.113.7/32, or 35.235.240.0/20 for Google's Identity-Aware Proxy. `none` creates no firewall rule, if \
         the network already has one or the operators are inside it.")
        .flag("--ssh-source");
    CLUSTER_RANGE = Setting::new("CLUSTER_IP_RANGE", Kind::Range, Derived("from NUM_NODES"),
        "The pod address range: 10.64.0.0/14, /13 above 1000 nodes, /12 above 2000, /11 above 4000. Each node gets \
         a /24, depending on MAX_PODS_PER_NODE. For IPv6 the range is at most a /48, and each node gets a /64.");
    SERVICE_RANGE = Setting::new("SERVICE_CLUSTER_IP_RANGE", Kind::Range, Value("10.0.0.0/16"),
        "The service address range: /12 to /28 (IPv6: /108 to /124).");
    NODE_RANGE = Setting::new("NODE_IP_RANGE", Kind::Range, Derived("from NUM_NODES"),
        "The machines' address range in a custom network: 10.40.0.0/22, /21 above 1000 nodes, /20 above 2000, /19 \
         above 4000.");
    MASTER_RANGE = Setting::new("MASTER_IP_RANGE", Kind::Range, Value("10.246.0.0/24"),
        "The range that kube-up uses for pods on replicas. hakube uses CLUSTER_IP_RANGE on all nodes, and only \
         checks that this range doesn't overlap the others.");
    DNS_ADDRESS = Setting::new("KUBE_DNS_SERVER_IP", Kind::Address, Derived("from SERVICE_CLUSTER_IP_RANGE"),
        "The cluster DNS service's address: the tenth address of the service range.");
    DNS_DOMAIN = Setting::new("KUBE_DNS_DOMAIN", Kind::Domain, Value("cluster.local"),
        "The cluster's DNS domain.");
    PROXY_MODE = Setting::new("KUBE_PROXY_MODE", Kind::Choice(&["iptables", "nftables"]), Value("iptables"),
        "How kube-proxy implements Services. nftables is faster with many Services; it needs Kubernetes \
         1.33 and Linux 5.13, or later.");
}
