//! Instance templates, which group managers create instances from.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Meta, resource};

/// Properties of instances, without name and zone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceTemplate {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// The body of an instance's insert, except that machine and disk types are plain names.
    pub properties: Map<String, Value>,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

resource!(InstanceTemplate);
