//! Frees space in etcd's database: compacts history, defragments members, disarms the NOSPACE alarm.

use super::id::{StepId, Verb};
use super::step::{Action, Draft};
use hakube_model::{Alarm, Intent, MemberRole, MemberView, Observed, Room};
use hakube_provider::MachineRef;

/// Adds the steps and returns the key of the last one, if any. All of them need a quorum.
pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Option<StepId> {
    if !observed.etcd.quorum().holds() {
        return None;
    }
    let raised = observed.alarms.iter();
    let is_raised = raised.clone().any(|raised| raised.alarm == Alarm::NoSpace);
    let mut last: Option<StepId> = None;
    if is_raised {
        last = Some(draft.add(
            Verb::CompactEtcd,
            "compact etcd's history",
            Action::CompactEtcd,
            &[],
        ));
    }
    let quota = intent.spec.etcd.quota_bytes;
    let is_due = |member: &MemberView| {
        let room = member.database.map(|database| database.room(quota));
        is_raised || room == Some(Room::Fragmented)
    };
    for (member, machine) in members(intent, observed) {
        if is_due(member) {
            let name = &member.name;
            // One at a time: the previous one must serve again.
            last = Some(draft.add(
                Verb::Defragment.of(name),
                format!("defragment etcd on {name}"),
                Action::DefragmentMember(machine),
                last.as_slice(),
            ));
        }
    }
    if is_raised {
        last = Some(draft.add(
            Verb::DisarmNoSpace,
            "disarm etcd's NOSPACE alarm",
            Action::DisarmNoSpace,
            last.as_slice(),
        ));
    }
    last
}

/// The healthy voters, with their machines. The leader is last, because writes wait for it.
fn members<'a>(intent: &Intent, observed: &'a Observed) -> Vec<(&'a MemberView, MachineRef)> {
    let members = observed.etcd.members().iter().filter(|member| {
        let votes = member.role != MemberRole::Learner;
        votes && member.healthy && !observed.is_hidden(intent, &member.name)
    });
    let on = members.filter_map(|member| {
        let machine = observed.inventory.machine(&member.name)?;
        let machine = machine.machine_ref();
        Some((member, machine))
    });
    let mut on: Vec<(&MemberView, MachineRef)> = on.collect();
    on.sort_by_key(|(member, _)| member.role == MemberRole::Leader);
    on
}
