//! Networks, ranges and DNS.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { NETWORK: "Network", "The four ranges must not overlap. Those derived from the number of nodes grow with it.";
    NETWORK_NAME = Setting::new("KUBE_GCE_NETWORK", Kind::Name, Value("default"),
        "The network. One that exists is used as it is; a missing one is made.");
    SUBNETWORK = Setting::new("SUBNETWORK", Kind::Name,
        Derived("from KUBE_GCE_NETWORK when CREATE_CUSTOM_NETWORK is true or the network another project's, else none"),
        "The subnetwork that machines are in.");
    PRIVATE_CLUSTER = Setting::new("KUBE_GCE_PRIVATE_CLUSTER", Kind::Bool, Value("false"),
        "Whether machines have no external addresses, and the endpoint has an internal one of their subnetwork.");
    CUSTOM_NETWORK = Setting::new("CREATE_CUSTOM_NETWORK", Kind::Bool, Value("false"),
        "Whether a missing network is made with one subnetwork of NODE_IP_RANGE, rather than one per region.");
    DELETE_NETWORK = Setting::new("KUBE_DELETE_NETWORK", Kind::Bool, Unset("if hakube made it"),
        "Whether `hakube down` deletes the network. One that hakube didn't make is never deleted.");
    FIREWALLS = Setting::new("HAKUBE_FIREWALLS", Kind::Bool, Value("true"),
        "Whether firewall rules are made. `false` leaves them to others, such as a shared VPC's administrators: \
         docs/gce.md says which are needed.");
    SSH_SOURCE = Setting::new("HAKUBE_SSH_SOURCE", Kind::Ranges, Unset("needed for gce"),
        "From where replicas take ssh, by which hakube puts files on them: the operators' own addresses, such as \
         203.0.113.7/32; behind Google's Identity-Aware Proxy 35.235.240.0/20. `none` makes no firewall rule: \
         the network has one, or the operators are within it.")
        .flag("--ssh-source");
    CLUSTER_RANGE = Setting::new("CLUSTER_IP_RANGE", Kind::Range, Derived("from NUM_NODES"),
        "Pods' addresses: 10.64.0.0/14, /13 above 1000 nodes, /12 above 2000, /11 above 4000. A /24 for each \
         node, if MAX_PODS_PER_NODE doesn't say otherwise; of IPv6, at most a /48, a /64.");
    SERVICE_RANGE = Setting::new("SERVICE_CLUSTER_IP_RANGE", Kind::Range, Value("10.0.0.0/16"),
        "Services' addresses: /12 to /28 (IPv6: /108 to /124).");
    NODE_RANGE = Setting::new("NODE_IP_RANGE", Kind::Range, Derived("from NUM_NODES"),
        "Machines' addresses in a custom network: 10.40.0.0/22, /21 above 1000 nodes, /20 above 2000, /19 \
         above 4000.");
    MASTER_RANGE = Setting::new("MASTER_IP_RANGE", Kind::Range, Value("10.246.0.0/24"),
        "What kube-up gives to pods on replicas. hakube's have addresses of CLUSTER_IP_RANGE, as all nodes have: it is \
         only kept apart from the others.");
    DNS_ADDRESS = Setting::new("KUBE_DNS_SERVER_IP", Kind::Address, Derived("from SERVICE_CLUSTER_IP_RANGE"),
        "The cluster DNS service's address: the tenth of the services' range.");
    DNS_DOMAIN = Setting::new("KUBE_DNS_DOMAIN", Kind::Domain, Value("cluster.local"),
        "The cluster's DNS domain.");
    PROXY_MODE = Setting::new("KUBE_PROXY_MODE", Kind::Choice(&["iptables", "nftables"]), Value("iptables"),
        "How kube-proxy makes Services' addresses work. nftables is faster with many Services; it takes Kubernetes \
         1.33 and Linux 5.13, or later ones.");
}
