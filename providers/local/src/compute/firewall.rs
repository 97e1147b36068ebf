//! Firewall rules.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::ApiError;
use super::limits;
use super::network::Network;
use super::patch::Patchable;
use super::ports::PortRange;
use super::resource::{Managed, Meta, resource};
use super::scope::{Key, Scope};
use super::shared_vpc;
use crate::store::State;

/// A rule that lets traffic in (or, not emulated, denies it or looks at egress).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Firewall {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// URL of the network.
    #[serde(default)]
    pub network: String,
    /// `INGRESS` or `EGRESS`.
    #[serde(default = "ingress")]
    pub direction: String,
    /// 0 to 65535, the lowest wins.
    #[serde(default = "usual_priority")]
    pub priority: u16,
    /// Kept, not in force.
    #[serde(default)]
    pub disabled: bool,
    /// What it lets in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<Traffic>,
    /// What it keeps out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<Traffic>,
    /// From where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_ranges: Vec<IpNet>,
    /// From which instances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_tags: Vec<String>,
    /// To which instances; all of the network when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_tags: Vec<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A protocol, and ports of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Traffic {
    /// `tcp`, `udp`, `icmp`, `all`, or a number.
    #[serde(rename = "IPProtocol")]
    pub protocol: String,
    /// `443` or `2379-2380`; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
}

fn ingress() -> String {
    "INGRESS".into()
}

fn usual_priority() -> u16 {
    1000
}

resource!(Firewall, firewalls);

impl Managed for Firewall {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        if self.network.is_empty() {
            let default = Key::new(Scope::Global, "default");
            self.network = state.link_of::<Network>(&default.of(key.project.as_deref()));
        }
        let network = shared_vpc::own_network(state, &self.network, key)?;
        self.network = state.link_of::<Network>(&network);
        self.recheck(state, key)
    }

    fn user(&self, _: &State, _: &Key) -> Option<String> {
        None
    }
}

impl Patchable for Firewall {
    fn recheck(&mut self, _: &State, _: &Key) -> Result<(), ApiError> {
        match self.direction.as_str() {
            "INGRESS" => {}
            "EGRESS" => return Err(ApiError::not_emulated("egress firewall rules")),
            other => {
                let why = "Must be one of INGRESS, EGRESS.";
                return Err(ApiError::invalid("resource.direction", other, why));
            }
        }
        if !self.denied.is_empty() {
            return Err(ApiError::not_emulated("firewall rules that deny"));
        }
        if self.allowed.is_empty() {
            let why = "A rule must have at least one of allowed and denied.";
            return Err(ApiError::invalid("resource.allowed", "", why));
        }
        for traffic in &self.allowed {
            if !traffic.ports.is_empty()
                && !matches!(
                    traffic.protocol.as_str(),
                    "tcp" | "udp" | "sctp" | "6" | "17"
                )
            {
                let why = "Ports may be specified only for protocols that have them.";
                return Err(ApiError::invalid(
                    "resource.allowed.IPProtocol",
                    &traffic.protocol,
                    why,
                ));
            }
        }
        for tag in self.source_tags.iter().chain(&self.target_tags) {
            limits::name("resource.targetTags", tag)?;
        }
        if self.source_ranges.is_empty() && self.source_tags.is_empty() {
            self.source_ranges = vec![IpNet::V4(ipnet::Ipv4Net::default())];
        }
        Ok(())
    }
}

impl Firewall {
    /// The TCP ports that it opens.
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
