//! Disks that come to an instance, and leave it, while it is there.

use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::routing::post;
use serde::Deserialize;

use super::insert::{attach, no_duplicates};
use super::methods::idle;
use super::{AttachedDisk, Instance, Status};
use crate::cloud::Cloud;
use crate::compute::crud::{self, Answer, Begun, begins};
use crate::compute::disk::Disk;
use crate::compute::error::ApiError;
use crate::compute::place::{Body, Place};
use crate::compute::scope::Key;
use crate::operation::{Request, RequestId, Work};
use crate::store::State;

/// `attachDisk`, `detachDisk` and `setDiskAutoDelete`.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<Instance>();
    Router::new()
        .route(&format!("{one}/attachDisk"), post(begins(attach_disk)))
        .route(&format!("{one}/detachDisk"), post(begins(detach_disk)))
        .route(&format!("{one}/setDiskAutoDelete"), post(set_auto_delete))
}

fn attach_disk(state: &mut State, key: &Key, Body(mut disk): Body<AttachedDisk>) -> Begun {
    let source = disk.source.take().unwrap_or_default();
    let disk_key = attach(state, key, "source", &source)?;
    disk.source = Some(state.link_of::<Disk>(&disk_key));
    let (target, instance) = idle(state, key)?;
    let index = instance.disks.len();
    if disk.device_name.is_empty() {
        disk.device_name = format!("persistent-disk-{index}");
    }
    disk.settle(index);
    instance.disks.push(disk);
    no_duplicates(&instance.disks)?;
    Ok(Request::new("attachDisk", target, Work::Update))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Device {
    device_name: String,
    auto_delete: Option<String>,
}

impl Device {
    fn of<'a>(&self, instance: &'a mut Instance) -> Result<&'a mut AttachedDisk, ApiError> {
        let mut disks = instance.disks.iter_mut();
        disks
            .find(|disk| disk.device_name == self.device_name)
            .ok_or_else(|| {
                let why = "No disk with this device name is attached to the instance.";
                ApiError::invalid("deviceName", &self.device_name, why)
            })
    }
}

fn detach_disk(state: &mut State, key: &Key, Query(device): Query<Device>) -> Begun {
    let (target, instance) = idle(state, key)?;
    let runs = instance.status != Status::Terminated;
    if device.of(instance)?.boot && runs {
        let why = "The boot disk can be detached from a stopped instance only.";
        return Err(ApiError::invalid("deviceName", &device.device_name, why));
    }
    let disks = &mut instance.disks;
    disks.retain(|disk| disk.device_name != device.device_name);
    for (index, disk) in disks.iter_mut().enumerate() {
        disk.settle(index);
    }
    Ok(Request::new("detachDisk", target, Work::Update))
}

async fn set_auto_delete(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(id): Query<RequestId>,
    Query(device): Query<Device>,
) -> Answer {
    let key = place.key()?;
    // gcloud writes it as Python does.
    let text = device.auto_delete.as_ref().map(|t| t.to_ascii_lowercase());
    let auto_delete = match text.as_deref() {
        Some("true") => true,
        Some("false") => false,
        other => {
            let why = "Must be true or false.";
            return Err(ApiError::invalid(
                "autoDelete",
                other.unwrap_or_default(),
                why,
            ));
        }
    };
    cloud
        .begin(id, &key, |state| {
            let (target, instance) = idle(state, &key)?;
            device.of(instance)?.auto_delete = auto_delete;
            Ok(Request::new("setDiskAutoDelete", target, Work::Update))
        })
        .await
}
