//! Members that their data keeps from running, as the gate on each machine reports.

use crate::Means;
use futures::future::join_all;
use hakube_machine::{ETCD_CONDITION, EtcdCondition, JOIN_ENV};
use hakube_model::EtcdConditionKind;
use hakube_model::{DataCondition, EtcdView, Intent};
use hakube_provider::{Inventory, Machine, MachineState};
use std::collections::BTreeMap;

/// The conditions of replicas whose member is down. An unreachable machine has none.
pub(super) async fn conditions(
    intent: &Intent,
    inventory: &Inventory,
    etcd: &EtcdView,
    means: &Means,
) -> BTreeMap<String, DataCondition> {
    if !intent.formed {
        return BTreeMap::new();
    }
    let asked = inventory.machines.iter().filter(|machine| {
        machine.state == MachineState::Running
            && intent.replica(&machine.name).is_some()
            && is_silent(etcd, &machine.name)
    });
    let asked = asked.map(|machine| async {
        let condition = condition(intent, machine, etcd, means).await?;
        Some((machine.name.clone(), condition))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Whether a member that has started doesn't respond.
fn is_silent(etcd: &EtcdView, name: &str) -> bool {
    match etcd {
        EtcdView::Known(_) => etcd
            .member(name)
            .is_some_and(|member| member.started && !member.healthy),
        EtcdView::Unknown { .. } => true,
        EtcdView::Absent => false,
    }
}

async fn condition(
    intent: &Intent,
    machine: &Machine,
    etcd: &EtcdView,
    means: &Means,
) -> Option<DataCondition> {
    let at = machine.machine_ref();
    let report = means.channel.read(&at, ETCD_CONDITION).await.ok()?;
    let report = report.and_then(|text| EtcdCondition::parse(&String::from_utf8_lossy(&text)));
    if let Some(EtcdCondition { kind, why, .. }) = report {
        return Some(DataCondition { kind, why });
    }
    // While etcd is unreachable, one of several replicas may never have been a member.
    let was_member = matches!(etcd, EtcdView::Known(_)) || intent.replicas.len() == 1;
    let joined = means.channel.read(&at, JOIN_ENV).await.ok()?;
    (was_member && joined.is_none()).then(|| DataCondition {
        kind: EtcdConditionKind::Gone,
        why: "its machine was replaced and has no member's data".to_owned(),
    })
}
