//! The journal of operations on a cluster: who ran them, when, and how long they took. Recent
//! operations are kept individually, earlier ones as a summary.

use std::collections::BTreeMap;

use jiff::Timestamp;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::document::{decode, encode};
use super::store::journal_prefix;
use super::{Actor, Result, Store};

const FORMAT: u32 = 1;

/// The number of operations that a cluster's journal keeps individually.
pub const KEPT: usize = 200;

/// One operation on a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Unique within the cluster.
    pub id: String,
    /// The command: `up`, `replicate`, `down --replica`, …
    pub operation: String,
    /// The process that ran it.
    pub by: Actor,
    /// When it took the lock.
    pub started: Timestamp,
    /// When it ended; `None` while it runs, and permanently if it was killed.
    pub finished: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Its steps, in the order in which they ended.
    pub steps: Vec<StepRecord>,
    /// How long the endpoint didn't respond, in milliseconds, if it moved.
    pub endpoint_gap_ms: Option<u64>,
}

/// The outcome of an operation or a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Outcome {
    /// Success.
    Done,
    /// Failure.
    Failed {
        /// The error, as it was shown.
        error: String,
    },
    /// Stopped before it was done.
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

/// A summary of the operations before those that are kept individually.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Their number.
    pub operations: u64,
    /// When the first of them began.
    pub first: Option<Timestamp>,
    /// When the last of them began.
    pub last: Option<Timestamp>,
    /// The number of operations by command and outcome: `done`, `failed`, `interrupted`, or
    /// `unfinished` if it was killed.
    pub commands: BTreeMap<String, BTreeMap<String, u64>>,
    /// The number of times that the endpoint moved.
    pub endpoint_moves: u64,
    /// The longest time that the endpoint didn't respond, in milliseconds.
    pub longest_endpoint_gap_ms: Option<u64>,
    /// The number of unreadable operations.
    pub unreadable: u64,
    /// The objects that were merged last.
    folded: Vec<String>,
}

impl Earlier {
    /// Merges an operation; `None` if it is unreadable.
    fn take_in(&mut self, operation: Option<Operation>) {
        self.operations += 1;
        let Some(operation) = operation else {
            self.unreadable += 1;
            return;
        };
        let started = operation.started;
        self.first = Some(self.first.map_or(started, |first| first.min(started)));
        self.last = self.last.max(Some(started));
        let ended = operation
            .outcome
            .as_ref()
            .map_or("unfinished", Outcome::word);
        let command = self.commands.entry(operation.operation).or_default();
        *command.entry(ended.to_owned()).or_default() += 1;
        self.endpoint_moves += u64::from(operation.endpoint_gap_ms.is_some());
        self.longest_endpoint_gap_ms = self.longest_endpoint_gap_ms.max(operation.endpoint_gap_ms);
    }
}

impl Outcome {
    /// The outcome in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

impl Store {
    pub(super) async fn journal_put(&self, cluster: &str, operation: &Operation) -> Result<()> {
        let key = operation_key(cluster, operation);
        let content = encode(&self.objects.origin(&key), FORMAT, operation)?;
        self.objects.put(&key, content).await
    }

    /// Merges the oldest operations beyond [`KEPT`] into the summary, except `current`: it is
    /// written again when it ends, and may look like the oldest if the clock was set back.
    ///
    /// The summary names the objects that it merged last. If a crash prevents their deletion, they
    /// aren't counted twice.
    pub(super) async fn journal_compact(&self, cluster: &str, current: &Operation) -> Result<()> {
        let keys = self.journal_keys(cluster).await?;
        let old = keys.len().saturating_sub(KEPT);
        if old == 0 {
            return Ok(());
        }
        let current = operation_key(cluster, current);
        let old: Vec<Path> = keys
            .into_iter()
            .filter(|key| *key != current)
            .take(old)
            .collect();
        let mut earlier = self.journal_earlier(cluster).await?.unwrap_or_default();
        let counted = std::mem::take(&mut earlier.folded);
        for key in &old {
            if counted.iter().all(|name| *name != key.to_string()) {
                let content = self.objects.get(key).await?.unwrap_or_default();
                let operation = decode(&self.objects.origin(key), FORMAT, &content);
                earlier.take_in(operation.ok());
            }
            earlier.folded.push(key.to_string());
        }
        let key = earlier_key(cluster);
        let content = encode(&self.objects.origin(&key), FORMAT, &earlier)?;
        self.objects.put(&key, content).await?;
        for key in &old {
            self.objects.delete(key).await?;
        }
        Ok(())
    }

    async fn journal_keys(&self, cluster: &str) -> Result<Vec<Path>> {
        let mut keys = self.objects.list(&journal_prefix(cluster)).await?;
        keys.retain(|key| *key != earlier_key(cluster));
        Ok(keys)
    }

    /// The summary of the operations before those of [`Self::journal_list`]; `None` if there are none.
    pub async fn journal_earlier(&self, cluster: &str) -> Result<Option<Earlier>> {
        let key = earlier_key(cluster);
        let content = self.objects.get(&key).await?;
        let open = |content: bytes::Bytes| decode(&self.objects.origin(&key), FORMAT, &content);
        content.map(open).transpose()
    }

    /// The cluster's recent operations, oldest first.
    pub async fn journal_list(&self, cluster: &str) -> Result<Vec<Operation>> {
        let mut operations = Vec::new();
        for key in self.journal_keys(cluster).await? {
            if let Some(content) = self.objects.get(&key).await? {
                operations.push(decode(&self.objects.origin(&key), FORMAT, &content)?);
            }
        }
        Ok(operations)
    }
}

fn earlier_key(cluster: &str) -> Path {
    journal_prefix(cluster).join("earlier.json")
}

/// Keys sort by time, also in `ls`.
fn operation_key(cluster: &str, operation: &Operation) -> Path {
    let started = operation.started.strftime("%Y%m%dT%H%M%S%.3fZ");
    journal_prefix(cluster).join(format!("{started}-{}.json", operation.id))
}
