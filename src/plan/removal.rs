//! Replicas that should no longer be there: out of the balancer, out of etcd, then the machine.

use super::drain::DRAIN;
use super::shared_address;
use super::step::{Action, Draft, Key, key};
use crate::cluster::{EtcdView, Intent, MemberRole, MemberView, Observed};
use hakube_provider::{ResourceId, ResourceKind, Scope};
use std::collections::BTreeSet;

/// Members that are a burden leave before anything else: etcd takes no new member beside a voter that
/// is down, and no second learner.
///
/// One whose data is gone, with its machine or without, is a burden even where the replica should stay: it joins
/// anew.
pub(super) fn burdens(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let strangers: BTreeSet<u64> = observed.strangers(intent).map(|member| member.id).collect();
    let members = observed.etcd.members().iter();
    for member in members.filter(|member| !strangers.contains(&member.id)) {
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

/// A disk that outlived its machine holds a member that is none any more: etcd would start on it and
/// exit at once. So a replica that joins anew gets a new disk.
fn stale_disks(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let asked = matches!(observed.etcd, EtcdView::Known(_));
    for replica in intent.replicas.iter().filter(|_| intent.formed && asked) {
        let name = &replica.name;
        if observed.inventory.machine(name).is_none() {
            delete_disk(intent, observed, name, &[key("leave", name)], draft);
        }
    }
}

/// Replicas that should no longer be there.
pub(super) fn replicas(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    for name in unwanted(intent, observed) {
        // Clients first: the address or the backend leaves before anything of the replica stops. And
        // a replica that replaces this one votes first.
        let mut needs = draft.keys("point-endpoint");
        needs.extend(draft.keys("balancer"));
        needs.extend(shared_address::moves(draft));
        needs.extend(draft.keys("control-plane/"));
        needs.push(DRAIN.to_owned());
        let left = key("leave", name);
        if let Some(member) = observed.etcd.member(name).filter(|_| !draft.has(&left)) {
            leave_etcd(member, &needs, draft);
        }
        needs.push(left);
        delete_machine(intent, observed, name, &needs, draft);
    }
}

/// The names of what is there of such replicas. The leader's comes last: it hands over to one that
/// stays.
fn unwanted<'a>(intent: &Intent, observed: &'a Observed) -> Vec<&'a str> {
    let inventory = &observed.inventory;
    let strangers: BTreeSet<&str> = observed
        .strangers(intent)
        .map(|member| member.name.as_str())
        .collect();
    let members = observed
        .etcd
        .members()
        .iter()
        .map(|member| member.name.as_str())
        .filter(|name| !strangers.contains(name) && !observed.is_hidden(intent, name));
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

/// A leader hands over first (removing it stops writes for seconds), then another member removes it.
fn leave_etcd(member: &MemberView, needs: &[Key], draft: &mut Draft) -> Key {
    let name = &member.name;
    let mut needs = needs.to_vec();
    if member.role == MemberRole::Leader {
        let mut after = needs.clone();
        after.extend(draft.keys("leave/"));
        needs.push(draft.add(
            key("hand-leadership", name),
            format!("move etcd's leadership away from {name}"),
            Action::HandLeadership { from: name.clone() },
            &after,
        ));
    }
    let votes = member.role != MemberRole::Learner;
    let healthy = member.healthy;
    draft.add_member_change(
        key("leave", name),
        format!("remove {name} from etcd"),
        Action::RemoveMember {
            replica: name.clone(),
            member: member.id,
        },
        &needs,
        |quorum| {
            if votes {
                quorum.minus_voter(healthy)
            } else {
                quorum
            }
        },
    )
}

fn delete_machine(
    intent: &Intent,
    observed: &Observed,
    name: &str,
    needs: &[Key],
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
    needs: &[Key],
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

fn delete(kind: ResourceKind, zone: &str, name: &str, needs: &[Key], draft: &mut Draft) -> Key {
    let resource = ResourceId {
        kind,
        scope: Scope::Zone(zone.to_owned()),
        name: name.to_owned(),
    };
    draft.delete(resource, needs)
}
