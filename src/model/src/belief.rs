//! Whether the stored intent is current. The cluster keeps its own record, because a document restored from a backup
//! doesn't have later changes.

use super::{Intent, MemberRole, Observed, ReplicaIntent};
use hakube_error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A document's version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Counts the intent's changes. It only grows; 0 is a document from before counting.
    pub generation: u64,
    /// The SHA-256 of its content.
    pub checksum: String,
}

/// The cluster's own record of its intent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordView {
    /// etcd couldn't be read.
    #[default]
    Unknown,
    /// There is none: the cluster is new, or from before there were records.
    Absent,
    /// The version last recorded.
    Known {
        /// The cluster's id.
        id: Option<String>,
        /// The intent's version.
        version: Version,
    },
}

/// Checks the stored intent against the cluster's own record.
///
/// `begun_with` are the replicas before the unfinished operation; `None` without one.
///
/// # Errors
/// Refused: the document is older than the record, or differs from it at the same generation; or there is no
/// record, and the document would delete healthy replicas or nodes.
pub fn check_belief(
    intent: &Intent,
    begun_with: Option<&[ReplicaIntent]>,
    document: &Version,
    observed: &Observed,
) -> Result<()> {
    let cluster = &intent.spec.cluster;
    let refusal = |message: String| {
        Err(Error::refused(message)
            .hint("if an old copy was restored by mistake, restore the newest one")
            .hint("to rebuild the intent from the cluster: hakube state adopt"))
    };
    match &observed.record {
        RecordView::Unknown => Ok(()),
        RecordView::Known { id, version } => {
            if let (Some(own), Some(theirs)) = (intent.spec.id(), id)
                && own != theirs
            {
                return refusal(format!(
                    "the stored intent is for {} with id {own}, but the cluster's id is {theirs}",
                    intent.spec.owner()
                ));
            }
            if document.generation < version.generation {
                return refusal(format!(
                    "the stored intent of cluster {cluster} is older than the cluster's own record: revision {}, and \
                     the record is revision {}",
                    document.generation, version.generation
                ));
            }
            if document.generation == version.generation && document.checksum != version.checksum {
                return refusal(format!(
                    "the stored intent of cluster {cluster} differs from the cluster's own record, although both are \
                     revision {}",
                    document.generation
                ));
            }
            Ok(())
        }
        RecordView::Absent => {
            let healthy = unexplained(intent, begun_with, observed);
            if healthy.is_empty() {
                return Ok(());
            }
            refusal(format!(
                "the stored intent of cluster {cluster} would delete healthy resources, and the cluster has no record to \
                 confirm it: {}",
                healthy.join(", ")
            ))
        }
    }
}

/// Healthy replicas and nodes that aren't in the intent and that no unfinished operation removes.
fn unexplained(
    intent: &Intent,
    begun_with: Option<&[ReplicaIntent]>,
    observed: &Observed,
) -> Vec<String> {
    if !intent.formed {
        return Vec::new();
    }
    let was_known = |name: &str| {
        let mut before = begun_with.into_iter().flatten();
        before.any(|replica| replica.name == name)
    };
    let members = observed.etcd.members().iter().filter(|member| {
        let votes = member.healthy && member.role != MemberRole::Learner;
        let is_ours = observed.inventory.machine(&member.name).is_some();
        votes && is_ours && intent.replica(&member.name).is_none() && !was_known(&member.name)
    });
    let mut found: Vec<String> = members
        .map(|member| format!("replica {}", member.name))
        .collect();
    if begun_with.is_none() {
        let wanted = intent.node_groups();
        let groups = observed.inventory.node_groups.iter();
        let surplus = groups.filter_map(|group| {
            let wanted = wanted.iter().find(|wanted| wanted.name == group.name);
            let surplus = group
                .size
                .saturating_sub(wanted.map_or(0, |wanted| wanted.size));
            (surplus > 0).then(|| format!("{surplus} nodes in {}", group.zone))
        });
        found.extend(surplus);
    }
    found
}
