//! Health checks, regional and global. Backend services use the regional ones; an internal one may use a global
//! one, too.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::backend_service::BackendService;
use super::error::ApiError;
use super::link;
use super::patch::Patchable;
use super::resource::{Managed, Meta, resource};
use super::scope::Key;
use crate::store::State;

/// How a balancer asks its backends how they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// Which of the protocol fields counts.
    #[serde(rename = "type")]
    pub protocol: Protocol,
    /// How often, and how many answers count.
    #[serde(flatten)]
    pub timing: Timing,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tcp_health_check: Option<ProbeTarget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    http_health_check: Option<ProbeTarget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    https_health_check: Option<ProbeTarget>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// How often a backend is asked, and what its answers come to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Timing {
    /// Seconds from one probe's start to the next one's.
    pub check_interval_sec: u32,
    /// Seconds after which no answer is a bad one.
    pub timeout_sec: u32,
    /// Good answers in a row that make a backend healthy.
    pub healthy_threshold: u32,
    /// Bad ones in a row that make it unhealthy.
    pub unhealthy_threshold: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            check_interval_sec: 5,
            timeout_sec: 5,
            healthy_threshold: 2,
            unhealthy_threshold: 2,
        }
    }
}

impl Timing {
    /// Refuses what no health check may have.
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

/// What is spoken to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Protocol {
    Tcp,
    Http,
    Https,
}

/// Where, and what for.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeTarget {
    /// The backend's port.
    pub port: Option<u16>,
    /// For HTTP and HTTPS, which always have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_path: Option<String>,
    /// `Host` header; the backend's address when empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
}

resource!(HealthCheck, health_checks);

impl HealthCheck {
    /// The target of its protocol.
    pub fn target(&self) -> ProbeTarget {
        self.own_target().cloned().unwrap_or_default()
    }

    fn own_target(&self) -> Option<&ProbeTarget> {
        match self.protocol {
            Protocol::Tcp => self.tcp_health_check.as_ref(),
            Protocol::Http => self.http_health_check.as_ref(),
            Protocol::Https => self.https_health_check.as_ref(),
        }
    }
}

impl Managed for HealthCheck {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        self.recheck(state, key)
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        state
            .backend_services
            .iter()
            .find(|(_, service)| {
                let mut checks = service.health_checks.iter();
                checks.any(|check| link::key_of(check).as_ref() == Some(key))
            })
            .map(|(service, _)| state.path_of::<BackendService>(service))
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
