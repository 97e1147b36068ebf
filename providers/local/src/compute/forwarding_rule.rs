//! Regional forwarding rules: an external address and ports, to a backend service.

use std::net::Ipv4Addr;

use axum::Router;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::address::{self, Address};
use super::backend_service::BackendService;
use super::crud;
use super::error::ApiError;
use super::labels::{self, Labelled, Labels};
use super::link;
use super::ports::PortRange;
use super::resource::{Managed, Meta, fresh_fingerprint, resource};
use super::scope::Key;
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
    pub all_ports: bool,
    #[serde(default)]
    load_balancing_scheme: String,
    /// URL.
    #[serde(default)]
    pub backend_service: String,
    /// Target pools and proxies; not emulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
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

resource!(ForwardingRule, forwarding_rules, complete = hide_resolved);

fn hide_resolved(_: &ForwardingRule, _: &State, view: &mut Map<String, Value>) {
    view.remove("localResolvedAddress");
}

impl ForwardingRule {
    /// Whether its address is an external one.
    pub fn is_external(&self) -> bool {
        self.load_balancing_scheme == "EXTERNAL"
    }

    /// The ports that it names; none when it is for all.
    pub fn ranges(&self) -> Vec<PortRange> {
        self.ports.iter().copied().chain(self.port_range).collect()
    }

    fn resolve(&self, state: &mut State, region: &str) -> Result<Ipv4Addr, ApiError> {
        const FIELD: &str = "resource.IPAddress";
        let wanted = match self.requested.as_str() {
            "" => {
                return addresses::take_external(state).ok_or_else(|| {
                    ApiError::refused("The local cloud has no external address left.")
                });
            }
            text if text.contains('/') => {
                let key = link::parse::<Address>(FIELD, text)?;
                let reserved = state.ready::<Address>(&key)?.address;
                reserved.ok_or_else(|| ApiError::not_ready(&state.path_of::<Address>(&key)))?
            }
            text => text.parse().map_err(|_| {
                let why = "Must be an IPv4 address or the URL of an address resource.";
                ApiError::invalid(FIELD, text, why)
            })?,
        };
        address::usable(state, wanted, region)?;
        Ok(wanted)
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
        if self
            .target
            .as_ref()
            .is_some_and(|target| !target.is_empty())
        {
            return Err(ApiError::not_emulated(
                "forwarding rules to targets; use a backend service",
            ));
        }
        match self.load_balancing_scheme.as_str() {
            "" | "EXTERNAL" => self.load_balancing_scheme = "EXTERNAL".into(),
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
        let service =
            link::parse::<BackendService>("resource.backendService", &self.backend_service)?;
        if service.scope != key.scope {
            let why = "The backend service must be in the region of the rule.";
            return Err(ApiError::invalid(
                "resource.backendService",
                &self.backend_service,
                why,
            ));
        }
        state.ready::<BackendService>(&service)?;
        self.backend_service = state.link_of::<BackendService>(&service);
        self.check_ports()?;
        self.ip_address = Some(self.resolve(state, region)?);
        self.requested = self.ip_address.map(|ip| ip.to_string()).unwrap_or_default();
        self.fingerprint = fresh_fingerprint();
        self.labels.prepare()?;
        self.rest.entry("networkTier").or_insert("PREMIUM".into());
        Ok(())
    }

    fn user(&self, _: &State, _: &Key) -> Option<String> {
        None
    }
}

impl ForwardingRule {
    fn check_ports(&self) -> Result<(), ApiError> {
        let ways = [
            !self.ports.is_empty(),
            self.port_range.is_some(),
            self.all_ports,
        ];
        if ways.iter().filter(|way| **way).count() != 1 {
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
    let set_target = format!("{}/setTarget", crud::one::<ForwardingRule>());
    crud::routes::<ForwardingRule>()
        .merge(crud::aggregated::<ForwardingRule>())
        .merge(labels::routes::<ForwardingRule>())
        .route(
            &set_target,
            post(async || ApiError::not_emulated("forwardingRules.setTarget")),
        )
}
