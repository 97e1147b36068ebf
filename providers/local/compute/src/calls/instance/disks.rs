//! Attaching disks to an existing instance, and detaching them.

use axum::Router;
use axum::extract::Query;
use axum::routing::post;
use hakube_local_resources::rules::fields;
use hakube_local_resources::rules::instance::{attach, idle, no_duplicates};
use hakube_local_resources::types::instance::Status;
use hakube_local_resources::types::{AttachedDisk, Disk, Instance, Request, Work};
use hakube_local_resources::{ApiError, Key, State};
use serde::Deserialize;
use serde_json::Value;

use crate::calls::crud::{self, Begun, begins};
use crate::cloud::Cloud;
use crate::place::Body;

/// `attachDisk`, `detachDisk` and `setDiskAutoDelete`.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<Instance>();
    Router::new()
        .route(&format!("{one}/attachDisk"), post(begins(attach_disk)))
        .route(&format!("{one}/detachDisk"), post(begins(detach_disk)))
        .route(
            &format!("{one}/setDiskAutoDelete"),
            post(begins(set_auto_delete)),
        )
}

fn attach_disk(state: &mut State, key: &Key, Body(body): Body<Value>) -> Begun {
    fields::check_part("disks", &body)?;
    let mut disk: AttachedDisk =
        serde_json::from_value(body).map_err(|error| ApiError::invalid("disk", "", error))?;
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

fn set_auto_delete(state: &mut State, key: &Key, Query(device): Query<Device>) -> Begun {
    // gcloud writes it as Python does.
    let text = device.auto_delete.as_ref().map(|t| t.to_ascii_lowercase());
    let auto_delete = match text.as_deref() {
        Some("true") => true,
        Some("false") => false,
        other => {
            let why = "Must be true or false.";
            let other = other.unwrap_or_default();
            return Err(ApiError::invalid("autoDelete", other, why));
        }
    };
    let (target, instance) = idle(state, key)?;
    device.of(instance)?.auto_delete = auto_delete;
    Ok(Request::new("setDiskAutoDelete", target, Work::Update))
}
