//! Legacy health checks, HTTP and HTTPS.

use crate::base::{ApiError, Key, link};
use crate::rules::managed::{Managed, Seen};
use crate::rules::patch::Patchable;
use crate::state::State;
use crate::types::legacy_health_check::Question;
use crate::types::{HttpHealthCheck, HttpsHealthCheck, TargetPool};

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
    ($type:ident, port = $port:literal, user = $user:expr) => {
        impl Seen for $type {}

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

legacy!(HttpHealthCheck, port = 80, user = pool_with);
legacy!(HttpsHealthCheck, port = 443, user = |_, _| None);

/// The pool that uses a check.
fn pool_with(state: &State, check: &Key) -> Option<String> {
    state.path_where::<TargetPool>(|pool| {
        let mut checks = pool.health_checks.iter();
        checks.any(|used| link::key_of(used).as_ref() == Some(check))
    })
}
