//! The cluster's identity, for clients that only have access to its API.

use super::{SYSTEM, object};
use hakube_model::ClusterSpec;
use serde_json::{Value, json};

/// The ConfigMap with the cluster's name and ID.
pub fn objects(spec: &ClusterSpec) -> Vec<Value> {
    let mut identity = object("v1", "ConfigMap", Some(SYSTEM), "hakube-cluster");
    identity["data"] = json!({"name": spec.cluster, "id": spec.id().unwrap_or_default()});
    vec![identity]
}
