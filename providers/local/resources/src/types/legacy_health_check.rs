//! Legacy health checks, HTTP and HTTPS. Target pools take the HTTP ones. Nothing emulated takes the HTTPS
//! ones, but they can be created.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Meta, resource};
use crate::types::health_check::Timing;

/// The probe of a legacy check.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The backend's port.
    #[serde(default)]
    pub port: Option<u16>,
    /// Path and query.
    #[serde(default = "root")]
    pub request_path: String,
    /// `Host` header; the backend's address when empty.
    #[serde(default)]
    pub host: String,
    /// Interval and thresholds.
    #[serde(flatten)]
    pub timing: Timing,
}

fn root() -> String {
    "/".into()
}

macro_rules! legacy {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $type {
            /// The common fields.
            #[serde(flatten)]
            pub meta: Meta,
            /// The probe.
            #[serde(flatten)]
            pub question: Question,
            /// Fields without an effect here.
            #[serde(flatten)]
            pub rest: Map<String, Value>,
        }

        resource!($type);
    };
}

legacy!(
    /// A legacy HTTP check.
    HttpHealthCheck
);
legacy!(
    /// A legacy HTTPS check.
    HttpsHealthCheck
);
