//! The journal: what was done to a cluster, by whom, and how long it took.

use jiff::Timestamp;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::document::{decode, encode};
use super::store::journal_prefix;
use super::{Actor, Result, Store};

const FORMAT: u32 = 1;

/// The operations that a cluster's journal keeps; older ones are dropped.
pub const KEPT: usize = 200;

/// One operation on a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Unique within the cluster.
    pub id: String,
    /// The command: `up`, `replicate`, `down --replica`, …
    pub operation: String,
    /// Who ran it.
    pub by: Actor,
    /// When it took the lock.
    pub started: Timestamp,
    /// When it ended; `None` while it runs, and for good if it was killed.
    pub finished: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What it did, in the order in which the steps ended.
    pub steps: Vec<StepRecord>,
    /// For how long nobody answered at the endpoint, in milliseconds, where the endpoint moved.
    pub endpoint_gap_ms: Option<u64>,
}

/// How an operation or a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Outcome {
    /// As it should.
    Done,
    /// With an error.
    Failed {
        /// The error, as it was shown.
        error: String,
    },
    /// It was told to stop before it was done.
    Interrupted,
}

/// One step of an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step's key in the plan.
    pub key: String,
    /// How long it took.
    pub seconds: f64,
    /// How it ended.
    pub outcome: Outcome,
}

impl Store {
    pub(super) async fn journal_put(&self, cluster: &str, operation: &Operation) -> Result<()> {
        let key = operation_key(cluster, operation);
        let content = encode(&self.objects.origin(&key), FORMAT, operation)?;
        self.objects.put(&key, content).await
    }

    /// Drops the oldest operations beyond [`KEPT`].
    pub(super) async fn journal_trim(&self, cluster: &str) -> Result<()> {
        let keys = self.objects.list(&journal_prefix(cluster)).await?;
        for old in &keys[..keys.len().saturating_sub(KEPT)] {
            self.objects.delete(old).await?;
        }
        Ok(())
    }

    /// The cluster's operations, oldest first.
    pub async fn journal_list(&self, cluster: &str) -> Result<Vec<Operation>> {
        let mut operations = Vec::new();
        for key in self.objects.list(&journal_prefix(cluster)).await? {
            if let Some(content) = self.objects.get(&key).await? {
                operations.push(decode(&self.objects.origin(&key), FORMAT, &content)?);
            }
        }
        Ok(operations)
    }
}

/// Sorted by time, also for whoever looks with `ls`.
fn operation_key(cluster: &str, operation: &Operation) -> Path {
    let started = operation.started.strftime("%Y%m%dT%H%M%S%.3fZ");
    journal_prefix(cluster).join(format!("{started}-{}.json", operation.id))
}
