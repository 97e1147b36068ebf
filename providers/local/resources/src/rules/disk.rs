//! Persistent disks. They hold no data: a machine's files are in its directory.

use serde_json::{Map, Value};

use crate::base::{ApiError, Key, Phase, catalog, link};
use crate::rules::image::disk_image;
use crate::rules::managed::{Managed, Seen};
use crate::state::State;
use crate::types::{Disk, Instance};

const USUAL_SIZE_GB: u64 = 500;

impl Seen for Disk {
    fn complete(&self, state: &State, view: &mut Map<String, Value>) {
        let key = link::key_of(&self.meta.self_link);
        let record = key.as_ref().and_then(|key| state.disks.get(key));
        let status = match record.map(|record| record.phase) {
            Some(Phase::Creating) => "CREATING",
            Some(Phase::Deleting) => "DELETING",
            Some(Phase::Ready) | None => "READY",
        };
        view.insert("status".into(), status.into());
        if let Some((_, user)) = key.as_ref().and_then(|key| attached_to(state, key)) {
            view.insert("users".into(), vec![user.meta.self_link.clone()].into());
        }
    }
}

/// The instance that has this disk.
pub fn attached_to<'a>(state: &'a State, disk: &'a Key) -> Option<(&'a Key, &'a Instance)> {
    // An instance is in the zone of its disks.
    state.instances.within(&disk.scope).find(|(_, instance)| {
        let mut sources = instance
            .disks
            .iter()
            .filter_map(|disk| disk.source.as_deref());
        sources.any(|source| {
            link::last(source) == disk.name && link::key_of(source).as_ref() == Some(disk)
        })
    })
}

impl Managed for Disk {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        self.labels.prepare()?;
        let mut image_size = None;
        if let Some(image) = self.source_image.take().filter(|image| !image.is_empty()) {
            let (link, size) = disk_image(state, "resource.sourceImage", &image)?;
            self.source_image = Some(link);
            image_size = Some(size);
        }
        let usual = image_size.unwrap_or(USUAL_SIZE_GB);
        let size = self.size_gb.take().unwrap_or_else(|| usual.to_string());
        match size.parse::<u64>() {
            Ok(0) | Err(_) => {
                let why = "Must be a positive whole number of GB.";
                return Err(ApiError::invalid("resource.sizeGb", size, why));
            }
            Ok(gigabytes) if image_size.is_some_and(|least| gigabytes < least) => {
                let why = format!(
                    "Requested disk size cannot be smaller than the image size ({usual} GB)"
                );
                return Err(ApiError::invalid("resource.sizeGb", size, why));
            }
            Ok(_) => self.size_gb = Some(size),
        }
        let kind = match link::last(&self.disk_type) {
            "" => "pd-standard",
            known if catalog::is_disk_type(known) => known,
            _ => {
                let path = link::below_project(&self.disk_type);
                return Err(ApiError::missing(&format!(
                    "projects/{}/{path}",
                    state.project
                )));
            }
        };
        self.disk_type = state.url(format_args!("{}/diskTypes/{kind}", key.scope));
        Ok(())
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        attached_to(state, key).map(|(instance, _)| state.path_of::<Instance>(instance))
    }
}
