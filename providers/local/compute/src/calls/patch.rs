//! Patches: a body merged into a resource, guarded by a fingerprint if it has one.

use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::http::Method;
use axum::routing::patch;
use hakube_local_resources::Target;
use hakube_local_resources::rules::fields;
use hakube_local_resources::rules::managed::view;
use hakube_local_resources::rules::patch::{Patchable, check_fingerprint, merge};
use hakube_local_resources::types::{Request, Work};
use serde_json::{Map, Value};

use crate::calls::crud::{self, Answer};
use crate::cloud::Cloud;
use crate::operation::RequestId;
use crate::place::{Body, Place};

/// Insert, list, get, delete, patch and update. An update, too, keeps fields that it doesn't name.
pub fn routes<R: Patchable>() -> Router<Cloud> {
    crud::collections::<R>().fold(crud::routes::<R>(), |router, many| {
        let one = format!("{many}/{{name}}");
        router.route(&one, patch(change::<R>).put(change::<R>))
    })
}

async fn change<R: Patchable>(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(id): Query<RequestId>,
    method: Method,
    Body(body): Body<Map<String, Value>>,
) -> Answer {
    let key = place.key()?;
    cloud
        .begin(id, &key, |state| {
            let before = state.ready::<R>(&key)?;
            if let Some(current) = before.fingerprint() {
                check_fingerprint(&body, "fingerprint", current)?;
            }
            fields::check_change(R::TYPE, &body, &view(before, state))?;
            let mut after = merge(before, body)?;
            after.recheck(state, &key)?;
            *state.ready_mut::<R>(&key)? = after;
            let verb = if method == Method::PUT {
                "update"
            } else {
                "patch"
            };
            Ok(Request::new(verb, Target::of::<R>(&key), Work::Update))
        })
        .await
}
