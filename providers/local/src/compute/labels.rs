//! `setLabels`: the same for all types that have labels.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::crud::{self, Begun, begins};
use super::error::ApiError;
use super::limits;
use super::patch::check_fingerprint;
use super::place::Body;
use super::resource::{Managed, Target, fresh_fingerprint};
use super::scope::Key;
use crate::cloud::Cloud;
use crate::operation::{Request, Work};
use crate::store::State;

/// The labels of a resource.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Labels {
    /// For people and programs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    /// What setLabels must repeat.
    label_fingerprint: String,
}

impl Labels {
    /// These, with no fingerprint yet.
    pub fn new(labels: BTreeMap<String, String>) -> Self {
        let label_fingerprint = String::new();
        Self {
            labels,
            label_fingerprint,
        }
    }

    /// Checks the labels of a new resource and gives them a fingerprint.
    pub fn prepare(&mut self) -> Result<(), ApiError> {
        limits::labels("resource.labels", &self.labels)?;
        self.label_fingerprint = fresh_fingerprint();
        Ok(())
    }
}

/// A resource that has labels.
pub trait Labelled: Managed {
    /// Its labels, to write.
    fn labels_mut(&mut self) -> &mut Labels;
}

/// `setLabels`.
pub fn routes<R: Labelled>() -> Router<Cloud> {
    let path = format!("{}/setLabels", crud::one::<R>());
    Router::new().route(&path, post(begins(set_labels::<R>)))
}

fn set_labels<R: Labelled>(
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
    Ok(Request::new(
        "setLabels",
        Target::of::<R>(key),
        Work::Update,
    ))
}
