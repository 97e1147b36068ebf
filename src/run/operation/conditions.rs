//! What is wrong with etcd's members, for `status`: each with what puts it right.

use crate::cluster::{Alarm, EtcdView, Intent, Observed, Phase};
use crate::machine::EtcdConditionKind;
use crate::output::ConditionStatus;
use crate::plan::plan;
use crate::run::Stored;
use hakube_provider::MachineState;

/// What is wrong, as far as it shows. While an operation runs, what it is in the middle of isn't told.
pub(super) fn conditions(
    stored: &Stored,
    observed: &Observed,
    running: bool,
) -> Vec<ConditionStatus> {
    let intent = &stored.intent;
    let mut conditions = data(intent, observed);
    if !running && stored.unfinished.is_none() {
        conditions.extend(removed(intent, observed));
    }
    conditions.extend(alarms(observed));
    conditions
}

fn data(intent: &Intent, observed: &Observed) -> Vec<ConditionStatus> {
    // Whether the others can do without it is what a plan says.
    let refusal = plan(intent, observed).err();
    let data = observed.data.iter().map(|(replica, data)| {
        let kind = match data.kind {
            EtcdConditionKind::Gone => "etcd-data-gone",
            EtcdConditionKind::Foreign => "etcd-data-foreign",
            EtcdConditionKind::Damaged => "etcd-data-damaged",
            EtcdConditionKind::Inconsistent => "etcd-data-inconsistent",
        };
        let fix = match (data.kind, &refusal) {
            (EtcdConditionKind::Inconsistent, _) => compare(replica, &["hakube repair"]),
            (_, None) => vec!["hakube repair".to_owned()],
            (_, Some(refusal)) => refusal.hints.clone(),
        };
        ConditionStatus {
            kind,
            replica: replica.clone(),
            message: format!("etcd doesn't run: {}", data.why),
            fix,
        }
    });
    data.collect()
}

/// Replicas whose machine runs and that etcd doesn't list.
fn removed(intent: &Intent, observed: &Observed) -> Vec<ConditionStatus> {
    let is_known = matches!(observed.etcd, EtcdView::Known(_));
    if !is_known || !intent.formed || intent.phase == Phase::Absent {
        return Vec::new();
    }
    let removed = intent.replicas.iter().filter(|replica| {
        let machine = observed.inventory.machine(&replica.name);
        machine.is_some_and(|machine| machine.state == MachineState::Running)
            && observed.etcd.member(&replica.name).is_none()
    });
    let removed = removed.map(|replica| ConditionStatus {
        kind: "etcd-member-removed",
        replica: replica.name.clone(),
        message: "etcd doesn't list it as a member: somebody removed it".to_owned(),
        fix: vec!["hakube repair".to_owned()],
    });
    removed.collect()
}

fn alarms(observed: &Observed) -> impl Iterator<Item = ConditionStatus> {
    observed.alarms.iter().map(|raised| {
        let replica = raised.replica.clone();
        match raised.alarm {
            Alarm::NoSpace => ConditionStatus {
                kind: "etcd-alarm-nospace",
                message: "etcd raised the alarm NOSPACE: its database has reached its quota, and writes are refused"
                    .to_owned(),
                fix: vec![
                    "free space: etcdctl compact, then etcdctl defrag on each member".to_owned(),
                    "etcdctl alarm disarm".to_owned(),
                ],
                replica,
            },
            Alarm::Corrupt => ConditionStatus {
                kind: "etcd-alarm-corrupt",
                message: "etcd raised the alarm CORRUPT: its members' data differs, and everything is refused"
                    .to_owned(),
                fix: compare(&replica, &["etcdctl alarm disarm", "hakube repair"]),
                replica,
            },
        }
    })
}

/// etcd compares members with its leader only, and the leader may be the one that is wrong.
fn compare(replica: &str, then: &[&str]) -> Vec<String> {
    let look =
        "see whose data differs from that of most: etcdctl endpoint hashkv --cluster".to_owned();
    let remove = format!("if it is {replica}'s: etcdctl member remove, with its id; then");
    let then = then.iter().map(|&command| command.to_owned());
    [look, remove].into_iter().chain(then).collect()
}
