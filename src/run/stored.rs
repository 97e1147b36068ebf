//! What the store keeps of a cluster besides its keys: the intent, and what was begun with it.

use crate::cluster::{Intent, NodeGroupIntent, ReplicaIntent};
use crate::plan::{Plan, Subject};
use crate::state::Document;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The stored document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// What the cluster should be.
    pub intent: Intent,
    /// The operation that was begun and hasn't been finished, by a crash, an error or Ctrl-C.
    pub unfinished: Option<Unfinished>,
}

/// An operation that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// `up`, `replicate`, …
    pub operation: String,
    /// What it was asked for, in words that are the same for the same request: run again, it goes on
    /// rather than doing it twice.
    pub request: String,
    /// When it began.
    pub started: Timestamp,
    /// Who ran it: `user@host`.
    pub by: String,
    /// Under which the provider knows the calls that are made for it, by whichever process.
    /// Empty where an older version began it.
    #[serde(default)]
    pub calls: String,
    /// The replicas before it, for turning back.
    pub previous: Vec<ReplicaIntent>,
    /// The nodes before it. `None` where an older version began it.
    #[serde(default)]
    pub previous_nodes: Option<Vec<NodeGroupIntent>>,
}

impl Unfinished {
    /// Whether this is the same request.
    pub fn is(&self, operation: &str, request: &str) -> bool {
        self.operation == operation && self.request == request
    }

    /// That the same request goes on.
    pub fn going_on(&self) -> String {
        let Self {
            operation,
            started,
            by,
            ..
        } = self;
        format!("going on with the {operation} that {by} began {started}")
    }
}

impl Stored {
    /// Whether nothing of this plan, which is what is left to do, is the unfinished operation's own: what it added is there,
    /// what it removed is gone, and clients have their endpoint. The rest is a sick part's, or a convenience.
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
        write!(f, "{operation} is unfinished, begun {started} by {by}")
    }
}

impl Document for Stored {
    const NAME: &'static str = "intent";
    /// 2: the network may be another project's, and its rules others'. Who didn't know would look for them elsewhere.
    const FORMAT: u32 = 2;
}
