//! The space left in etcd's database and on its disk.

use super::{REPAIR, of_replica};
use hakube_model::{Alarm, ConditionKind, Intent, Observed, Room};
use hakube_output::ConditionStatus;

pub(super) fn conditions(intent: &Intent, observed: &Observed) -> Vec<ConditionStatus> {
    let mut conditions: Vec<ConditionStatus> = nospace(observed).collect();
    let raised = !conditions.is_empty();
    // The alarm implies it.
    if !raised {
        conditions.extend(nearly_full(intent, observed));
    }
    conditions.extend(disks(intent, observed));
    conditions
}

fn nospace(observed: &Observed) -> impl Iterator<Item = ConditionStatus> {
    let alarms = observed.alarms.iter();
    let raised = alarms.filter(|raised| raised.alarm == Alarm::NoSpace);
    raised.map(|raised| {
        let message =
            "etcd raised the alarm NOSPACE: its database has reached its quota, and writes are refused";
        of_replica(
            ConditionKind::EtcdAlarmNospace,
            &raised.replica,
            message.to_owned(),
        )
    })
}

fn nearly_full<'a>(
    intent: &'a Intent,
    observed: &'a Observed,
) -> impl Iterator<Item = ConditionStatus> + 'a {
    let quota = intent.spec.etcd.quota_bytes;
    observed.etcd.members().iter().filter_map(move |member| {
        let database = member.database?;
        let room = database.room(quota);
        if room == Room::Enough {
            return None;
        }
        let message = format!(
            "etcd's database is nearly full: {}; at its quota it refuses writes",
            database.describe(quota)
        );
        let condition = of_replica(ConditionKind::EtcdQuotaNearlyFull, &member.name, message);
        Some(match room {
            Room::Filled => condition.fixed_by(more_room(&member.name)),
            Room::Fragmented | Room::Enough => condition,
        })
    })
}

/// Fixes for a database that is full of current data.
pub(super) fn more_room(replica: &str) -> [String; 2] {
    [
        "delete objects you don't need: kubectl delete; then: hakube repair".to_owned(),
        format!(
            "or give etcd a larger quota, replica by replica: ETCD_QUOTA_BACKEND_BYTES=BYTES hakube replace {replica}"
        ),
    ]
}

fn disks<'a>(
    intent: &'a Intent,
    observed: &'a Observed,
) -> impl Iterator<Item = ConditionStatus> + 'a {
    let nearly_full = observed.disks.iter();
    let nearly_full = nearly_full.filter(|(_, disk)| disk.is_nearly_full());
    nearly_full.map(move |(replica, disk)| {
        let message = format!("the disk of etcd's data is nearly full: {disk}");
        let larger = match intent.spec.is_on_this_host() || intent.spec.hosts.is_some() {
            true => format!("then, if etcd has stopped: {REPAIR}"),
            false => format!("or move the replica to a new disk: hakube replace {replica}"),
        };
        let free = "free space on the disk of /var/lib/etcd".to_owned();
        of_replica(ConditionKind::EtcdDiskNearlyFull, replica, message).fixed_by([free, larger])
    })
}
