//! Legacy health checks, HTTP and HTTPS. Target pools take the HTTP ones; of what is emulated nothing takes the
//! HTTPS ones, but they can be made, as in reality.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::ApiError;
use super::health_check::Timing;
use super::link;
use super::patch::Patchable;
use super::resource::{Managed, Meta, resource};
use super::scope::Key;
use super::target_pool::TargetPool;
use crate::store::State;

/// What a legacy check of either kind asks.
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
    /// How often, and how many answers count.
    #[serde(flatten)]
    pub timing: Timing,
}

fn root() -> String {
    "/".into()
}

impl Question {
    fn recheck(&mut self, usual: u16) -> Result<(), ApiError> {
        let port = *self.port.get_or_insert(usual);
        if port == 0 {
            let why = "Must be from 1 to 65535.";
            return Err(ApiError::invalid("resource.port", port, why));
        }
        if !self.request_path.starts_with('/') {
            let why = "Must begin with '/'.";
            return Err(ApiError::invalid(
                "resource.requestPath",
                &self.request_path,
                why,
            ));
        }
        self.timing.check()
    }
}

macro_rules! legacy {
    ($(#[$doc:meta])* $type:ident, $table:ident, port = $port:literal, user = $user:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $type {
            #[serde(flatten)]
            pub(crate) meta: Meta,
            /// What it asks.
            #[serde(flatten)]
            pub question: Question,
            #[serde(flatten)]
            rest: Map<String, Value>,
        }

        resource!($type, $table);

        impl Managed for $type {
            fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
                self.recheck(state, key)
            }

            fn user(&self, state: &State, key: &Key) -> Option<String> {
                let user: fn(&State, &Key) -> Option<String> = $user;
                user(state, key)
            }
        }

        impl Patchable for $type {
            fn recheck(&mut self, _: &State, _: &Key) -> Result<(), ApiError> {
                self.question.recheck($port)
            }
        }
    };
}

legacy!(
    /// A legacy HTTP check.
    HttpHealthCheck,
    http_health_checks,
    port = 80,
    user = pool_with
);
legacy!(
    /// A legacy HTTPS check.
    HttpsHealthCheck,
    https_health_checks,
    port = 443,
    user = |_, _| None
);

/// The pool that uses a check.
fn pool_with(state: &State, check: &Key) -> Option<String> {
    let mut pools = state.target_pools.iter();
    let pool = pools.find(|(_, pool)| {
        let mut checks = pool.health_checks.iter();
        checks.any(|used| link::key_of(used).as_ref() == Some(check))
    });
    pool.map(|(key, _)| state.path_of::<TargetPool>(key))
}
