//! Regional backend services: external or internal, passthrough, TCP.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Key, Meta, link, resource};

/// A backend service: groups of instances and a health check.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendService {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// The groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
    /// URLs; exactly one.
    #[serde(default)]
    pub health_checks: Vec<String>,
    /// `EXTERNAL` or `INTERNAL`
    #[serde(default = "external")]
    pub load_balancing_scheme: String,
    /// `TCP`
    #[serde(default = "tcp")]
    pub protocol: String,
    /// The fingerprint that a patch must repeat.
    #[serde(default)]
    pub fingerprint: String,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One group of a service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// URL.
    pub group: String,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

fn external() -> String {
    "EXTERNAL".into()
}

fn tcp() -> String {
    "TCP".into()
}

impl BackendService {
    /// The keys of its groups.
    pub fn groups(&self) -> impl Iterator<Item = Key> {
        self.backends
            .iter()
            .filter_map(|backend| link::key_of(&backend.group))
    }
}

resource!(BackendService);
