//! Labels of resources.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::base::error::ApiError;
use crate::base::limits;
use crate::base::resource::{Resource, fresh_fingerprint};

/// The labels of a resource.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Labels {
    /// Labels by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The fingerprint that setLabels must repeat.
    pub label_fingerprint: String,
}

impl Labels {
    /// Labels without a fingerprint.
    pub fn new(labels: BTreeMap<String, String>) -> Self {
        let label_fingerprint = String::new();
        Self {
            labels,
            label_fingerprint,
        }
    }

    /// Validates the labels of a new resource and sets a fingerprint.
    pub fn prepare(&mut self) -> Result<(), ApiError> {
        limits::labels("resource.labels", &self.labels)?;
        self.label_fingerprint = fresh_fingerprint();
        Ok(())
    }
}

/// A resource that has labels.
pub trait Labelled: Resource {
    /// Its labels, mutable.
    fn labels_mut(&mut self) -> &mut Labels;
}
