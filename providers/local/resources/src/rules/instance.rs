//! Instances: inserts with what they reserve, and what other resources follow when one is gone.

use serde_json::{Map, Value};

use crate::base::{
    ApiError, Key, Phase, Resource, Scope, Target, Type, catalog, fresh_fingerprint, limits, link,
};
use crate::rules::access_config::assign_external;
use crate::rules::disk::attached_to;
use crate::rules::managed::{Managed, Seen, put_new};
use crate::rules::{instance_group, project, service_account, subnetwork};
use crate::state::State;
use crate::types::instance::Status;
use crate::types::{AttachedDisk, Disk, Instance, InstanceGroupManager, Metadata, Subnetwork};

impl Seen for Instance {}

impl Metadata {
    /// Parses metadata from a client, checks the limits, and sets a new fingerprint.
    pub fn checked(body: Map<String, Value>) -> Result<Self, ApiError> {
        let mut metadata: Self = serde_json::from_value(Value::Object(body))
            .map_err(|error| ApiError::invalid("metadata", "", error))?;
        let items = metadata.items.iter();
        limits::metadata(items.map(|item| (item.key.as_str(), item.value.as_str())))?;
        metadata.fingerprint = fresh_fingerprint();
        Ok(metadata)
    }
}

impl Instance {
    /// SSH keys of users that may log in, as lines `USER:KEY`: the instance's own and the project's, unless
    /// it blocks those.
    pub fn ssh_keys(&self, state: &State) -> Vec<String> {
        let is_blocked = self.metadata.is_true("block-project-ssh-keys");
        let common = project::metadata(state).filter(|_| !is_blocked);
        let all = [Some(&self.metadata), common].into_iter().flatten();
        let lines = all.filter_map(|metadata| metadata.item("ssh-keys"));
        lines.flat_map(str::lines).map(str::to_owned).collect()
    }

    /// Whether guest attributes are enabled. The instance's setting overrides the project's.
    pub fn has_guest_attributes(&self, state: &State) -> bool {
        const KEY: &str = "enable-guest-attributes";
        match self.metadata.item(KEY) {
            Some(_) => self.metadata.is_true(KEY),
            None => project::metadata(state).is_some_and(|common| common.is_true(KEY)),
        }
    }

    fn renew_fingerprints(&mut self) {
        self.metadata.fingerprint = fresh_fingerprint();
        self.tags.fingerprint = fresh_fingerprint();
    }
}

/// Removes an instance, its membership in unmanaged groups, and its auto-delete disks.
pub fn forget(state: &mut State, key: &Key) {
    let Some(link) = state
        .instances
        .get(key)
        .map(|record| record.resource.meta.self_link.clone())
    else {
        return;
    };
    instance_group::forget_member(state, &link);
    let going: Vec<Key> = state
        .instances
        .get(key)
        .map(|record| record.resource.disks.iter())
        .into_iter()
        .flatten()
        .filter(|disk| disk.auto_delete)
        .filter_map(|disk| link::key_of(disk.source.as_deref()?))
        .collect();
    for disk in going {
        state.table_mut(Type::Disk).remove(&disk);
    }
    state.due_boots.remove(key);
    state.table_mut(Type::Instance).remove(key);
}

/// Inserts an instance on behalf of a group manager.
pub fn insert(state: &mut State, key: &Key, instance: Instance) -> Result<(), ApiError> {
    put_new(state, key, instance)
}

impl Managed for Instance {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        self.labels.prepare()?;
        for tag in &self.tags.items {
            limits::name("resource.tags.items", tag)?;
        }
        let items = self.metadata.items.iter();
        limits::metadata(items.map(|item| (item.key.as_str(), item.value.as_str())))?;
        self.machine_type = machine_type(state, &key.scope, &self.machine_type)?;
        if let Some(accounts) = self.rest.remove("serviceAccounts") {
            let field = "resource.serviceAccounts";
            let accounts = service_account::checked(field, accounts)?;
            if !accounts.is_empty() {
                self.rest.insert("serviceAccounts".into(), accounts.into());
            }
        }
        self.prepare_disks(state, key)?;
        self.prepare_nics(state, key)?;
        self.renew_fingerprints();
        self.status = Status::Provisioning;
        self.status_message = None;
        Ok(())
    }

    fn deletable(&self, _: &State) -> Result<(), ApiError> {
        if !self.is_protected() {
            return Ok(());
        }
        let why = "Resource cannot be deleted if it's protected against deletion.";
        Err(ApiError::invalid("resource.deletionProtection", true, why))
    }

    fn user(&self, state: &State, _key: &Key) -> Option<String> {
        // Its manager recreates it.
        if state.block.hosts {
            return None;
        }
        // Among processes a manager doesn't; it must be resized instead.
        let link = &self.meta.self_link;
        state.path_where::<InstanceGroupManager>(|manager| manager.members.contains(link))
    }
}

/// The URL of the machine type that a reference names.
pub fn machine_type(state: &State, zone: &Scope, text: &str) -> Result<String, ApiError> {
    let field = "resource.machineType";
    if text.is_empty() {
        let why = "Machine type must be specified.";
        return Err(ApiError::invalid(field, text, why));
    }
    let name = link::last(text);
    let below = format!("{zone}/machineTypes/{name}");
    if text.contains('/') && link::below_project(text) != below {
        return Err(ApiError::invalid(
            field,
            text,
            "The URL is malformed, or of another zone.",
        ));
    }
    if catalog::machine_type(name).is_none() {
        let why = format!(
            "Machine type with name '{name}' does not exist in zone '{}'.",
            link::last(&zone.to_string())
        );
        return Err(ApiError::invalid(field, text, why));
    }
    Ok(state.url(below))
}

impl Instance {
    fn prepare_disks(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        let boots = self.disks.iter().filter(|disk| disk.boot).count();
        if boots != 1 {
            let why = "Exactly one disk must be the boot disk.";
            return Err(ApiError::invalid("resource.disks", boots, why));
        }
        for (index, disk) in self.disks.iter_mut().enumerate() {
            if disk.device_name.is_empty() {
                disk.device_name = format!("persistent-disk-{index}");
            }
            disk.settle(index);
            let field = format!("resource.disks[{index}].source");
            let disk_key = match (&disk.source, disk.initialize_params.take()) {
                (Some(source), None) => attach(state, key, &field, source)?,
                (None, Some(params)) => {
                    let usual = if disk.boot {
                        key.name.clone()
                    } else {
                        format!("{}-{index}", key.name)
                    };
                    let name = params.disk_name.clone().unwrap_or(usual);
                    let disk_key = Key::new(key.scope.clone(), name);
                    let made = Disk::from_params(params);
                    put_new(state, &disk_key, made)?;
                    // Its lifecycle isn't tracked apart from the instance's.
                    state
                        .table_mut(Disk::TYPE)
                        .set_phase(&disk_key, Phase::Ready);
                    disk_key
                }
                _ => {
                    let why = "Exactly one of source and initializeParams must be specified.";
                    return Err(ApiError::invalid(&field, "", why));
                }
            };
            disk.source = Some(state.link_of::<Disk>(&disk_key));
        }
        no_duplicates(&self.disks)
    }

    fn prepare_nics(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        let region = key.scope.region().unwrap_or_default().to_owned();
        let [nic] = self.network_interfaces.as_mut_slice() else {
            return Err(if self.network_interfaces.is_empty() {
                let why = "At least one network interface is required.";
                ApiError::invalid("resource.networkInterfaces", "", why)
            } else {
                ApiError::not_emulated("instances with several network interfaces")
            });
        };
        const FIELD: &str = "resource.networkInterfaces[0].subnetwork";
        let subnet_key = subnetwork::named(state, FIELD, &region, &nic.network, &nic.subnetwork)?;
        let subnet = state.ready::<Subnetwork>(&subnet_key)?.clone();
        let range = subnet.ip_cidr_range;
        nic.network.clone_from(&subnet.network);
        nic.subnetwork = state.link_of::<Subnetwork>(&subnet_key);
        const ADDRESS: &str = "resource.networkInterfaces[0].networkIP";
        nic.network_ip = Some(subnetwork::take(state, range, ADDRESS, nic.network_ip)?);
        nic.settle_aliases(state, &subnet)?;
        nic.name = "nic0".into();
        nic.fingerprint = fresh_fingerprint();
        nic.rest
            .insert("kind".into(), "compute#networkInterface".into());
        nic.rest.insert("stackType".into(), "IPV4_ONLY".into());
        let mut nic = nic.clone();
        if nic.access_configs.len() > 1 {
            return Err(ApiError::refused(
                "At most one access config currently supported.",
            ));
        }
        for config in &mut nic.access_configs {
            assign_external(state, &region, config)?;
        }
        self.network_interfaces = vec![nic];
        Ok(())
    }
}

/// The disk to attach, which must exist, be ready, in the instance's zone, and unattached.
pub fn attach(state: &State, instance: &Key, field: &str, source: &str) -> Result<Key, ApiError> {
    let key = link::parse::<Disk>(field, source)?;
    if key.scope != instance.scope {
        let why = "The disk must be in the same zone as the instance.";
        return Err(ApiError::invalid(field, source, why));
    }
    state.ready::<Disk>(&key)?;
    if let Some((user, _)) = attached_to(state, &key) {
        return Err(ApiError::in_use(
            "disk",
            &state.path_of::<Disk>(&key),
            &state.path_of::<Instance>(user),
        ));
    }
    Ok(key)
}

/// Rejects disks that are attached twice, or have the same device name.
pub fn no_duplicates(disks: &[AttachedDisk]) -> Result<(), ApiError> {
    for (index, disk) in disks.iter().enumerate() {
        let before = &disks[..index];
        if before
            .iter()
            .any(|other| other.device_name == disk.device_name)
        {
            let field = format!("resource.disks[{index}].deviceName");
            return Err(ApiError::invalid(
                &field,
                &disk.device_name,
                "Device names must be unique.",
            ));
        }
        if before.iter().any(|other| other.source == disk.source) {
            let field = format!("resource.disks[{index}].source");
            let source = disk.source.as_deref().unwrap_or_default();
            return Err(ApiError::invalid(
                &field,
                source,
                "A disk can be attached once.",
            ));
        }
    }
    Ok(())
}

/// An instance with no operation in progress.
pub fn idle<'a>(state: &'a mut State, key: &Key) -> Result<(Target, &'a mut Instance), ApiError> {
    let target = Target::of::<Instance>(key);
    state.idle(&target)?;
    Ok((target, state.ready_mut::<Instance>(key)?))
}
