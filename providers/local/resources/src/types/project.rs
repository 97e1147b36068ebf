//! Projects: their quotas, and the metadata shared by all instances of the cloud's own project.

use serde::{Deserialize, Serialize};

use crate::base::{Meta, resource};
use crate::types::instance::Metadata;

/// The cloud's own project, or a host project of a Shared VPC.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// Metadata that every instance can read.
    pub common_instance_metadata: Metadata,
    /// `HOST` if other projects may use its networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xpn_project_status: Option<String>,
}

resource!(Project);
