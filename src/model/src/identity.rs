//! A cluster's identity.

use super::{ClusterSpec, Intent, Observed};
use hakube_provider::Owner;
use serde::{Deserialize, Serialize};

/// What distinguishes a cluster from others of its name. It is created once, and is in the intent, in the labels of its
/// resources, on its machines, in etcd's cluster token, in kubeconfigs and in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Lower-case letters and digits.
    pub id: String,
    /// Whether its resources' label is only its name, because it was created before clusters had ids.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marked_by_name: bool,
}

impl Identity {
    /// The length of an id. The chance of two equal ones is 1 in 3 * 10^15.
    pub const LENGTH: usize = 10;

    /// A new cluster's identity.
    pub fn new(id: String) -> Self {
        Self {
            id,
            marked_by_name: false,
        }
    }
}

impl ClusterSpec {
    /// The owner in the labels of the cluster's resources.
    pub fn owner(&self) -> Owner {
        let identity = self.identity.as_ref();
        let identity = identity.filter(|identity| !identity.marked_by_name);
        Owner {
            cluster: self.cluster.clone(),
            id: identity.map(|identity| identity.id.clone()),
        }
    }

    /// The ownership label of its resources.
    pub fn mark(&self) -> String {
        self.owner().mark()
    }

    /// Its id, once it has one.
    pub fn id(&self) -> Option<&str> {
        let identity = self.identity.as_ref();
        identity.map(|identity| identity.id.as_str())
    }
}

/// Adds an id to the intent of a cluster from before ids existed. Its etcd must have accepted the operator's
/// keys, which proves that it is the operator's. `None` if it has an id, or isn't proven.
pub fn adopted(
    intent: &Intent,
    observed: &Observed,
    id: impl FnOnce() -> String,
) -> Option<Intent> {
    let is_proven = !observed.etcd.members().is_empty();
    if intent.spec.identity.is_some() || !intent.formed || !is_proven {
        return None;
    }
    let mut next = intent.clone();
    next.spec.identity = Some(Identity {
        id: id(),
        marked_by_name: true,
    });
    Some(next)
}
