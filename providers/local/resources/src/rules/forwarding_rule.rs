//! Regional forwarding rules: from an address, external or internal, and ports to a backend service or a
//! target pool.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::{Map, Value};

use crate::base::{ApiError, Key, PortRange, Type, fresh_fingerprint, link};
use crate::rules::managed::{Managed, Seen};
use crate::rules::{address, addresses, subnetwork};
use crate::state::State;
use crate::types::{Address, BackendService, ForwardingRule, Subnetwork, TargetPool};

const MAX_PORTS: usize = 5;

impl Seen for ForwardingRule {
    fn complete(&self, _: &State, view: &mut Map<String, Value>) {
        view.remove("localResolvedAddress");
        // As in the real API, a single port is also shown as a range.
        if let Some(range) = self.port_range {
            let (first, last) = range.ports().into_inner();
            view.insert("portRange".into(), format!("{first}-{last}").into());
        }
    }
}

impl ForwardingRule {
    /// The subnetwork's range of an internal rule. Also fills in its links.
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
                    ApiError::refused("The local cloud has no free external addresses.")
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
            // The address need not be reserved.
            (Some(range), wanted) => subnetwork::take(state, range, FIELD, wanted),
            (None, None) => Err(ApiError::invalid(FIELD, "", "An address is needed.")),
        }
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

impl ForwardingRule {
    /// Validates the requested target and fills in its link.
    pub fn settle_destination(&mut self, state: &State, key: &Key) -> Result<(), ApiError> {
        match (self.target.is_empty(), self.backend_service.is_empty()) {
            (true, _) => self.use_service(state, key, "resource.backendService"),
            (false, true) => self.use_pool(state, key, "resource.target"),
            (false, false) => {
                let why = "Only one of target and backendService may be specified.";
                Err(ApiError::invalid("resource.target", &self.target, why))
            }
        }
    }

    /// Validates the backend service and fills in its link.
    pub fn use_service(&mut self, state: &State, key: &Key, field: &str) -> Result<(), ApiError> {
        let service = link::parse::<BackendService>(field, &self.backend_service)?;
        if service.scope != key.scope {
            let why = "The backend service must be in the region of the rule.";
            return Err(ApiError::invalid(field, &self.backend_service, why));
        }
        let known = state.ready::<BackendService>(&service)?;
        let scheme = &known.load_balancing_scheme;
        if *scheme != self.load_balancing_scheme {
            let why = format!("The load balancing scheme of the backend service is {scheme}.");
            let own = &self.load_balancing_scheme;
            return Err(ApiError::invalid("resource.loadBalancingScheme", own, why));
        }
        self.backend_service = state.link_of::<BackendService>(&service);
        Ok(())
    }

    /// Validates the target pool and fills in its link.
    pub fn use_pool(&mut self, state: &State, key: &Key, field: &str) -> Result<(), ApiError> {
        if collection(&self.target) != Type::TargetPool.collection() {
            return Err(ApiError::not_emulated(format_args!(
                "forwarding rules to {}",
                collection(&self.target)
            )));
        }
        let pool = link::parse::<TargetPool>(field, &self.target)?;
        if pool.scope != key.scope {
            let why = "The target pool must be in the region of the rule.";
            return Err(ApiError::invalid(field, &self.target, why));
        }
        if !self.is_external() {
            let why = "A target pool takes external traffic only.";
            let own = &self.load_balancing_scheme;
            return Err(ApiError::invalid("resource.loadBalancingScheme", own, why));
        }
        state.ready::<TargetPool>(&pool)?;
        self.target = state.link_of::<TargetPool>(&pool);
        Ok(())
    }
}

/// `targetPools` of `…/targetPools/p`.
pub fn collection(text: &str) -> &str {
    text.rsplit('/').nth(1).unwrap_or_default()
}
