//! Alias IP ranges: more internal addresses of a NIC. Single addresses only.

use std::net::Ipv4Addr;

use axum::Router;
use axum::extract::Query;
use axum::routing::patch;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::methods::{AccessConfigQuery, idle};
use super::{Instance, NetworkInterface};
use crate::cloud::Cloud;
use crate::compute::crud::{self, Begun, begins};
use crate::compute::error::ApiError;
use crate::compute::patch::check_fingerprint;
use crate::compute::place::Body;
use crate::compute::resource::fresh_fingerprint;
use crate::compute::scope::Key;
use crate::compute::subnetwork::{self, Subnetwork};
use crate::operation::{Request, Work};
use crate::store::State;

/// Part of a NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AliasIpRange {
    /// `10.0.0.7/32`, or the address alone.
    ip_cidr_range: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl AliasIpRange {
    /// The one address that it is, if it is one.
    fn address(&self) -> Option<Ipv4Addr> {
        let alone = self.ip_cidr_range.parse().ok();
        alone.or_else(|| {
            let range: Ipv4Net = self.ip_cidr_range.parse().ok()?;
            (range.prefix_len() == 32).then(|| range.addr())
        })
    }
}

impl NetworkInterface {
    /// Its alias addresses.
    pub fn aliases(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.alias_ip_ranges
            .iter()
            .filter_map(AliasIpRange::address)
    }

    /// Refuses alias ranges that aren't free addresses of the subnetwork.
    pub(super) fn check_aliases(&mut self, state: &State, range: Ipv4Net) -> Result<(), ApiError> {
        for alias in &mut self.alias_ip_ranges {
            let address = alias.address().ok_or_else(|| {
                ApiError::not_emulated("alias IP ranges of more than one address")
            })?;
            let field = "networkInterfaces[0].aliasIpRanges[0].ipCidrRange";
            subnetwork::take(state, range, field, Some(address))?;
            alias.ip_cidr_range = format!("{address}/32");
        }
        Ok(())
    }
}

/// `updateNetworkInterface`.
pub fn routes() -> Router<Cloud> {
    let path = format!("{}/updateNetworkInterface", crud::one::<Instance>());
    Router::new().route(&path, patch(begins(update)))
}

fn update(
    state: &mut State,
    key: &Key,
    (Query(query), Body(mut body)): (Query<AccessConfigQuery>, Body<Map<String, Value>>),
) -> Begun {
    let (target, instance) = idle(state, key)?;
    let nic = instance.nic_mut(&query.network_interface)?;
    check_fingerprint(&body, "fingerprint", &nic.fingerprint)?;
    let wanted = body.remove("aliasIpRanges").ok_or_else(|| {
        ApiError::not_emulated("changes of a NIC other than of its aliasIpRanges")
    })?;
    let wanted: Vec<AliasIpRange> = serde_json::from_value(wanted)
        .map_err(|error| ApiError::invalid("aliasIpRanges", "", error))?;
    // Those that it has already are its own, and not in the way.
    nic.alias_ip_ranges.clear();
    let mut changed = nic.clone();
    changed.alias_ip_ranges = wanted;
    changed.fingerprint = fresh_fingerprint();
    let subnet = state.reference::<Subnetwork>("subnetwork", &changed.subnetwork, None)?;
    let range = state.ready::<Subnetwork>(&subnet)?.ip_cidr_range;
    changed.check_aliases(state, range)?;
    let instance = state.ready_mut::<Instance>(key)?;
    *instance.nic_mut(&query.network_interface)? = changed;
    Ok(Request::new("updateNetworkInterface", target, Work::Update))
}
