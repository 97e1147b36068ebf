//! What is known of a cluster's addons, and of kubelets that want certificates to serve with.

use serde::{Deserialize, Serialize};

/// How an addon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AddonState {
    /// Nothing of it is there.
    Missing,
    /// Something of it is missing, was changed, or is too much.
    Differs {
        /// What, each with its object.
        what: Vec<String>,
    },
    /// All of it is as it should be, and something doesn't run yet, or no more.
    NotReady {
        /// What.
        why: String,
    },
    /// All of it is as it should be and runs.
    Ready,
    /// It couldn't be looked at.
    Unknown {
        /// What the API server said.
        why: String,
    },
}

/// A kubelet that asks for a certificate to serve with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServingView {
    /// The request's name.
    pub request: String,
    /// Who asks.
    pub by: String,
    /// Why it is left to the administrator; `None`: it is to be approved.
    pub refused: Option<String>,
}
