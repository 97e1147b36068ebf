//! Routes that clients create. Those that networks have automatically aren't stored.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Meta, resource};

/// A route by way of an instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// URL of the network.
    #[serde(default)]
    pub network: String,
    /// The destinations. Required.
    #[serde(default)]
    pub dest_range: Option<Ipv4Net>,
    /// Of two routes to the same range, the one with the lower number counts.
    #[serde(default = "usual_priority")]
    pub priority: u16,
    /// URL of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop_instance: Option<String>,
    /// The internal address of the instance instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop_ip: Option<Ipv4Addr>,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

fn usual_priority() -> u16 {
    1000
}

resource!(Route);
