//! Target pools: lists of instances of a region, for forwarding rules.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Meta, resource};

/// A pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetPool {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// URLs of legacy HTTP checks; at most one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_checks: Vec<String>,
    /// URLs of instances, which need not exist: an instance created later under that name is in the pool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instances: Vec<String>,
    /// `NONE`
    #[serde(default = "none")]
    pub session_affinity: String,
    /// Not emulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_pool: Option<String>,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

fn none() -> String {
    "NONE".into()
}

resource!(TargetPool);
