//! Collections of which the local cloud has nothing and lets nothing be made. Clients list them on the way to
//! something else: gcloud asks for autoscalers before it deletes a managed group.

use axum::extract::{Query, State as Shared};
use axum::http::Uri;
use axum::routing::get;
use axum::{Json, Router};

use super::crud::Answer;
use super::error::ApiError;
use super::list::{self, ListQuery};
use super::place::Place;
use super::resource::Level;
use crate::cloud::Cloud;

/// Collection, the noun of its list in a scope, where it is.
const COLLECTIONS: &[(&str, &str, &str)] = &[
    ("autoscalers", "autoscaler", "zones/{zone}"),
    ("autoscalers", "regionAutoscaler", "regions/{region}"),
    ("addresses", "address", "global"),
    ("backendServices", "backendService", "global"),
    ("forwardingRules", "forwardingRule", "global"),
    (
        "instanceGroupManagers",
        "regionInstanceGroupManager",
        "regions/{region}",
    ),
    ("instanceGroups", "regionInstanceGroup", "regions/{region}"),
    ("routers", "router", "regions/{region}"),
    ("targetHttpProxies", "targetHttpProxy", "global"),
    ("targetHttpsProxies", "targetHttpsProxy", "global"),
    ("targetInstances", "targetInstance", "zones/{zone}"),
    ("urlMaps", "urlMap", "global"),
];

/// Those that have an aggregated list of which nothing else is a part.
const AGGREGATED: &[(&str, &str, Level)] = &[
    ("autoscalers", "autoscaler", Level::Zone),
    ("routers", "router", Level::Region),
    ("targetInstances", "targetInstance", Level::Zone),
    ("urlMaps", "urlMaps", Level::Region),
];

/// Lists of nothing, and 404 for each one of it. What would make one is not emulated.
pub fn routes() -> Router<Cloud> {
    const PROJECT: &str = "/compute/v1/projects/{project}";
    let mut router = Router::new();
    for (collection, noun, scope) in COLLECTIONS.iter().copied() {
        let many = format!("{PROJECT}/{scope}/{collection}");
        let listed = move |Shared(cloud): Shared<Cloud>,
                           place: Place,
                           Query(query): Query<ListQuery>| async move {
            list(&cloud, &place, &query, collection, noun)
        };
        router = router
            .route(&many, get(listed))
            .route(&format!("{many}/{{name}}"), get(missing));
    }
    for (collection, noun, level) in AGGREGATED.iter().copied() {
        let path = format!("{PROJECT}/aggregated/{collection}");
        let listed = move |Shared(cloud): Shared<Cloud>,
                           _: Place,
                           Query(query): Query<ListQuery>| async move {
            let page = list::page(Vec::new(), &query)?;
            let own = cloud
                .store()
                .read(|state| state.url(format_args!("aggregated/{collection}")));
            Ok::<_, ApiError>(Json(page.into_aggregated(noun, collection, level, own)))
        };
        router = router.route(&path, get(listed));
    }
    router
}

fn list(cloud: &Cloud, place: &Place, query: &ListQuery, collection: &str, noun: &str) -> Answer {
    let page = list::page(Vec::new(), query)?;
    let own = cloud
        .store()
        .read(|state| state.url(format_args!("{}/{collection}", place.scope)));
    Ok(Json(
        page.into_answer(&format!("compute#{noun}List"), own.into()),
    ))
}

async fn missing(_: Place, uri: Uri) -> ApiError {
    ApiError::missing(uri.path().trim_start_matches("/compute/v1/"))
}
