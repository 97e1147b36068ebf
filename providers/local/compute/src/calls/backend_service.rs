//! Regional backend services: external or internal, passthrough, TCP.

use std::net::SocketAddr;

use axum::extract::State as Shared;
use axum::routing::post;
use axum::{Json, Router};
use hakube_local_net::BackendId;
use hakube_local_resources::rules::instance_group;
use hakube_local_resources::types::{BackendService, Instance, InstanceGroup};
use hakube_local_resources::{ApiError, link};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::calls::crud::{self, Answer};
use crate::calls::patch;
use crate::cloud::Cloud;
use crate::place::{Body, Place};

/// Its routes.
pub fn routes() -> Router<Cloud> {
    let health = format!("{}/getHealth", crud::one::<BackendService>());
    patch::routes::<BackendService>()
        .merge(crud::aggregated::<BackendService>())
        .route(&health, post(get_health))
}

#[derive(Deserialize)]
struct GroupReference {
    group: String,
}

async fn get_health(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Body(body): Body<GroupReference>,
) -> Answer {
    let key = place.key()?;
    let group = link::parse::<InstanceGroup>("group", &body.group)?;
    let (service, backends) = cloud.store().read(|state| {
        let service = state.get::<BackendService>(&key)?;
        if !service.groups().any(|known| known == group) {
            let why = "The group is not a backend of the service.";
            return Err(ApiError::invalid("group", &body.group, why));
        }
        let port = service
            .health_check(state)
            .and_then(|check| check.target().port)
            .unwrap_or_default();
        let members = instance_group::members(state, &group).iter();
        let found = members.filter_map(|member| {
            let instance_key = link::key_of(member)?;
            let ip = state.instances.get(&instance_key)?.resource.internal_ip()?;
            let path = state.path_of::<Instance>(&instance_key);
            Some((member.clone(), path, SocketAddr::from((ip, port))))
        });
        let path = state.path_of::<BackendService>(&key);
        Ok((path, found.collect::<Vec<_>>()))
    })?;
    let health: Vec<Value> = backends
        .into_iter()
        .map(|(link, instance, address)| {
            let healthy = cloud.plane().is_healthy(&BackendId {
                of: service.clone(),
                instance,
            });
            json!({
                "instance": link,
                "ipAddress": address.ip(),
                "port": address.port(),
                "healthState": if healthy { "HEALTHY" } else { "UNHEALTHY" },
            })
        })
        .collect();
    let mut answer = json!({"kind": "compute#backendServiceGroupHealth"});
    if !health.is_empty() {
        answer["healthStatus"] = health.into();
    }
    Ok(Json(answer))
}
