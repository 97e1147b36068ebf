//! Drops an unfinished operation from the intent.

use super::{EtcdView, Intent, MemberRole, MemberView, NodeGroupIntent, Observed, ReplicaIntent};
use hakube_error::{Error, Result};

/// The intent without the unfinished operation. It keeps the previous replicas that still exist, the added ones
/// that are healthy, and the previous number of nodes.
///
/// # Errors
/// Refused: it is the cluster's first `up`, or etcd is unreachable, so it isn't known which replicas are healthy.
pub fn abandoned(
    intent: &Intent,
    observed: &Observed,
    previous: &[ReplicaIntent],
    previous_nodes: Option<&[NodeGroupIntent]>,
) -> Result<Intent> {
    let cluster = &intent.spec.cluster;
    if let Some(restoring) = &intent.restoring {
        return Err(Error::refused(format!(
            "backup {} of cluster {cluster} is being restored, and etcd is stopped until that is done",
            restoring.backup
        ))
        .hint("to finish it: hakube reconcile; to restore another backup: hakube restore NAME"));
    }
    if !intent.formed {
        return Err(Error::refused(format!(
            "cluster {cluster} isn't formed yet, so there is nothing to keep"
        ))
        .hint("to finish it: hakube up; to delete it: hakube down"));
    }
    if let EtcdView::Unknown { why } = &observed.etcd {
        return Err(Error::refused(
            "could not read from etcd which replicas are healthy, so none is removed",
        )
        .because(why)
        .hint("check which machines are running: hakube status"));
    }
    let is_gone = |replica: &&ReplicaIntent| {
        observed.etcd.member(&replica.name).is_none()
            && observed.inventory.machine(&replica.name).is_none()
            && !observed.is_hidden(intent, &replica.name)
    };
    let is_healthy = |replica: &&ReplicaIntent| {
        let member = observed.etcd.member(&replica.name);
        let votes = |member: &MemberView| member.healthy && member.role != MemberRole::Learner;
        member.is_some_and(votes) && observed.api_ready(&replica.name)
    };
    let mut next = intent.clone();
    next.replicas = previous
        .iter()
        .filter(|replica| !is_gone(replica))
        .cloned()
        .collect();
    let added = intent
        .replicas
        .iter()
        .filter(|replica| previous.iter().all(|before| before.name != replica.name));
    next.replicas.extend(added.filter(is_healthy).cloned());
    if let Some(nodes) = previous_nodes {
        next.nodes = nodes.to_vec();
    }
    if next.replicas.is_empty() {
        return Err(Error::refused(format!(
            "without the unfinished operation cluster {cluster} would have no replica"
        ))
        .hint("to finish it: hakube reconcile; to delete the cluster: hakube down"));
    }
    Ok(next)
}
