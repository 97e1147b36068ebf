//! The calls of instances.

mod alias;
mod disks;
mod guest_attributes;
mod methods;
mod settings;

use axum::Router;
use hakube_local_resources::types::Instance;

use crate::calls::{crud, labels};
use crate::cloud::Cloud;

/// The routes of instances.
pub fn routes() -> Router<Cloud> {
    crud::routes::<Instance>()
        .merge(crud::aggregated::<Instance>())
        .merge(labels::routes::<Instance>())
        .merge(methods::routes())
        .merge(settings::routes())
        .merge(alias::routes())
        .merge(disks::routes())
        .merge(guest_attributes::routes())
}
