//! Health checks, regional and global. Backend services use regional ones; an internal service may also use
//! a global one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Meta, resource};

/// How a balancer checks its backends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheck {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// The protocol; the other protocols' fields are ignored.
    #[serde(rename = "type")]
    pub protocol: Protocol,
    /// Interval and thresholds.
    #[serde(flatten)]
    pub timing: Timing,
    /// The target of TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_health_check: Option<ProbeTarget>,
    /// The target of HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_health_check: Option<ProbeTarget>,
    /// The target of HTTPS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https_health_check: Option<ProbeTarget>,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// When a backend is probed, and how results determine its health.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Timing {
    /// Seconds from one probe's start to the next one's.
    pub check_interval_sec: u32,
    /// Seconds after which a probe fails.
    pub timeout_sec: u32,
    /// Successes in a row that make a backend healthy.
    pub healthy_threshold: u32,
    /// Failures in a row that make it unhealthy.
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

/// The probe's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Protocol {
    Tcp,
    Http,
    Https,
}

/// The probe's target.
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

resource!(HealthCheck);
