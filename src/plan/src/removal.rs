//! Removal of replicas: from the balancer, from etcd, then the machine.

use super::answer;
use super::id::{StepId, Verb};
use super::step::{Action, Draft};
use hakube_model::{EtcdView, Intent, MemberRole, MemberView, Observed};
use hakube_provider::{ResourceId, ResourceKind, Scope};
use std::collections::BTreeSet;

/// Removes failed members before anything else, because etcd accepts no new member while a voter is down, and no second
/// learner.
///
/// This includes a member of a wanted replica whose data is lost, with or without its machine. It rejoins.
pub(super) fn failed_members(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let unknown: BTreeSet<u64> = observed.strangers(intent).map(|member| member.id).collect();
    let members = observed.etcd.members().iter();
    for member in members.filter(|member| !unknown.contains(&member.id)) {
        if observed.is_hidden(intent, &member.name) {
            continue;
        }
        let wanted = intent.replica(&member.name).is_some();
        let idle = member.role == MemberRole::Learner || !member.healthy;
        if observed.is_lost(intent, member) || (!wanted && idle) {
            leave_etcd(member, &[], draft);
        }
    }
    stale_disks(intent, observed, draft);
}

/// Deletes disks that outlived their machine. They have the data of a removed member, on which etcd would exit.
/// A replica that rejoins gets a new disk.
fn stale_disks(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let asked = matches!(observed.etcd, EtcdView::Known(_));
    for replica in intent.replicas.iter().filter(|_| intent.formed && asked) {
        let name = &replica.name;
        if observed.inventory.machine(name).is_none() {
            delete_disk(intent, observed, name, &[Verb::LeaveEtcd.of(name)], draft);
        }
    }
}

/// Removes replicas that aren't in the intent.
pub(super) fn replicas(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    for name in unwanted(intent, observed) {
        // The endpoint or backend moves before anything of the replica stops, and a replica that replaces it must vote
        // first.
        let mut needs = draft.all(Verb::PointEndpoint);
        needs.extend(draft.all(Verb::Balancer));
        needs.extend(answer::moves(draft));
        needs.extend(draft.all(Verb::ControlPlane));
        needs.push(Verb::Drain.into());
        let left = Verb::LeaveEtcd.of(name);
        if let Some(member) = observed.etcd.member(name).filter(|_| !draft.has(&left)) {
            leave_etcd(member, &needs, draft);
        }
        needs.push(left);
        delete_machine(intent, observed, name, &needs, draft);
    }
}

/// The names of such replicas, as far as anything of them exists. The leader is last, so that it hands over to
/// a replica that stays.
fn unwanted<'a>(intent: &Intent, observed: &'a Observed) -> Vec<&'a str> {
    let inventory = &observed.inventory;
    let unknown: BTreeSet<&str> = observed
        .strangers(intent)
        .map(|member| member.name.as_str())
        .collect();
    let members = observed
        .etcd
        .members()
        .iter()
        .map(|member| member.name.as_str())
        .filter(|name| !unknown.contains(name) && !observed.is_hidden(intent, name));
    let machines = inventory
        .machines
        .iter()
        .map(|machine| machine.name.as_str());
    let disks = inventory
        .disks
        .iter()
        .filter_map(|disk| disk.name.strip_suffix("-pd"));
    let names: BTreeSet<&str> = members
        .chain(machines)
        .chain(disks)
        .filter(|name| intent.replica(name).is_none())
        .collect();
    let leads = |name: &str| {
        observed
            .etcd
            .member(name)
            .is_some_and(|member| member.role == MemberRole::Leader)
    };
    let (leader, mut others): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| leads(name));
    others.extend(leader);
    others
}

/// A leader hands over first, because removing it stops writes for seconds. Then another member removes it.
fn leave_etcd(member: &MemberView, needs: &[StepId], draft: &mut Draft) -> StepId {
    let name = &member.name;
    let mut needs = needs.to_vec();
    if member.role == MemberRole::Leader {
        let mut after = needs.clone();
        after.extend(draft.all(Verb::LeaveEtcd));
        needs.push(draft.add(
            Verb::HandLeadership.of(name),
            format!("move etcd's leadership away from {name}"),
            Action::HandLeadership { from: name.clone() },
            &after,
        ));
    }
    draft.add_member_change(
        Verb::LeaveEtcd.of(name),
        format!("remove {name} from etcd"),
        Action::RemoveMember {
            replica: name.clone(),
            member: member.id,
        },
        &needs,
        |quorum| quorum.without(member),
    )
}

fn delete_machine(
    intent: &Intent,
    observed: &Observed,
    name: &str,
    needs: &[StepId],
    draft: &mut Draft,
) {
    let mut needs = needs.to_vec();
    if let Some(machine) = observed.inventory.machine(name) {
        needs.push(delete(
            ResourceKind::Machine,
            &machine.zone,
            name,
            &needs,
            draft,
        ));
    }
    delete_disk(intent, observed, name, &needs, draft);
}

fn delete_disk(
    intent: &Intent,
    observed: &Observed,
    replica: &str,
    needs: &[StepId],
    draft: &mut Draft,
) {
    let name = intent.spec.names.data_disk(replica);
    if let Some(disk) = observed
        .inventory
        .disks
        .iter()
        .find(|disk| disk.name == name)
    {
        delete(ResourceKind::Disk, &disk.zone, &name, needs, draft);
    }
}

fn delete(
    kind: ResourceKind,
    zone: &str,
    name: &str,
    needs: &[StepId],
    draft: &mut Draft,
) -> StepId {
    let resource = ResourceId {
        kind,
        scope: Scope::Zone(zone.to_owned()),
        name: name.to_owned(),
    };
    draft.delete(resource, needs)
}
