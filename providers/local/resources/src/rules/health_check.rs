//! Health checks, regional and global. Backend services use regional ones; an internal service may also use
//! a global one.

use crate::base::{ApiError, Key, link};
use crate::rules::managed::{Managed, Seen};
use crate::rules::patch::Patchable;
use crate::state::State;
use crate::types::health_check::{Protocol, Timing};
use crate::types::{BackendService, HealthCheck};

impl Timing {
    /// Rejects invalid settings.
    pub fn check(&self) -> Result<(), ApiError> {
        for (field, value, most) in [
            ("resource.checkIntervalSec", self.check_interval_sec, 300),
            ("resource.timeoutSec", self.timeout_sec, 300),
            ("resource.healthyThreshold", self.healthy_threshold, 10),
            ("resource.unhealthyThreshold", self.unhealthy_threshold, 10),
        ] {
            if !(1..=most).contains(&value) {
                let why = format!("Must be from 1 to {most}.");
                return Err(ApiError::invalid(field, value, why));
            }
        }
        if self.timeout_sec > self.check_interval_sec {
            let why = "Must not be greater than checkIntervalSec.";
            return Err(ApiError::invalid(
                "resource.timeoutSec",
                self.timeout_sec,
                why,
            ));
        }
        Ok(())
    }
}

impl Managed for HealthCheck {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        self.recheck(state, key)
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        state.path_where::<BackendService>(|service| {
            let mut checks = service.health_checks.iter();
            checks.any(|check| link::key_of(check).as_ref() == Some(key))
        })
    }
}

impl Patchable for HealthCheck {
    fn recheck(&mut self, _: &State, _: &Key) -> Result<(), ApiError> {
        let usual = match self.protocol {
            Protocol::Https => 443,
            Protocol::Tcp | Protocol::Http => 80,
        };
        let own = match self.protocol {
            Protocol::Tcp => &mut self.tcp_health_check,
            Protocol::Http => &mut self.http_health_check,
            Protocol::Https => &mut self.https_health_check,
        };
        let target = own.get_or_insert_default();
        target.port.get_or_insert(usual);
        if self.protocol != Protocol::Tcp {
            let path = target.request_path.get_or_insert_with(|| "/".into());
            if !path.starts_with('/') {
                let why = "Must begin with '/'.";
                return Err(ApiError::invalid("resource.requestPath", path.clone(), why));
            }
        }
        self.timing.check()
    }
}

impl Seen for HealthCheck {}
