//! Regional forwarding rules: an address, external or internal, and ports, to a backend service or a target pool.

mod destination;

use std::net::Ipv4Addr;

use axum::Router;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::address::{self, Address};
use super::crud;
use super::error::ApiError;
use super::labels::{self, Labelled, Labels};
use super::link;
use super::ports::PortRange;
use super::resource::{Managed, Meta, fresh_fingerprint, resource};
use super::scope::Key;
use super::subnetwork::{self, Subnetwork};
use crate::cloud::Cloud;
use crate::store::{State, addresses};

const MAX_PORTS: usize = 5;

/// Where a balancer listens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForwardingRule {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// The client's words for the address: a literal, or the URL of a reservation. Kept resolved.
    #[serde(default, rename = "IPAddress")]
    requested: String,
    /// The address.
    #[serde(default, rename = "localResolvedAddress")]
    pub ip_address: Option<Ipv4Addr>,
    /// `TCP`
    #[serde(default = "tcp", rename = "IPProtocol")]
    protocol: String,
    /// Up to five single ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
    /// Or one range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_range: Option<PortRange>,
    /// Or all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    all_ports: bool,
    #[serde(default)]
    load_balancing_scheme: String,
    /// URL.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    backend_service: String,
    /// URL of a target pool; proxies are not emulated. A rule has this or a backend service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    target: String,
    #[serde(default)]
    fingerprint: String,
    #[serde(flatten)]
    labels: Labels,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn tcp() -> String {
    "TCP".into()
}

resource!(ForwardingRule, forwarding_rules, complete = as_seen);

fn as_seen(rule: &ForwardingRule, _: &State, view: &mut Map<String, Value>) {
    view.remove("localResolvedAddress");
    // Whatever the client wrote: one port is shown as a range, too.
    if let Some(range) = rule.port_range {
        let (first, last) = range.ports().into_inner();
        view.insert("portRange".into(), format!("{first}-{last}").into());
    }
}

impl ForwardingRule {
    /// Whether its address is an external one.
    pub fn is_external(&self) -> bool {
        self.load_balancing_scheme == "EXTERNAL"
    }

    /// Whether it is for all ports.
    pub fn is_for_all_ports(&self) -> bool {
        self.ports.is_empty() && self.port_range.is_none()
    }

    /// The ports that it names; none when it is for all.
    pub fn ranges(&self) -> Vec<PortRange> {
        self.ports.iter().copied().chain(self.port_range).collect()
    }

    /// The subnetwork's range of a rule that is an internal one, whose links are filled in on the way.
    fn internal_range(&mut self, state: &State, region: &str) -> Result<Option<Ipv4Net>, ApiError> {
        if self.is_external() {
            return Ok(None);
        }
        let text = |field: &str| self.rest.get(field).and_then(Value::as_str);
        let key = subnetwork::named(
            state,
            "resource.subnetwork",
            region,
            text("network").unwrap_or_default(),
            text("subnetwork").unwrap_or_default(),
        )?;
        let subnet = state.ready::<Subnetwork>(&key)?;
        self.rest
            .insert("network".into(), subnet.network.clone().into());
        let link = state.link_of::<Subnetwork>(&key);
        self.rest.insert("subnetwork".into(), link.into());
        Ok(Some(subnet.ip_cidr_range))
    }

    fn resolve(
        &self,
        state: &mut State,
        region: &str,
        internal: Option<Ipv4Net>,
    ) -> Result<Ipv4Addr, ApiError> {
        const FIELD: &str = "resource.IPAddress";
        let wanted = match self.requested.as_str() {
            "" if internal.is_some() => None,
            "" => {
                return addresses::take_external(state).ok_or_else(|| {
                    ApiError::refused("The local cloud has no external address left.")
                });
            }
            text if text.contains('/') => {
                let key = link::parse::<Address>(FIELD, text)?;
                let reserved = state.ready::<Address>(&key)?.address;
                let not_ready = || ApiError::not_ready(&state.path_of::<Address>(&key));
                Some(reserved.ok_or_else(not_ready)?)
            }
            text => Some(text.parse().map_err(|_| {
                let why = "Must be an IPv4 address or the URL of an address resource.";
                ApiError::invalid(FIELD, text, why)
            })?),
        };
        match (internal, wanted) {
            (None, Some(wanted)) => {
                address::usable(state, wanted, region)?;
                Ok(wanted)
            }
            // One that nobody has reserved will do, too.
            (Some(range), wanted) => subnetwork::take(state, range, FIELD, wanted),
            (None, None) => Err(ApiError::invalid(FIELD, "", "An address is needed.")),
        }
    }
}

impl Labelled for ForwardingRule {
    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }
}

impl Managed for ForwardingRule {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        let region = key.scope.region().unwrap_or_default();
        match self.load_balancing_scheme.as_str() {
            "" | "EXTERNAL" => self.load_balancing_scheme = "EXTERNAL".into(),
            "INTERNAL" => {}
            other => {
                let what = format!("forwarding rules with the load balancing scheme {other}");
                return Err(ApiError::not_emulated(what));
            }
        }
        if self.protocol != "TCP" {
            return Err(ApiError::not_emulated(format!(
                "forwarding rules for {}",
                self.protocol
            )));
        }
        self.settle_destination(state, key)?;
        self.check_ports()?;
        let range = self.internal_range(state, region)?;
        self.ip_address = Some(self.resolve(state, region, range)?);
        self.requested = self.ip_address.map(|ip| ip.to_string()).unwrap_or_default();
        self.fingerprint = fresh_fingerprint();
        self.labels.prepare()?;
        if self.is_external() {
            self.rest.entry("networkTier").or_insert("PREMIUM".into());
        }
        Ok(())
    }

    fn user(&self, _: &State, _: &Key) -> Option<String> {
        None
    }
}

impl ForwardingRule {
    fn check_ports(&self) -> Result<(), ApiError> {
        let to_pool = !self.target.is_empty();
        if to_pool && (self.all_ports || !self.ports.is_empty()) {
            let why = "A forwarding rule to a target pool has a portRange, or all ports when it has none.";
            return Err(ApiError::invalid("resource.ports", "", why));
        }
        let ways = [
            !self.ports.is_empty(),
            self.port_range.is_some(),
            self.all_ports,
        ];
        if ways.iter().filter(|way| **way).count() != 1 && !to_pool {
            let why = "Exactly one of ports, portRange and allPorts must be specified.";
            return Err(ApiError::invalid("resource.ports", "", why));
        }
        if self.ports.len() > MAX_PORTS || self.ports.iter().any(|port| port.size() != 1) {
            let ports: Vec<String> = self.ports.iter().map(ToString::to_string).collect();
            let why = format!("Must be at most {MAX_PORTS} single ports.");
            return Err(ApiError::invalid("resource.ports", ports.join(","), why));
        }
        if self
            .port_range
            .is_some_and(|range| range.size() > PortRange::MOST_SERVED)
        {
            let what = format!("port ranges of more than {} ports", PortRange::MOST_SERVED);
            return Err(ApiError::not_emulated(what));
        }
        Ok(())
    }
}

/// The routes of forwarding rules.
pub fn routes() -> Router<Cloud> {
    crud::routes::<ForwardingRule>()
        .merge(crud::aggregated::<ForwardingRule>())
        .merge(labels::routes::<ForwardingRule>())
        .merge(destination::routes())
}
