//! Regional forwarding rules: from an address, external or internal, and ports to a backend service or a
//! target pool.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Labelled, Labels, Meta, PortRange, Resource, Target, link, resource};
use crate::types::backend_service::BackendService;
use crate::types::target_pool::TargetPool;

/// A load balancer's frontend.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForwardingRule {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// The requested address: a literal, or the URL of a reservation. Stored resolved.
    #[serde(default, rename = "IPAddress")]
    pub requested: String,
    /// The address.
    #[serde(default, rename = "localResolvedAddress")]
    pub ip_address: Option<Ipv4Addr>,
    /// `TCP`
    #[serde(default = "tcp", rename = "IPProtocol")]
    pub protocol: String,
    /// Up to five single ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
    /// A single range instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_range: Option<PortRange>,
    /// All ports instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_ports: bool,
    /// `EXTERNAL` or `INTERNAL`.
    #[serde(default)]
    pub load_balancing_scheme: String,
    /// URL.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub backend_service: String,
    /// URL of a target pool; proxies are not emulated. Excludes a backend service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// The fingerprint that a patch must repeat.
    #[serde(default)]
    pub fingerprint: String,
    /// Its labels.
    #[serde(flatten)]
    pub labels: Labels,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

fn tcp() -> String {
    "TCP".into()
}

impl ForwardingRule {
    /// Whether its address is external.
    pub fn is_external(&self) -> bool {
        self.load_balancing_scheme == "EXTERNAL"
    }

    /// Whether it is for all ports.
    pub fn is_for_all_ports(&self) -> bool {
        self.ports.is_empty() && self.port_range.is_none()
    }

    /// The ports that it names; empty for all.
    pub fn ranges(&self) -> Vec<PortRange> {
        self.ports.iter().copied().chain(self.port_range).collect()
    }
}

impl Labelled for ForwardingRule {
    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }
}

resource!(ForwardingRule);

impl ForwardingRule {
    /// The backend service or the target pool of the rule.
    pub fn destination(&self) -> Option<Target> {
        let (kind, text) = if self.target.is_empty() {
            (BackendService::TYPE, &self.backend_service)
        } else {
            (TargetPool::TYPE, &self.target)
        };
        let key = link::key_of(text)?;
        Some(Target { kind, key })
    }
}
