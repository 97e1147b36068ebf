//! Upgrades: replicas get new programs one by one, then hosts that are nodes.

use super::id::{StepId, Verb};
use super::step::{Action, Draft};
use super::trust::restarts;
use hakube_machine::{node_release, replica_release};
use hakube_model::{Intent, MarkView, Observed, ReplicaIntent};

/// Upgrades replicas in the order in which a rotation of authorities restarts them, each healthy before the next. Nodes
/// follow: a kubelet may be older than its API server, and not newer.
pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    if intent.upgrade.is_none() {
        return;
    }
    let mut needs: Vec<StepId> = draft
        .member_changes()
        .map(|(step, _)| step.key.clone())
        .collect();
    needs.extend(draft.all(Verb::ControlPlane));
    needs.extend(draft.all(Verb::FollowAuthorities));
    let release = replica_release(&intent.spec);
    let late: Vec<&ReplicaIntent> = intent
        .replicas
        .iter()
        .filter(|replica| has_another(observed, &replica.name, &release.mark))
        .collect();
    let count = late.len();
    let restarted = restarts(late, observed);
    let complete = restarted.len() == count;
    for replica in restarted {
        needs = vec![upgrade_replica(intent, replica, &needs, draft)];
    }
    if complete && intent.upgrades_nodes_in_place() {
        nodes(intent, observed, needs, draft);
    }
}

/// Whether all replicas have the upgrade, or get it with this plan.
pub(super) fn reaches_all_replicas(intent: &Intent, observed: &Observed, draft: &Draft) -> bool {
    let release = replica_release(&intent.spec);
    let mut replicas = intent.replicas.iter();
    intent.upgrade.is_none()
        || replicas.all(|replica| {
            !has_another(observed, &replica.name, &release.mark)
                || draft.has(&Verb::Upgrade.of(&replica.name))
        })
}

/// Whether the machine is known to have another release than this one.
fn has_another(observed: &Observed, machine: &str, mark: &str) -> bool {
    matches!(observed.releases.get(machine), Some(MarkView::InForce(has)) if has != mark)
}

fn upgrade_replica(
    intent: &Intent,
    replica: &ReplicaIntent,
    needs: &[StepId],
    draft: &mut Draft,
) -> StepId {
    let name = &replica.name;
    draft.add(
        Verb::Upgrade.of(name),
        format!(
            "upgrade {name} to Kubernetes v{}",
            intent.spec.versions.kubernetes
        ),
        Action::UpgradeReplica(replica.machine_ref()),
        needs,
    )
}

/// One node after another is drained, upgraded, and uncordoned. There may be no room for the pods of two.
fn nodes(intent: &Intent, observed: &Observed, mut needs: Vec<StepId>, draft: &mut Draft) {
    needs.push(Verb::AwaitEndpoint.into());
    for group in &observed.inventory.node_groups {
        let release = node_release(&intent.spec, &group.zone);
        let machines = group.machine_refs();
        for machine in machines.filter(|one| has_another(observed, &one.name, &release.mark)) {
            let step = draft.add(
                Verb::Upgrade.of(&machine.name),
                format!(
                    "upgrade node {} to Kubernetes v{}",
                    machine.name, intent.spec.versions.kubernetes
                ),
                Action::UpgradeNode(machine),
                &needs,
            );
            needs = vec![step];
        }
    }
}
