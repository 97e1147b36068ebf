//! Networks.

use axum::Router;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::catalog;
use super::crud::{self, Begun, begins};
use super::error::ApiError;
use super::firewall::Firewall;
use super::link;
use super::patch::{self, Patchable};
use super::resource::{Managed, Meta, Resource, Target, resource};
use super::scope::{Key, Scope};
use super::subnetwork::Subnetwork;
use crate::cloud::Cloud;
use crate::operation::{Request, Work};
use crate::store::{Phase, State, addresses};

/// A network: a set of subnetworks and firewall rules. All machines of the local cloud can reach
/// each other in any case; the kernel's loopback has no walls.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// Whether each region has a subnetwork of its own accord.
    #[serde(default)]
    pub auto_create_subnetworks: bool,
    /// Legacy networks; not emulated.
    #[serde(default, rename = "IPv4Range", skip_serializing_if = "Option::is_none")]
    pub legacy_range: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

resource!(Network, networks, complete = subnetworks);

fn subnetworks(network: &Network, state: &State, view: &mut Map<String, Value>) {
    let links: Vec<Value> = subnetworks_of(state, &network.meta.self_link)
        .map(|(_, subnet)| subnet.meta.self_link.clone().into())
        .collect();
    view.insert("subnetworks".into(), links.into());
}

/// The subnetworks of the network with this link.
pub fn subnetworks_of<'a>(
    state: &'a State,
    network: &'a str,
) -> impl Iterator<Item = (&'a Key, &'a Subnetwork)> {
    state
        .subnetworks
        .iter()
        .filter(move |(_, subnet)| link::same(&subnet.network, network))
}

impl Managed for Network {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        if self.legacy_range.is_some() {
            return Err(ApiError::not_emulated("legacy networks (IPv4Range)"));
        }
        self.rest
            .entry("routingConfig")
            .or_insert_with(|| serde_json::json!({"routingMode": "REGIONAL"}));
        if self.auto_create_subnetworks {
            for region in catalog::regions() {
                auto_subnetwork(state, &self.meta, key, region)?;
            }
        }
        Ok(())
    }

    fn user(&self, state: &State, _key: &Key) -> Option<String> {
        let own = &self.meta.self_link;
        let firewall = state
            .firewalls
            .iter()
            .find(|(_, firewall)| link::same(&firewall.network, own))
            .map(|(key, _)| state.path_of::<Firewall>(key));
        let instance = || {
            state
                .instances
                .iter()
                .find(|(_, instance)| {
                    let mut nics = instance.network_interfaces.iter();
                    nics.any(|nic| link::same(&nic.network, own))
                })
                .map(|(key, _)| state.path_of::<super::instance::Instance>(key))
        };
        // An auto-mode network takes its own subnetworks along.
        let subnetwork = || {
            subnetworks_of(state, own)
                .find(|_| !self.auto_create_subnetworks)
                .map(|(key, _)| state.path_of::<Subnetwork>(key))
        };
        firewall.or_else(instance).or_else(subnetwork)
    }
}

impl Patchable for Network {
    fn recheck(&mut self, _: &State, _: &Key) -> Result<(), ApiError> {
        Ok(())
    }
}

/// The routes of networks.
pub fn routes() -> Router<Cloud> {
    let to_custom = format!("{}/switchToCustomMode", crud::one::<Network>());
    patch::routes::<Network>().route(&to_custom, post(begins(switch_to_custom)))
}

/// The subnetworks that it has stay, as ones of its owner's.
fn switch_to_custom(state: &mut State, key: &Key, (): ()) -> Begun {
    let network = state.ready_mut::<Network>(key)?;
    if !network.auto_create_subnetworks {
        let why = "The network is in custom subnet mode already.";
        return Err(ApiError::invalid("network", &key.name, why));
    }
    network.auto_create_subnetworks = false;
    let target = Target::of::<Network>(key);
    Ok(Request::new("switchToCustomMode", target, Work::Update))
}

fn auto_subnetwork(
    state: &mut State,
    network: &Meta,
    own: &Key,
    region: &str,
) -> Result<(), ApiError> {
    let scope = Scope::Region(region.to_owned());
    let key = Key::new(scope, own.name.as_str()).of(own.project.as_deref());
    if state.subnetworks.get(&key).is_some() {
        return Err(ApiError::exists(&state.path_of::<Subnetwork>(&key)));
    }
    let range = addresses::next_subnet(state).ok_or_else(|| {
        ApiError::refused("All 223 ranges of the local cloud are taken. Delete a network first.")
    })?;
    let mut subnet = Subnetwork::new(range, network.self_link.clone());
    subnet.meta_mut().name.clone_from(&network.name);
    let target = Target::of::<Subnetwork>(&key);
    subnet.meta_mut().stamp(state, &target);
    // Nobody can use it before its network is ready: that is checked wherever it is used.
    state.subnetworks.put(key, Phase::Ready, subnet);
    Ok(())
}

/// Removes what an auto-mode network brought along.
pub fn drop_subnetworks(state: &mut State, network: &Key) {
    let link = state.link_of::<Network>(network);
    let keys: Vec<Key> = subnetworks_of(state, &link)
        .map(|(key, _)| key.clone())
        .collect();
    for key in keys {
        state.table_mut(Subnetwork::TYPE).remove(&key);
    }
}
