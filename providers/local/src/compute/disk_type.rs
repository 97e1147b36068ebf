//! The types that disks have.

use axum::extract::{Query, State as Shared};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::catalog;
use super::crud::Answer;
use super::error::ApiError;
use super::list::{self, ListQuery};
use super::place::Place;
use super::resource::Level;
use super::scope::Scope;
use crate::cloud::Cloud;
use crate::store::State;

/// Name, and the size that a disk of it has unless told otherwise.
const TYPES: &[(&str, u32)] = &[
    ("pd-balanced", 100),
    ("pd-extreme", 1000),
    ("pd-ssd", 100),
    ("pd-standard", 500),
];

/// Whether there is such a type.
pub fn is_known(name: &str) -> bool {
    TYPES.iter().any(|(known, _)| *known == name)
}

/// Get, list and the list over all zones.
pub fn routes() -> Router<Cloud> {
    const PROJECT: &str = "/compute/v1/projects/{project}";
    let many = format!("{PROJECT}/zones/{{zone}}/diskTypes");
    Router::new()
        .route(&many, get(list_all))
        .route(&format!("{many}/{{name}}"), get(get_one))
        .route(
            &format!("{PROJECT}/aggregated/diskTypes"),
            get(list_aggregated),
        )
}

fn view(state: &State, zone: &Scope, name: &str, size: u32) -> Value {
    json!({
        "kind": "compute#diskType",
        "id": catalog::id_of(name),
        "name": name,
        "description": name,
        "defaultDiskSizeGb": size.to_string(),
        "validDiskSize": "10GB-65536GB",
        "zone": state.url(zone),
        "creationTimestamp": catalog::CREATED,
        "selfLink": state.url(format_args!("{zone}/diskTypes/{name}")),
    })
}

async fn list_all(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    cloud.store().read(|state| {
        let types = TYPES.iter();
        let items = types.map(|(name, size)| {
            let view = view(state, &place.scope, name, *size);
            ((*name).to_owned(), view)
        });
        let page = list::page(items.collect(), &query)?;
        let own = state.url(format_args!("{}/diskTypes", place.scope));
        Ok(Json(page.into_answer("compute#diskTypeList", own.into())))
    })
}

async fn list_aggregated(
    Shared(cloud): Shared<Cloud>,
    _: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    cloud.store().read(|state| {
        let zones = catalog::zones().map(|zone| Scope::Zone(zone.to_owned()));
        let items = zones.flat_map(|zone| {
            let types = TYPES.iter();
            let views = types.map(|(name, size)| {
                let view = view(state, &zone, name, *size);
                (format!("{zone}/{name}"), view)
            });
            views.collect::<Vec<_>>()
        });
        let page = list::page(items.collect(), &query)?;
        let own = state.url("aggregated/diskTypes");
        Ok(Json(page.into_aggregated(
            "diskType",
            "diskTypes",
            Level::Zone,
            own,
        )))
    })
}

async fn get_one(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    let wanted = place.key()?.name;
    cloud.store().read(|state| {
        let found = TYPES.iter().find(|(name, _)| *name == wanted);
        let path = format!(
            "projects/{}/{}/diskTypes/{wanted}",
            state.project, place.scope
        );
        let (name, size) = found.ok_or_else(|| ApiError::missing(&path))?;
        Ok(Json(view(state, &place.scope, name, *size)))
    })
}
