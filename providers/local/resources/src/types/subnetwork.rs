//! Subnetworks.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Meta, resource};

/// An address range of a network in a region.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subnetwork {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// URL of the network.
    pub network: String,
    /// The machines' range.
    pub ip_cidr_range: Ipv4Net,
    /// The fingerprint that a patch must repeat.
    #[serde(default)]
    pub fingerprint: String,
    /// Ranges for aliases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secondary_ip_ranges: Vec<SecondaryRange>,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A secondary range: alias ranges of machines come from it. It isn't of loopback, so nothing serves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecondaryRange {
    /// Its name, unique in the subnetwork.
    pub range_name: String,
    /// The range.
    pub ip_cidr_range: Ipv4Net,
}

impl Subnetwork {
    /// The address of its router: the first of its range.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.ip_cidr_range.network()) + 1)
    }

    /// The secondary range with this name.
    pub fn secondary(&self, name: &str) -> Option<Ipv4Net> {
        let mut ranges = self.secondary_ip_ranges.iter();
        ranges
            .find(|range| range.range_name == name)
            .map(|range| range.ip_cidr_range)
    }
}

resource!(Subnetwork);
