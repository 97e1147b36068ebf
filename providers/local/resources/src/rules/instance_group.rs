//! Instance groups: lists of instances of one zone, for balancers. Each managed group has an instance group
//! of the same name, whose members the manager controls.

use serde_json::{Map, Value};

use crate::base::{ApiError, Key, Meta, Phase, Resource, fresh_fingerprint, link};
use crate::rules::managed::{Managed, Seen, put_new};
use crate::state::State;
use crate::types::{BackendService, InstanceGroup, InstanceGroupManager};

impl Seen for InstanceGroup {
    fn complete(&self, state: &State, view: &mut Map<String, Value>) {
        view.remove("added");
        let members = link::key_of(&self.meta.self_link);
        let members = members.map_or(&[][..], |key| self::members(state, &key));
        view.insert("size".into(), members.len().into());
        let first = members.first().and_then(|member| link::key_of(member));
        let nic = first
            .and_then(|key| state.instances.get(&key))
            .and_then(|record| record.resource.network_interfaces.first());
        if let Some(nic) = nic {
            view.insert("network".into(), nic.network.clone().into());
            view.insert("subnetwork".into(), nic.subnetwork.clone().into());
        }
    }
}

impl Managed for InstanceGroup {
    fn prepare(&mut self, _: &mut State, _key: &Key) -> Result<(), ApiError> {
        self.added.clear();
        self.renew_fingerprint();
        Ok(())
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        let manager = state.instance_group_managers.get(key);
        let manager = manager.map(|_| state.path_of::<InstanceGroupManager>(key));
        manager.or_else(|| service_with(state, key))
    }
}

/// The backend service that uses a group.
pub fn service_with(state: &State, group: &Key) -> Option<String> {
    state.path_where::<BackendService>(|service| service.groups().any(|used| used == *group))
}

/// URLs of the instances in a group.
pub fn members<'a>(state: &'a State, group: &Key) -> &'a [String] {
    if let Some(manager) = state.instance_group_managers.get(group) {
        return &manager.resource.members;
    }
    let group = state.instance_groups.get(group);
    group.map_or(&[], |group| &group.resource.added)
}

/// Creates the instance group of a managed group.
pub fn put_beside(state: &mut State, manager: &Key) -> Result<(), ApiError> {
    let name = &manager.name;
    let group = InstanceGroup {
        meta: Meta {
            description: Some(format!(
                "This instance group is controlled by Instance Group Manager '{name}'. To modify instances \
                 in this group, use the Instance Group Manager API."
            )),
            ..Meta::default()
        },
        added: Vec::new(),
        rest: Map::new(),
    };
    put_new(state, manager, group)?;
    // Ready at once: it has no members, and so no effect, until its manager is ready.
    let table = state.table_mut(InstanceGroup::TYPE);
    table.set_phase(manager, Phase::Ready);
    Ok(())
}

/// Removes a deleted instance from its groups.
pub fn forget_member(state: &mut State, instance: &str) {
    for (_, group) in state.instance_groups.iter_mut() {
        group.added.retain(|member| member != instance);
    }
}

impl InstanceGroup {
    /// Sets a new fingerprint.
    pub fn renew_fingerprint(&mut self) {
        let fresh = fresh_fingerprint().into();
        self.rest.insert("fingerprint".into(), fresh);
    }
}
