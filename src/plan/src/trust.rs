//! Rotation of authorities: replicas, then kubelets, restart with the current ones.

use super::id::{StepId, Verb};
use super::step::{Action, Draft};
use hakube_model::{Intent, MarkView, MemberRole, Observed, ReplicaIntent};
use hakube_provider::MachineRef;
use std::collections::BTreeMap;

/// Restarts replicas one by one, each healthy before the next, then all kubelets. Other steps for a replica come first.
/// Replicas that get new files anyway are skipped.
pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let trust = &observed.trust;
    let mut needs: Vec<StepId> = draft
        .member_changes()
        .map(|(step, _)| step.key.clone())
        .collect();
    needs.extend(draft.all(Verb::ControlPlane));
    let late: Vec<&ReplicaIntent> = intent
        .replicas
        .iter()
        .filter(|replica| trust.is_late(trust.replicas.get(&replica.name)))
        .filter(|replica| !draft.has(&Verb::Secrets.of(&replica.name)))
        .collect();
    let count = late.len();
    let restarted = restarts(late, observed);
    let complete = restarted.len() == count;
    for replica in restarted {
        needs = vec![follow(replica, &needs, draft)];
    }
    if complete {
        kubelets(intent, observed, needs, draft);
    }
}

/// Whether all replicas have the current authorities, or get them with this plan.
pub(super) fn reaches_all_replicas(intent: &Intent, observed: &Observed, draft: &Draft) -> bool {
    let trust = &observed.trust;
    intent.replicas.iter().all(|replica| {
        let name = &replica.name;
        let steps = [Verb::FollowAuthorities, Verb::Secrets];
        !trust.is_late(trust.replicas.get(name))
            || steps.iter().any(|verb| draft.has(&verb.of(name)))
    })
}

/// Those of these replicas that can restart, in the order in which they should.
pub(super) fn restarts<'a>(
    late: Vec<&'a ReplicaIntent>,
    observed: &Observed,
) -> Vec<&'a ReplicaIntent> {
    // Unhealthy ones first: a restart can't make them worse.
    let (mut order, mut healthy): (Vec<&ReplicaIntent>, Vec<&ReplicaIntent>) = late
        .into_iter()
        .partition(|replica| !serves(observed, replica));
    // The leader last, so that leadership moves only once.
    healthy.sort_by_key(|replica| {
        let member = observed.etcd.member(&replica.name);
        member.is_some_and(|member| member.role == MemberRole::Leader)
    });
    if spares_one(observed) {
        order.extend(healthy);
    }
    order
}

fn serves(observed: &Observed, replica: &ReplicaIntent) -> bool {
    let member = observed.etcd.member(&replica.name);
    member.is_some_and(|member| member.healthy)
}

/// Whether etcd keeps its quorum while a voter restarts. With one or two it can't, and they restart anyway.
fn spares_one(observed: &Observed) -> bool {
    let quorum = observed.etcd.quorum();
    quorum.voters <= 2 || quorum.survives() > 0 && quorum.healthy == quorum.voters
}

fn follow(replica: &ReplicaIntent, needs: &[StepId], draft: &mut Draft) -> StepId {
    let name = &replica.name;
    draft.add(
        Verb::FollowAuthorities.of(name),
        format!("restart {name} with the cluster's current authorities"),
        Action::FollowAuthorities(replica.machine_ref()),
        needs,
    )
}

/// Restarts kubelets with other authorities. The controller managers that sign for them have restarted before.
fn kubelets(intent: &Intent, observed: &Observed, mut needs: Vec<StepId>, draft: &mut Draft) {
    let trust = &observed.trust;
    let late = |name: &str| trust.is_late(trust.kubelets.get(name));
    let is_current = |name: &str| match trust.replicas.get(name) {
        Some(MarkView::InForce(_)) | None => true,
        Some(MarkView::Fixed | MarkView::Unknown { .. }) => false,
    };
    let replicas: Vec<MachineRef> = intent
        .replicas
        .iter()
        .filter(|replica| late(&replica.name) && is_current(&replica.name))
        .map(ReplicaIntent::machine_ref)
        .collect();
    let mut nodes: BTreeMap<String, Vec<MachineRef>> = BTreeMap::new();
    for group in &observed.inventory.node_groups {
        let machines = group.machine_refs().filter(|machine| late(&machine.name));
        let machines: Vec<MachineRef> = machines.collect();
        if !machines.is_empty() {
            nodes.insert(group.template.clone(), machines);
        }
    }
    if replicas.is_empty() && nodes.is_empty() {
        return;
    }
    needs.push(Verb::AwaitEndpoint.into());
    draft.add(
        Verb::FollowAuthoritiesOnNodes,
        "restart all kubelets with the cluster's current authorities",
        Action::FollowAuthoritiesOnNodes { replicas, nodes },
        &needs,
    );
}
