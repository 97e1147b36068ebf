//! Labels and `setLabels`, shared by all types that have labels.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::post;
use hakube_local_resources::rules::patch::check_fingerprint;
use hakube_local_resources::types::Request;
use hakube_local_resources::{ApiError, Key, Labelled, State, Stored, fresh_fingerprint, limits};
use serde_json::{Map, Value};

use crate::calls::crud::{self, Begun, begins};
use crate::cloud::Cloud;
use crate::place::Body;

/// `setLabels`.
pub fn routes<R: Labelled + Stored>() -> Router<Cloud> {
    let path = format!("{}/setLabels", crud::one::<R>());
    Router::new().route(&path, post(begins(set_labels::<R>)))
}

fn set_labels<R: Labelled + Stored>(
    state: &mut State,
    key: &Key,
    Body(body): Body<Map<String, Value>>,
) -> Begun {
    let kept = state.ready_mut::<R>(key)?.labels_mut();
    check_fingerprint(&body, "labelFingerprint", &kept.label_fingerprint)?;
    let labels = match body.get("labels") {
        None => BTreeMap::new(),
        Some(labels) => serde_json::from_value(labels.clone())
            .map_err(|error| ApiError::invalid("labels", labels, error))?,
    };
    limits::labels("labels", &labels)?;
    kept.labels = labels;
    kept.label_fingerprint = fresh_fingerprint();
    Ok(Request::update::<R>("setLabels", key))
}
