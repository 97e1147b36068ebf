//! Networks.

use serde_json::{Map, Value, json};

use crate::base::{ApiError, Key, Meta, Phase, Resource, Scope, Target, catalog, link};
use crate::rules::addresses;
use crate::rules::managed::{Managed, Seen};
use crate::rules::patch::Patchable;
use crate::state::State;
use crate::types::{Firewall, Instance, Network, Route, Subnetwork};

impl Seen for Network {
    fn complete(&self, state: &State, view: &mut Map<String, Value>) {
        let links: Vec<Value> = subnetworks_of(state, &self.meta.self_link)
            .map(|(_, subnet)| subnet.meta.self_link.clone().into())
            .collect();
        view.insert("subnetworks".into(), links.into());
    }
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
            .or_insert_with(|| json!({"routingMode": "REGIONAL"}));
        if self.auto_create_subnetworks {
            for region in catalog::regions() {
                auto_subnetwork(state, &self.meta, key, region)?;
            }
        }
        Ok(())
    }

    fn user(&self, state: &State, _key: &Key) -> Option<String> {
        let own = &self.meta.self_link;
        let firewall = state.path_where::<Firewall>(|firewall| link::same(&firewall.network, own));
        let instance = || {
            state.path_where::<Instance>(|instance| {
                let mut nics = instance.network_interfaces.iter();
                nics.any(|nic| link::same(&nic.network, own))
            })
        };
        // An auto-mode network deletes the subnetworks that it created.
        let subnetwork = || {
            state.path_where::<Subnetwork>(|subnet| {
                link::same(&subnet.network, own) && !self.made(subnet)
            })
        };
        let route = || state.path_where::<Route>(|route| link::same(&route.network, own));
        firewall
            .or_else(instance)
            .or_else(route)
            .or_else(subnetwork)
    }
}

impl Network {
    /// Whether it created this subnetwork of its own, as an auto-mode network does in each region.
    pub fn made(&self, subnet: &Subnetwork) -> bool {
        self.auto_create_subnetworks && subnet.meta().name == self.meta.name
    }
}

impl Patchable for Network {
    fn recheck(&mut self, _: &State, _: &Key) -> Result<(), ApiError> {
        Ok(())
    }
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
    // Ready at once: its network's state is checked wherever it is used.
    state.subnetworks.put(key, Phase::Ready, subnet);
    Ok(())
}

/// Removes the subnetworks of an auto-mode network.
pub fn drop_subnetworks(state: &mut State, network: &Key) {
    let link = state.link_of::<Network>(network);
    let keys: Vec<Key> = subnetworks_of(state, &link)
        .map(|(key, _)| key.clone())
        .collect();
    for key in keys {
        state.table_mut(Subnetwork::TYPE).remove(&key);
    }
}
