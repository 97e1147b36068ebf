//! Instance groups: lists of instances of one zone, for balancers. Each managed group has an instance group
//! of the same name, whose members the manager controls.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Meta, resource};

/// An instance group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceGroup {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// URLs of instances that were added. A manager keeps its own list.
    #[serde(default, alias = "members")]
    pub added: Vec<String>,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

resource!(InstanceGroup);
