//! Subnetworks.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde_json::{Map, Value};

use crate::base::{ApiError, Key, Meta, Scope, fresh_fingerprint, limits, link};
use crate::rules::managed::{Managed, Seen};
use crate::rules::patch::Patchable;
use crate::rules::{addresses, shared_vpc};
use crate::state::State;
use crate::types::subnetwork::SecondaryRange;
use crate::types::{Instance, Network, Subnetwork};

impl Seen for Subnetwork {
    fn complete(&self, _: &State, view: &mut Map<String, Value>) {
        view.insert("gatewayAddress".into(), self.gateway().to_string().into());
    }
}

impl Subnetwork {
    /// A subnetwork with default settings.
    pub fn new(ip_cidr_range: Ipv4Net, network: String) -> Self {
        Self {
            meta: Meta::default(),
            network,
            ip_cidr_range,
            fingerprint: fresh_fingerprint(),
            secondary_ip_ranges: Vec::new(),
            rest: Map::new(),
        }
    }
}

const FIELD: &str = "resource.ipCidrRange";

impl Managed for Subnetwork {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        let network = shared_vpc::own_network(state, &self.network, key)?;
        state.ready::<Network>(&network)?;
        self.network = state.link_of::<Network>(&network);
        free_range(state, None, self.ip_cidr_range)?;
        self.check_secondary(state, None)?;
        self.fingerprint = fresh_fingerprint();
        Ok(())
    }

    fn deletable(&self, state: &State) -> Result<(), ApiError> {
        let network = state.reference::<Network>("network", &self.network, None)?;
        if !state.get::<Network>(&network)?.made(self) {
            return Ok(());
        }
        let why = "Cannot delete auto subnetwork from an auto subnet mode network.";
        Err(ApiError::invalid("subnetwork", &self.meta.name, why))
    }

    fn user(&self, state: &State, _: &Key) -> Option<String> {
        state.path_where::<Instance>(|instance| {
            let mut nics = instance.network_interfaces.iter();
            nics.any(|nic| link::same(&nic.subnetwork, &self.meta.self_link))
        })
    }
}

impl Patchable for Subnetwork {
    fn fingerprint(&self) -> Option<&str> {
        Some(&self.fingerprint)
    }

    fn recheck(&mut self, state: &State, key: &Key) -> Result<(), ApiError> {
        let before = state.get::<Self>(key)?;
        if self.ip_cidr_range != before.ip_cidr_range || self.network != before.network {
            let why = "Machines use addresses of this range, so it cannot be changed.";
            return Err(ApiError::invalid(FIELD, self.ip_cidr_range, why));
        }
        self.check_secondary(state, Some(key))?;
        let mut gone = before.secondary_ip_ranges.iter();
        let gone = gone.find(|range| !self.secondary_ip_ranges.contains(range));
        if let Some((range, user)) =
            gone.and_then(|range| Some((range, before.alias_user(state, range)?)))
        {
            let path = format!(
                "{}/secondaryIpRanges/{}",
                state.path_of::<Self>(key),
                range.range_name
            );
            return Err(ApiError::in_use("subnetwork", &path, &user));
        }
        self.fingerprint = fresh_fingerprint();
        Ok(())
    }
}

/// The most secondary ranges of a subnetwork.
const MOST_SECONDARY: usize = 170;
const SECONDARY: &str = "resource.secondaryIpRanges";

/// Whether two ranges have an address in common.
pub fn overlap(one: &Ipv4Net, other: &Ipv4Net) -> bool {
    one.contains(other) || other.contains(one)
}

impl Subnetwork {
    /// The path of an instance with an alias in a secondary range.
    fn alias_user(&self, state: &State, range: &SecondaryRange) -> Option<String> {
        state.path_where::<Instance>(|instance| {
            let nics = instance.network_interfaces.iter();
            let mut own = nics.filter(|nic| link::same(&nic.subnetwork, &self.meta.self_link));
            own.any(|nic| {
                nic.alias_ranges()
                    .any(|alias| range.ip_cidr_range.contains(&alias))
            })
        })
    }

    /// Rejects secondary ranges that are malformed, or overlap another range of the network.
    fn check_secondary(&self, state: &State, own: Option<&Key>) -> Result<(), ApiError> {
        let ranges = &self.secondary_ip_ranges;
        if ranges.len() > MOST_SECONDARY {
            let why = format!("At most {MOST_SECONDARY} secondary ranges are allowed.");
            return Err(ApiError::invalid(SECONDARY, ranges.len(), why));
        }
        for (
            index,
            SecondaryRange {
                range_name,
                ip_cidr_range: range,
            },
        ) in ranges.iter().enumerate()
        {
            limits::name(&format!("{SECONDARY}[{index}].rangeName"), range_name)?;
            let field = format!("{SECONDARY}[{index}].ipCidrRange");
            if *range != range.trunc() || range.prefix_len() > 29 {
                let why = "Must be a valid CIDR range: a network address, of /29 or larger.";
                return Err(ApiError::invalid(&field, range, why));
            }
            if ranges[..index]
                .iter()
                .any(|other| other.range_name == *range_name)
            {
                let why = "The names of secondary ranges must be unique.";
                return Err(ApiError::invalid(&field, range_name, why));
            }
            let earlier = ranges[..index].iter().map(|other| other.ip_cidr_range);
            if earlier
                .chain([self.ip_cidr_range])
                .any(|other| overlap(&other, range))
            {
                let why = format!(
                    "Invalid IPCidrRange: {range} conflicts with a range of the same subnetwork."
                );
                return Err(ApiError::invalid(&field, range, why));
            }
            let mut others = state.subnetworks.iter().filter(|(key, other)| {
                Some(*key) != own && link::same(&other.network, &self.network)
            });
            let taken = others.find(|(_, other)| {
                let secondary = other
                    .secondary_ip_ranges
                    .iter()
                    .map(|other| other.ip_cidr_range);
                secondary
                    .chain([other.ip_cidr_range])
                    .any(|other| overlap(&other, range))
            });
            if let Some((key, _)) = taken {
                let path = state.path_of::<Self>(key);
                let why = format!(
                    "Invalid IPCidrRange: {range} conflicts with existing subnetwork '{path}'."
                );
                return Err(ApiError::invalid(&field, range, why));
            }
        }
        Ok(())
    }
}

/// Rejects a range that overlaps another subnetwork or isn't usable: machines are processes with loopback
/// addresses of this cloud. The subnetwork `own` is ignored.
pub fn free_range(state: &State, own: Option<&Key>, range: Ipv4Net) -> Result<(), ApiError> {
    if range != range.trunc() || range.prefix_len() > 29 {
        let why = "Must be a valid CIDR range: a network address, of /29 or larger.";
        return Err(ApiError::invalid(FIELD, range, why));
    }
    let block = state.block;
    if !block.permits(range) {
        let why = if block.hosts {
            format!(
                "Machines of this local cloud are hosts: their addresses are of private ranges, outside {}.",
                block.reserved()
            )
        } else {
            format!(
                "Machines of the local cloud are processes of this host: their addresses are \
                 loopback addresses of {}, outside {} and {}.",
                block.range(),
                block.reserved(),
                block.external()
            )
        };
        return Err(ApiError::invalid(FIELD, range, why));
    }
    let overlaps = |other: &Ipv4Net| overlap(other, &range);
    if let Some((key, _)) = state
        .subnetworks
        .iter()
        .find(|(key, other)| Some(*key) != own && overlaps(&other.ip_cidr_range))
    {
        let path = state.path_of::<Subnetwork>(key);
        let why =
            format!("Invalid IPCidrRange: {range} conflicts with existing subnetwork '{path}'.");
        return Err(ApiError::invalid(FIELD, range, why));
    }
    Ok(())
}

/// The subnetwork that a URL names; without one, the region's subnetwork of the named auto-mode network or
/// of `default`. For resources of the cloud's own project.
pub fn named(
    state: &State,
    field: &str,
    region: &str,
    network: &str,
    subnetwork: &str,
) -> Result<Key, ApiError> {
    if !subnetwork.is_empty() {
        let key = state.reference::<Subnetwork>(field, subnetwork, None)?;
        let subnet = state.ready::<Subnetwork>(&key)?;
        shared_vpc::check_use(state, field, subnetwork, &key)?;
        if key.scope.region() != Some(region) {
            let why = "The subnetwork must be in the region of the resource.";
            return Err(ApiError::invalid(field, subnetwork, why));
        }
        let of = state.reference::<Network>(field, &subnet.network, None)?;
        if !network.is_empty() && state.reference::<Network>(field, network, None)? != of {
            let why = "The subnetwork is not one of the network.";
            return Err(ApiError::invalid(field, subnetwork, why));
        }
        state.ready::<Network>(&of)?;
        return Ok(key);
    }
    let network = match network {
        "" => Key::new(Scope::Global, "default"),
        text => state.reference::<Network>(field, text, None)?,
    };
    shared_vpc::check_use(state, field, &state.link_of::<Network>(&network), &network)?;
    if network.project.is_some() {
        let why = "A subnetwork must be specified for a network of another project.";
        return Err(ApiError::invalid(field, "", why));
    }
    if !state.ready::<Network>(&network)?.auto_create_subnetworks {
        let why = "Network interface must specify a subnet if the network resource is in custom subnet mode.";
        return Err(ApiError::invalid(field, "", why));
    }
    Ok(Key::new(Scope::Region(region.to_owned()), network.name))
}

/// Reserves the requested address of a subnetwork if it is free, or the next free one without a request.
pub fn take(
    state: &State,
    range: Ipv4Net,
    field: &str,
    wanted: Option<Ipv4Addr>,
) -> Result<Ipv4Addr, ApiError> {
    let Some(wanted) = wanted else {
        return addresses::next_internal(state, range).ok_or_else(|| {
            let message = format!("IP space of '{range}' is exhausted.");
            ApiError::bad_request("ipSpaceExhausted", message)
        });
    };
    let kept = [range.network(), range.broadcast()].contains(&wanted)
        || u32::from(wanted) == u32::from(range.network()) + 1;
    if kept || !range.contains(&wanted) {
        let why = format!(
            "Requested internal IP address is outside the subnetwork's usable range {range}."
        );
        return Err(ApiError::invalid(field, wanted, why));
    }
    if addresses::users(state).any(|(taken, _)| taken == wanted) {
        return Err(ApiError::bad_request(
            "ipInUseByAnotherResource",
            format!("IP '{wanted}' is already being used by another resource."),
        ));
    }
    Ok(wanted)
}
