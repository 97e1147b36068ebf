//! Routes: those that every network has of its own accord, to its subnetworks and to the Internet. On loopback
//! nothing is routed: others can't be made.

use axum::extract::{Query, State as Shared};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::catalog;
use super::crud::Answer;
use super::error::ApiError;
use super::list::{self, ListQuery};
use super::network;
use super::place::Place;
use crate::cloud::Cloud;
use crate::store::State;

/// Get and list.
pub fn routes() -> Router<Cloud> {
    const MANY: &str = "/compute/v1/projects/{project}/global/routes";
    Router::new()
        .route(MANY, get(list_all))
        .route(&format!("{MANY}/{{name}}"), get(get_one))
}

/// Every route, with its name.
fn all(state: &State) -> Vec<(String, Value)> {
    let mut routes = Vec::new();
    let own = state.networks.ready();
    for (_, network) in own.filter(|(key, _)| key.project.is_none()) {
        let link = &network.meta.self_link;
        let created = &network.meta.creation_timestamp;
        let mut add = |of: &str, description: String, hop: Value| {
            // Stable, as an id: nobody keeps these.
            let id = catalog::id_of(of);
            let name = format!(
                "default-route-{:016x}",
                id.parse::<u64>().unwrap_or_default()
            );
            let mut route = json!({
                "kind": "compute#route",
                "id": id,
                "name": name,
                "description": description,
                "creationTimestamp": created,
                "network": link,
                "selfLink": state.url(format_args!("global/routes/{name}")),
            });
            if let (Some(route), Value::Object(hop)) = (route.as_object_mut(), hop) {
                route.extend(hop);
            }
            routes.push((name, route));
        };
        let gateway = state.url("global/gateways/default-internet-gateway");
        add(
            link,
            "Default route to the Internet.".into(),
            json!({"destRange": "0.0.0.0/0", "priority": 1000, "nextHopGateway": gateway}),
        );
        for (_, subnet) in network::subnetworks_of(state, link) {
            let range = subnet.ip_cidr_range;
            add(
                &subnet.meta.self_link,
                format!("Default local route to the subnetwork {range}."),
                json!({"destRange": range, "priority": 0, "nextHopNetwork": link}),
            );
        }
    }
    routes
}

async fn list_all(
    Shared(cloud): Shared<Cloud>,
    _: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    cloud.store().read(|state| {
        let page = list::page(all(state), &query)?;
        let own = state.url("global/routes");
        Ok(Json(page.into_answer("compute#routeList", own.into())))
    })
}

async fn get_one(Shared(cloud): Shared<Cloud>, place: Place) -> Answer {
    let wanted = place.key()?.name;
    cloud.store().read(|state| {
        let mut routes = all(state).into_iter();
        let found = routes.find(|(name, _)| *name == wanted);
        let path = format!("projects/{}/global/routes/{wanted}", state.project);
        found
            .map(|(_, route)| Json(route))
            .ok_or_else(|| ApiError::missing(&path))
    })
}
