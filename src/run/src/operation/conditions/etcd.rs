//! etcd: its members, their data and their alarms.

use super::{REPAIR, about, of_replica};
use hakube_model::EtcdConditionKind;
use hakube_model::{Alarm, ConditionKind, EtcdView, Intent, Observed, Phase};
use hakube_output::ConditionStatus;
use hakube_plan::plan;
use hakube_provider::MachineState;

pub(super) fn data(intent: &Intent, observed: &Observed) -> Vec<ConditionStatus> {
    // The plan's refusal says whether the other members can do without this one.
    let refusal = plan(intent, observed).err();
    let data = observed.data.iter().map(|(replica, data)| {
        let kind = match data.kind {
            EtcdConditionKind::Gone => ConditionKind::EtcdDataGone,
            EtcdConditionKind::Foreign => ConditionKind::EtcdDataForeign,
            EtcdConditionKind::Damaged => ConditionKind::EtcdDataDamaged,
            EtcdConditionKind::Inconsistent => ConditionKind::EtcdDataInconsistent,
        };
        let condition = of_replica(kind, replica, format!("etcd isn't running: {}", data.why));
        match (data.kind, &refusal) {
            (EtcdConditionKind::Inconsistent, _) => ConditionStatus {
                fix: compare(replica, &[REPAIR]),
                ..condition
            },
            (_, None) => condition,
            (_, Some(refusal)) => ConditionStatus {
                fix: refusal.hints.clone(),
                ..condition
            },
        }
    });
    data.collect()
}

/// Replicas with a running machine that etcd doesn't list.
pub(super) fn removed(intent: &Intent, observed: &Observed) -> Vec<ConditionStatus> {
    let is_known = matches!(observed.etcd, EtcdView::Known(_));
    if !is_known || !intent.formed || intent.phase == Phase::Absent {
        return Vec::new();
    }
    let removed = intent.replicas.iter().filter(|replica| {
        let machine = observed.inventory.machine(&replica.name);
        machine.is_some_and(|machine| machine.state == MachineState::Running)
            && observed.etcd.member(&replica.name).is_none()
    });
    let message = "etcd doesn't list it as a member; it was removed outside hakube";
    let removed = removed.map(|replica| {
        let kind = ConditionKind::EtcdMemberRemoved;
        of_replica(kind, &replica.name, message.to_owned())
    });
    removed.collect()
}

/// Members of replicas that aren't in the intent. hakube created these, so it removes them.
pub(super) fn surplus<'a>(
    intent: &'a Intent,
    observed: &'a Observed,
) -> impl Iterator<Item = ConditionStatus> + 'a {
    let unknown: Vec<u64> = observed.strangers(intent).map(|member| member.id).collect();
    let members = observed.etcd.members().iter();
    let surplus = members.filter(move |member| {
        intent.replica(&member.name).is_none()
            && !unknown.contains(&member.id)
            && !observed.is_hidden(intent, &member.name)
    });
    surplus.map(|member| {
        let message = format!("etcd has a member without a replica, id {:x}", member.id);
        about(ConditionKind::EtcdMemberSurplus, &member.name, message)
    })
}

/// Members that hakube didn't create, and doesn't remove.
pub(super) fn unknown<'a>(
    intent: &'a Intent,
    observed: &'a Observed,
) -> impl Iterator<Item = ConditionStatus> + 'a {
    observed.strangers(intent).map(|member| {
        let message = format!(
            "etcd has a member that hakube didn't create, id {:x}",
            member.id
        );
        let remove = format!("if it isn't needed: etcdctl member remove {:x}", member.id);
        about(ConditionKind::EtcdMemberUnknown, &member.name, message).fixed_by([remove])
    })
}

pub(super) fn corrupt(observed: &Observed) -> impl Iterator<Item = ConditionStatus> {
    let alarms = observed.alarms.iter();
    let corrupt = alarms.filter(|raised| raised.alarm == Alarm::Corrupt);
    corrupt.map(|raised| {
        let message =
            "etcd raised the alarm CORRUPT: its members' data differs, and it refuses all requests";
        ConditionStatus {
            fix: compare(&raised.replica, &["etcdctl alarm disarm", REPAIR]),
            ..of_replica(
                ConditionKind::EtcdAlarmCorrupt,
                &raised.replica,
                message.to_owned(),
            )
        }
    })
}

/// etcd compares members with its leader only, and the leader may be the corrupt one.
fn compare(replica: &str, then: &[&str]) -> Vec<String> {
    let look =
        "find the member whose data differs from the majority's: etcdctl endpoint hashkv --cluster"
            .to_owned();
    let remove = format!("if it is {replica}: run etcdctl member remove with its id; then");
    let then = then.iter().map(|&command| command.to_owned());
    [look, remove].into_iter().chain(then).collect()
}
