//! Observed addons, and kubelets' requests for serving certificates.

use serde::{Deserialize, Serialize};

/// The state of an addon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AddonState {
    /// It isn't installed.
    Missing,
    /// An object is missing, was changed, or is extra.
    Differs {
        /// The differences, each with its object.
        what: Vec<String>,
    },
    /// All objects are as specified, but something isn't running.
    NotReady {
        /// What isn't running.
        why: String,
    },
    /// All objects are as specified and running.
    Ready,
    /// It couldn't be observed.
    Unknown {
        /// The API server's error.
        why: String,
    },
}

/// A kubelet's request for a serving certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServingView {
    /// The request's name.
    pub request: String,
    /// The user name of the kubelet.
    pub by: String,
    /// Why it is left to the administrator; `None` if it is to be approved.
    pub refused: Option<String>,
}
