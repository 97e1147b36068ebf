//! What an insert of an instance must hold, and what it takes along.

use super::access_config::assign_external;
use super::{AttachedDisk, Instance, Status};
use crate::compute::disk::{Disk, attached_to};
use crate::compute::error::ApiError;
use crate::compute::instance_group_manager::InstanceGroupManager;
use crate::compute::resource::{Managed, Resource as _, fresh_fingerprint};
use crate::compute::scope::{Key, Scope};
use crate::compute::subnetwork::{self, Subnetwork};
use crate::compute::{catalog, crud, limits, link};
use crate::store::{Phase, State};

/// Inserts an instance that isn't asked for by name, but by a group manager.
pub fn insert(state: &mut State, key: &Key, instance: Instance) -> Result<(), ApiError> {
    crud::put_new(state, key, instance)
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
        self.prepare_disks(state, key)?;
        self.prepare_nics(state, key)?;
        self.renew_fingerprints();
        self.status = Status::Provisioning;
        self.status_message = None;
        Ok(())
    }

    fn deletable(&self) -> Result<(), ApiError> {
        if !self.is_protected() {
            return Ok(());
        }
        let why = "Resource cannot be deleted if it's protected against deletion.";
        Err(ApiError::invalid("resource.deletionProtection", true, why))
    }

    fn user(&self, state: &State, _key: &Key) -> Option<String> {
        // A manager would put it back at once; here it must be resized instead.
        let manager = state.instance_group_managers.iter();
        manager
            .filter(|(_, manager)| manager.members.contains(&self.meta.self_link))
            .map(|(key, _)| state.path_of::<InstanceGroupManager>(key))
            .next()
    }
}

pub(super) fn machine_type(state: &State, zone: &Scope, text: &str) -> Result<String, ApiError> {
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
                    crud::put_new(state, &disk_key, made)?;
                    // Its own life isn't tracked apart from the instance's.
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
        let subnet = state.ready::<Subnetwork>(&subnet_key)?;
        let range = subnet.ip_cidr_range;
        nic.network.clone_from(&subnet.network);
        nic.subnetwork = state.link_of::<Subnetwork>(&subnet_key);
        const ADDRESS: &str = "resource.networkInterfaces[0].networkIP";
        nic.network_ip = Some(subnetwork::take(state, range, ADDRESS, nic.network_ip)?);
        nic.check_aliases(state, range)?;
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

/// The disk that an instance wants to attach: there, ready, in its zone, and free.
pub(super) fn attach(
    state: &State,
    instance: &Key,
    field: &str,
    source: &str,
) -> Result<Key, ApiError> {
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

pub(super) fn no_duplicates(disks: &[AttachedDisk]) -> Result<(), ApiError> {
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
