//! Persistent disks. They hold no data: a machine's files are in its directory.

use axum::Router;
use axum::routing::post;
use hakube_local_resources::types::disk::number_or_string;
use hakube_local_resources::types::{Disk, Request};
use hakube_local_resources::{ApiError, Key, State};
use serde::Deserialize;

use crate::calls::crud::{self, Begun, begins};
use crate::calls::labels;
use crate::cloud::Cloud;
use crate::place::Body;

/// The routes of disks.
pub fn routes() -> Router<Cloud> {
    crud::routes::<Disk>()
        .merge(crud::aggregated::<Disk>())
        .merge(labels::routes::<Disk>())
        .route(
            &format!("{}/resize", crud::one::<Disk>()),
            post(begins(resize)),
        )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resize {
    #[serde(default, deserialize_with = "number_or_string")]
    size_gb: Option<String>,
}

fn resize(state: &mut State, key: &Key, Body(wanted): Body<Resize>) -> Begun {
    let disk = state.ready_mut::<Disk>(key)?;
    let wanted = wanted.size_gb.unwrap_or_default();
    let size = |text: &str| text.parse::<u64>().ok();
    if size(&wanted) <= disk.size_gb.as_deref().and_then(size) {
        let why = "The new size must be larger than the current size.";
        return Err(ApiError::invalid("sizeGb", wanted, why));
    }
    disk.size_gb = Some(wanted);
    Ok(Request::update::<Disk>("resizeDisk", key))
}
