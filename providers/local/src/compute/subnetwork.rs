//! Subnetworks.

use std::net::Ipv4Addr;

use axum::Router;
use axum::routing::post;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::crud::{self, Begun, begins};
use super::error::ApiError;
use super::link;
use super::network::Network;
use super::patch::{self, Patchable};
use super::place::Body;
use super::resource::{Managed, Meta, Target, fresh_fingerprint, resource};
use super::scope::{Key, Scope};
use super::shared_vpc;
use crate::cloud::Cloud;
use crate::operation::{Request, Work};
use crate::store::{State, addresses};

/// A range of a network, in a region.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subnetwork {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// URL of the network.
    pub network: String,
    /// The machines' range.
    pub ip_cidr_range: Ipv4Net,
    /// For patch.
    #[serde(default)]
    pub fingerprint: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

resource!(Subnetwork, subnetworks, complete = gateway);

fn gateway(subnet: &Subnetwork, _: &State, view: &mut Map<String, Value>) {
    let gateway = u32::from(subnet.ip_cidr_range.network()) + 1;
    view.insert(
        "gatewayAddress".into(),
        std::net::Ipv4Addr::from(gateway).to_string().into(),
    );
}

impl Subnetwork {
    /// One with these; the rest as by default.
    pub fn new(ip_cidr_range: Ipv4Net, network: String) -> Self {
        Self {
            meta: Meta::default(),
            network,
            ip_cidr_range,
            fingerprint: fresh_fingerprint(),
            rest: Map::new(),
        }
    }
}

const FIELD: &str = "resource.ipCidrRange";

impl Managed for Subnetwork {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        let network = shared_vpc::own_network(state, &self.network, key)?;
        if state.ready::<Network>(&network)?.auto_create_subnetworks {
            let why = "A subnetwork cannot be added to a network with auto subnet mode.";
            return Err(ApiError::invalid("resource.network", &self.network, why));
        }
        self.network = state.link_of::<Network>(&network);
        free_range(state, None, self.ip_cidr_range)?;
        self.fingerprint = fresh_fingerprint();
        Ok(())
    }

    fn user(&self, state: &State, _: &Key) -> Option<String> {
        state
            .instances
            .iter()
            .find(|(_, instance)| {
                let mut nics = instance.network_interfaces.iter();
                nics.any(|nic| link::same(&nic.subnetwork, &self.meta.self_link))
            })
            .map(|(key, _)| state.path_of::<super::instance::Instance>(key))
    }
}

impl Patchable for Subnetwork {
    fn fingerprint(&self) -> Option<&str> {
        Some(&self.fingerprint)
    }

    fn recheck(&mut self, state: &State, key: &Key) -> Result<(), ApiError> {
        let before = state.get::<Self>(key)?;
        if self.ip_cidr_range != before.ip_cidr_range || self.network != before.network {
            let why = "Machines have addresses of it: it cannot be changed.";
            return Err(ApiError::invalid(FIELD, self.ip_cidr_range, why));
        }
        self.fingerprint = fresh_fingerprint();
        Ok(())
    }
}

/// Refuses a range that a subnetwork can't have: machines are processes, with loopback addresses of this cloud's.
/// The subnetwork `own` isn't in its own way.
fn free_range(state: &State, own: Option<&Key>, range: Ipv4Net) -> Result<(), ApiError> {
    if range != range.trunc() || range.prefix_len() > 29 {
        let why = "Must be a valid CIDR range: a network address, of /29 or larger.";
        return Err(ApiError::invalid(FIELD, range, why));
    }
    let block = state.block;
    let outside = !block.range().contains(&range);
    let kept = [block.reserved(), block.external()]
        .iter()
        .any(|kept| kept.contains(&range) || range.contains(kept));
    if outside || kept {
        let why = format!(
            "Machines of the local cloud are processes of this one: their addresses are \
             loopback addresses of {}, outside {} and {}.",
            block.range(),
            block.reserved(),
            block.external()
        );
        return Err(ApiError::invalid(FIELD, range, why));
    }
    let overlaps = |other: &Ipv4Net| other.contains(&range) || range.contains(other);
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

/// The routes of subnetworks.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<Subnetwork>();
    let at = |method: &str| format!("{one}/{method}");
    patch::routes::<Subnetwork>()
        .merge(crud::aggregated::<Subnetwork>())
        .route(&at("expandIpCidrRange"), post(begins(expand)))
        .route(
            &at("setPrivateIpGoogleAccess"),
            post(begins(set_private_access)),
        )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expansion {
    ip_cidr_range: Ipv4Net,
}

fn expand(state: &mut State, key: &Key, Body(wanted): Body<Expansion>) -> Begun {
    let wanted = wanted.ip_cidr_range;
    let before = state.ready::<Subnetwork>(key)?.ip_cidr_range;
    if !wanted.contains(&before) || wanted == before {
        let why = format!("The new range must be larger than {before}, and hold it.");
        return Err(ApiError::invalid("ipCidrRange", wanted, why));
    }
    free_range(state, Some(key), wanted)?;
    let subnet = state.ready_mut::<Subnetwork>(key)?;
    subnet.ip_cidr_range = wanted;
    subnet.fingerprint = fresh_fingerprint();
    let target = Target::of::<Subnetwork>(key);
    Ok(Request::new("expandIpCidrRange", target, Work::Update))
}

/// Kept, without effect: machines of the local cloud reach what this host reaches.
fn set_private_access(
    state: &mut State,
    key: &Key,
    Body(mut body): Body<Map<String, Value>>,
) -> Begun {
    let subnet = state.ready_mut::<Subnetwork>(key)?;
    let wanted = body.remove("privateIpGoogleAccess").unwrap_or_default();
    if !wanted.is_boolean() {
        let why = "Must be true or false.";
        return Err(ApiError::invalid("privateIpGoogleAccess", wanted, why));
    }
    subnet.rest.insert("privateIpGoogleAccess".into(), wanted);
    subnet.fingerprint = fresh_fingerprint();
    let target = Target::of::<Subnetwork>(key);
    Ok(Request::new(
        "setPrivateIpGoogleAccess",
        target,
        Work::Update,
    ))
}

/// The subnetwork that a URL names, or the region's own one of an auto-mode network: of the network that
/// is named, or of `default`. For what is in the cloud's own project.
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

/// The address of a subnetwork that is wanted, if it can be had; the next free one if none is.
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
