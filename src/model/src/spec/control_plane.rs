//! What runs on replicas: etcd, the API server, the controller manager.

use super::controllers::Controllers;
use super::malformed::Malformed;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// etcd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Etcd {
    /// The binary; `None` is the one in PATH. Absolute.
    pub binary: Option<PathBuf>,
    /// The size in bytes at which etcd refuses writes.
    pub quota_bytes: u64,
    /// Arguments in addition to those that hakube sets.
    pub extra_args: Vec<String>,
    /// The interval of progress notifications to idle watchers; `None` is etcd's default, or set in
    /// `extra_args`.
    #[serde(default)]
    pub progress_notify: Option<Duration>,
}

/// The API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    /// The TCP port, on the machines and on the endpoint.
    pub port: u16,
    /// Additional names and addresses in its certificate.
    pub extra_sans: Vec<String>,
    /// API versions to enable or disable.
    pub runtime_config: BTreeMap<String, bool>,
    /// Feature gates, for all components.
    pub feature_gates: BTreeMap<String, bool>,
    /// The issuer of service account tokens.
    pub service_account_issuer: String,
    /// The request timeout in seconds; `None` is the API server's default.
    #[serde(default)]
    pub request_timeout_seconds: Option<u64>,
    /// The interval of etcd's compaction in seconds; 0 is never, `None` the API server's default.
    #[serde(default)]
    pub compaction_seconds: Option<u64>,
    /// How etcd stores Secrets.
    #[serde(default)]
    pub secrets_at_rest: AtRest,
}

/// How etcd stores Secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AtRest {
    /// As they are.
    #[default]
    Plain,
    /// Encrypted by the API servers with a key of the cluster: XSalsa20 and Poly1305.
    Secretbox,
}

impl FromStr for AtRest {
    type Err = Malformed;

    fn from_str(word: &str) -> Result<Self, Malformed> {
        match word {
            "none" => Ok(Self::Plain),
            "secretbox" => Ok(Self::Secretbox),
            _ => Err(Malformed::new("it isn't a valid choice")),
        }
    }
}

/// The controller manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerManager {
    /// The controllers to run.
    pub controllers: Controllers,
    /// The validity of kubelets' certificates; `None` is the default of a year.
    pub signing_duration: Option<Duration>,
}

/// When the endpoint sits on a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadBalancer {
    /// From the second replica on.
    Auto,
    /// From the first replica on: the endpoint never moves.
    Always,
}

impl FromStr for LoadBalancer {
    type Err = Malformed;

    fn from_str(word: &str) -> Result<Self, Malformed> {
        match word {
            "auto" => Ok(Self::Auto),
            "always" => Ok(Self::Always),
            _ => Err(Malformed::new("it isn't a valid choice")),
        }
    }
}

/// The wish. Recorded with the cluster and inherited by its replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumReads {
    /// The requested value. The API server's reads are linearizable regardless, and so are hakube's
    /// health checks of members.
    pub enabled: bool,
    /// Its origin in words ("from the environment"); `None` if it wasn't set.
    pub set_by: Option<String>,
}

impl QuorumReads {
    /// The API server's flag, if the version has it and the operator set it.
    pub fn api_server_flag(&self, version: &Version) -> Option<String> {
        (has_flag(version) && self.set_by.is_some())
            .then(|| format!("--etcd-quorum-read={}", self.enabled))
    }
}

/// Whether an API server of this version has the flag.
pub fn has_flag(version: &Version) -> bool {
    (version.major, version.minor) < (1, 13)
}
