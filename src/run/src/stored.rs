//! The stored document: the intent and the unfinished operation.

use crate::request::{Request, recorded};
use hakube_model::{Intent, NodeGroupIntent, ReplicaIntent};
use hakube_plan::{Plan, Subject};
use hakube_state::Document;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// The stored document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The cluster's desired state.
    pub intent: Intent,
    /// The operation that a crash, an error or Ctrl-C left unfinished.
    #[serde(default, deserialize_with = "unfinished")]
    pub unfinished: Option<Unfinished>,
}

/// An unfinished operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// `up`, `replicate`, …
    pub operation: String,
    /// What was asked for.
    #[serde(deserialize_with = "recorded")]
    pub request: Request,
    /// When it started.
    pub started: Timestamp,
    /// The operator who ran it: `user@host`.
    pub by: String,
    /// The id of its calls to the provider, shared by all processes that run it. Empty if an older version started it.
    #[serde(default)]
    pub calls: String,
    /// The replicas before it, for rolling back.
    pub previous: Vec<ReplicaIntent>,
    /// The nodes before it. `None` if an older version started it.
    #[serde(default)]
    pub previous_nodes: Option<Vec<NodeGroupIntent>>,
}

/// Up to format 3, what was asked for depends on the operation.
fn unfinished<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Unfinished>, D::Error> {
    let read: Option<Unfinished> = Option::deserialize(from)?;
    Ok(read.map(|begun| Unfinished {
        request: begun.request.of(&begun.operation),
        ..begun
    }))
}

impl Unfinished {
    /// The message that the same request resumes it.
    pub fn going_on(&self) -> String {
        let Self {
            operation,
            started,
            by,
            ..
        } = self;
        format!("resuming {operation}, started {started} by {by}")
    }
}

impl Stored {
    /// Whether none of the steps left belong to the unfinished operation: its replicas are added or removed,
    /// and clients have their endpoint. The other steps repair an unhealthy part, or are a convenience.
    pub fn is_done_but_for(&self, left: &Plan) -> bool {
        let Some(begun) = &self.unfinished else {
            return false;
        };
        let intent = &self.intent;
        let stays = |name: &str| {
            let is_previous = |replica: &ReplicaIntent| replica.name == name;
            intent.replica(name).is_some() && begun.previous.iter().any(is_previous)
        };
        left.steps.iter().all(|step| match step.action.subject() {
            Subject::Replica(name) => stays(name),
            Subject::Nodes => begun.previous_nodes.as_ref() == Some(&intent.nodes),
            Subject::Cluster => false,
            Subject::Convenience => true,
        })
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            started,
            by,
            ..
        } = self;
        write!(f, "{operation} is unfinished, started {started} by {by}")
    }
}

impl Document for Stored {
    const NAME: &'static str = "intent";
    /// 2: the network may be in another project, with firewall rules that hakube doesn't manage. An older version would
    /// look for them in the wrong place.
    /// 3: clusters have ids, which are in the labels of their resources; documents have generations and checksums.
    /// 4: what an unfinished operation was asked for is typed.
    const FORMAT: u32 = 4;
}
