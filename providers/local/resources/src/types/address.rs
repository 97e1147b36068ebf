//! Reserved addresses: external, and internal ones of a subnetwork.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Labelled, Labels, Meta, resource};

/// A reserved external address of a region.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// The address itself.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// `EXTERNAL` or `INTERNAL`.
    #[serde(default = "external")]
    pub address_type: String,
    /// Its labels.
    #[serde(flatten)]
    pub labels: Labels,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

fn external() -> String {
    "EXTERNAL".into()
}

impl Labelled for Address {
    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }
}

impl Address {
    /// Whether it is an external address.
    pub fn is_external(&self) -> bool {
        self.address_type == "EXTERNAL"
    }
}

resource!(Address);
