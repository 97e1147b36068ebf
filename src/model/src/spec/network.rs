//! Networks, ranges of addresses and DNS.

use super::malformed::Malformed;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Networks, ranges and DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The network's name.
    pub name: String,
    /// The project of the network and its firewall rules; `None` is the cluster's own. Another
    /// project is the host project of a shared VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_project: Option<String>,
    /// The subnetwork's name, if one is to be used or created.
    pub subnetwork: Option<String>,
    /// Whether the network is created with a subnetwork of `node_range`, rather than one per region.
    pub custom: bool,
    /// Whether machines have internal addresses only, and the endpoint has an internal one.
    #[serde(default)]
    pub private: bool,
    /// Whether others create the firewall rules, such as a shared VPC's administrators.
    #[serde(default)]
    pub others_make_firewalls: bool,
    /// Source ranges allowed to SSH to replicas; `None` if not set.
    #[serde(default)]
    pub ssh_sources: Option<Vec<IpNet>>,
    /// The pod address range.
    pub cluster_range: IpNet,
    /// The maximum number of pods on a node. Each node gets a range of at least twice as many addresses.
    #[serde(default = "kubelets_own_limit")]
    pub pods_per_node: u32,
    /// The service address range.
    pub service_range: IpNet,
    /// The machines' address range in a custom network.
    pub node_range: IpNet,
    /// The address range of pods on replicas.
    pub master_range: IpNet,
    /// The cluster DNS service's address, in `service_range`.
    pub dns_address: IpAddr,
    /// The cluster's DNS domain.
    pub dns_domain: String,
    /// How kube-proxy implements Services.
    #[serde(default)]
    pub proxy_mode: ProxyMode,
    /// Whether `down` deletes the network; `None` means "if hakube created it".
    pub delete: Option<bool>,
}

/// The kubelet's default.
fn kubelets_own_limit() -> u32 {
    110
}

impl Network {
    /// The machines' subnetwork: by default it has the network's name, as in each region of a
    /// network with one per region.
    pub fn subnetwork(&self) -> &str {
        self.subnetwork.as_deref().unwrap_or(&self.name)
    }

    /// The number of nodes whose pod ranges fit.
    pub fn nodes_at_most(&self) -> u128 {
        nodes_at_most(self.cluster_range, self.pods_per_node)
    }

    /// The prefix length of each node's pod range.
    pub fn node_prefix(&self) -> u32 {
        let all = u32::from(self.cluster_range.max_prefix_len());
        all - node_bits(self.cluster_range, self.pods_per_node)
    }

    /// The address of the service `kubernetes`: the first of the service range after its network address.
    pub fn service_address(&self) -> IpAddr {
        // Settings with a smaller range are refused.
        nth_address(self.service_range, 1).unwrap_or_else(|| self.service_range.network())
    }
}

/// How kube-proxy makes Services' addresses work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// With iptables.
    #[default]
    Iptables,
    /// With nftables: needs Kubernetes 1.33 and Linux 5.13, or later.
    Nftables,
}

impl FromStr for ProxyMode {
    type Err = Malformed;

    fn from_str(word: &str) -> Result<Self, Malformed> {
        match word {
            "iptables" => Ok(Self::Iptables),
            "nftables" => Ok(Self::Nftables),
            "ipvs" => Err(Malformed::new(
                "Kubernetes deprecated it, and hakube doesn't support it",
            )),
            _ => Err(Malformed::new("it isn't a valid mode")),
        }
    }
}

/// The `n`th address of a range; `None` beyond its end.
pub fn nth_address(range: IpNet, n: u32) -> Option<IpAddr> {
    let address = match range.network() {
        IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from(u32::from(first).checked_add(n)?)),
        IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from(
            u128::from(first).checked_add(u128::from(n))?,
        )),
    };
    range.contains(&address).then_some(address)
}

/// The size in bits of each node's pod address range. It has room for twice the maximum number of pods, so
/// that addresses aren't reused immediately; for IPv6 it is a /64. Source: kube-up's `get-alias-range-size`.
pub fn node_bits(pods: IpNet, per_node: u32) -> u32 {
    if pods.addr().is_ipv6() {
        return 64;
    }
    per_node.saturating_mul(2).next_power_of_two().ilog2()
}

/// The number of nodes with such ranges that fit.
pub fn nodes_at_most(pods: IpNet, per_node: u32) -> u128 {
    let bits = u32::from(pods.max_prefix_len() - pods.prefix_len());
    let of_nodes = bits.checked_sub(node_bits(pods, per_node));
    of_nodes.map_or(0, |bits| 1u128.checked_shl(bits).unwrap_or(u128::MAX))
}
