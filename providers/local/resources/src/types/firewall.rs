//! Firewall rules.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Meta, PortRange, resource};

/// An ingress rule that allows traffic. Deny and egress rules are not emulated.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Firewall {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// URL of the network.
    #[serde(default)]
    pub network: String,
    /// `INGRESS` or `EGRESS`.
    #[serde(default = "ingress")]
    pub direction: String,
    /// 0 to 65535; the lowest wins.
    #[serde(default = "usual_priority")]
    pub priority: u16,
    /// Stored, but not enforced.
    #[serde(default)]
    pub disabled: bool,
    /// The allowed traffic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<Traffic>,
    /// The denied traffic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<Traffic>,
    /// The sources, as ranges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_ranges: Vec<IpNet>,
    /// The sources, as tags of instances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_tags: Vec<String>,
    /// The tags of the target instances; empty for all of the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_tags: Vec<String>,
    /// The sources, as service accounts of instances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_service_accounts: Vec<String>,
    /// The service accounts of the target instances; empty for all of the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_service_accounts: Vec<String>,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A protocol and its ports.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Traffic {
    /// `tcp`, `udp`, `icmp`, `all`, or a number.
    #[serde(rename = "IPProtocol")]
    pub protocol: String,
    /// `443` or `2379-2380`; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
}

/// The usual direction.
pub fn ingress() -> String {
    "INGRESS".into()
}

fn usual_priority() -> u16 {
    1000
}

impl Firewall {
    /// Whether it is for an instance with these tags and service accounts.
    pub fn targets<'a>(
        &self,
        tags: &[String],
        mut accounts: impl Iterator<Item = &'a str>,
    ) -> bool {
        let by_account = &self.target_service_accounts;
        if !by_account.is_empty() {
            return accounts.any(|own| by_account.iter().any(|account| account == own));
        }
        self.target_tags.is_empty() || self.target_tags.iter().any(|tag| tags.contains(tag))
    }

    /// The TCP ports that it allows.
    pub fn tcp_ports(&self) -> impl Iterator<Item = PortRange> {
        let tcp = |traffic: &&Traffic| matches!(traffic.protocol.as_str(), "tcp" | "6" | "all");
        self.allowed.iter().filter(tcp).flat_map(|traffic| {
            if traffic.ports.is_empty() {
                vec![PortRange::ALL]
            } else {
                traffic.ports.clone()
            }
        })
    }
}

resource!(Firewall);
