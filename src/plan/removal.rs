//! Replicas that should no longer be there: out of the balancer, out of etcd, then the machine.

use super::endpoint::delete_key;
use super::step::{Action, Draft, Key, key};
use crate::cluster::{Intent, MemberRole, MemberView, Observed};
use hakube_provider::{ResourceId, ResourceKind, Scope};
use std::collections::BTreeSet;

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let inventory = &observed.inventory;
    let members = observed.etcd.members().iter().map(|member| member.name.as_str());
    let machines = inventory.machines.iter().map(|machine| machine.name.as_str());
    let disks = inventory.disks.iter().filter_map(|disk| disk.name.strip_suffix("-pd"));
    let unwanted: BTreeSet<&str> = members
        .chain(machines)
        .chain(disks)
        .filter(|name| intent.replica(name).is_none())
        .collect();
    for name in unwanted {
        // Clients first: the address or the backend leaves before anything of the replica stops. And
        // a replica that replaces this one votes first.
        let mut needs = draft.keys("point-endpoint");
        needs.extend(draft.keys("balancer"));
        needs.extend(draft.keys("control-plane/"));
        let gone = observed.etcd.member(name).map(|member| leave_etcd(member, &needs, draft));
        needs.extend(gone);
        delete_machine(intent, observed, name, &needs, draft);
    }
}

/// A leader hands over first (removing it stops writes for seconds), then another member removes it.
fn leave_etcd(member: &MemberView, needs: &[Key], draft: &mut Draft) -> Key {
    let name = &member.name;
    let mut needs = needs.to_vec();
    if member.role == MemberRole::Leader {
        needs.push(draft.add(
            key("hand-leadership", name),
            format!("move etcd's leadership away from {name}"),
            Action::HandLeadership { from: name.clone() },
            &needs,
        ));
    }
    let votes = member.role != MemberRole::Learner;
    let healthy = member.healthy;
    draft.add_member_change(
        key("leave", name),
        format!("remove {name} from etcd"),
        Action::RemoveMember { replica: name.clone(), member: member.id },
        &needs,
        |quorum| if votes { quorum.minus_voter(healthy) } else { quorum },
    )
}

fn delete_machine(intent: &Intent, observed: &Observed, name: &str, needs: &[Key], draft: &mut Draft) {
    let mut needs = needs.to_vec();
    let delete = |kind, zone: &str, name: String, needs: &[Key], draft: &mut Draft| {
        let resource = ResourceId { kind, scope: Scope::Zone(zone.to_owned()), name };
        draft.add(delete_key(&resource), format!("delete {resource}"), Action::Delete(resource), needs)
    };
    if let Some(machine) = observed.inventory.machine(name) {
        needs.push(delete(ResourceKind::Machine, &machine.zone, name.to_owned(), &needs, draft));
    }
    let disk = intent.spec.names.data_disk(name);
    if let Some(disk) = observed.inventory.disks.iter().find(|found| found.name == disk) {
        delete(ResourceKind::Disk, &disk.zone, disk.name.clone(), &needs, draft);
    }
}
