//! The disks of machines, from the state.

use hakube_local_machine::{DiskId, MachineDisk};
use hakube_local_resources::types::Disk;
use hakube_local_resources::types::instance::{AttachedDisk, Instance};
use hakube_local_resources::{Key, State, link};

/// The size of an instance's boot disk.
pub fn boot_gigabytes(state: &State, instance: &Instance) -> Option<u64> {
    let boot = instance.disks.iter().find(|disk| disk.boot)?;
    gigabytes(disk(state, boot)?.1)
}

/// An instance's disks but the boot disk.
pub fn others(state: &State, instance: &Instance) -> Vec<MachineDisk> {
    let others = instance.disks.iter().filter(|disk| !disk.boot);
    let others = others.filter_map(|attached| {
        let (key, disk) = disk(state, attached)?;
        Some(MachineDisk {
            disk: id(&key),
            device: attached.device_name.clone(),
            gigabytes: gigabytes(disk)?,
        })
    });
    others.collect()
}

/// All disks.
pub fn all(state: &State) -> Vec<DiskId> {
    state.disks.iter().map(|(key, _)| id(key)).collect()
}

fn disk<'a>(state: &'a State, attached: &AttachedDisk) -> Option<(Key, &'a Disk)> {
    let source = attached.source.as_deref()?;
    let key = state.reference::<Disk>("source", source, None).ok()?;
    let disk = state.get::<Disk>(&key).ok()?;
    Some((key, disk))
}

fn id(key: &Key) -> DiskId {
    let scope = key.scope.to_string();
    DiskId {
        zone: link::last(&scope).to_owned(),
        name: key.name.clone(),
    }
}

fn gigabytes(disk: &Disk) -> Option<u64> {
    disk.size_gb.as_deref()?.parse().ok()
}
