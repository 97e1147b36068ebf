//! Networks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Meta, resource};

/// A network: a set of subnetworks and firewall rules. Machines of the local cloud can always reach each
/// other, since loopback isn't filtered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// Whether each region gets a subnetwork automatically.
    #[serde(default)]
    pub auto_create_subnetworks: bool,
    /// Legacy networks; not emulated.
    #[serde(default, rename = "IPv4Range", skip_serializing_if = "Option::is_none")]
    pub legacy_range: Option<String>,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

resource!(Network);
