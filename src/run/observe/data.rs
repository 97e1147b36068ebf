//! Why a member doesn't run, as far as its data is the reason: what the gate on its machine says.

use crate::cluster::{DataCondition, EtcdView, Intent};
use crate::machine::{ETCD_CONDITION, EtcdCondition, EtcdConditionKind, JOIN_ENV};
use crate::run::Means;
use futures::future::join_all;
use hakube_provider::{Inventory, Machine, MachineRef, MachineState};
use std::collections::BTreeMap;

/// Of replicas whose member should run and doesn't. A machine that can't be read from tells nothing.
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

/// Whether a member that has started doesn't answer.
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
    let at = MachineRef {
        name: machine.name.clone(),
        zone: machine.zone.clone(),
    };
    let told = means.channel.read(&at, ETCD_CONDITION).await.ok()?;
    let told = told.and_then(|text| EtcdCondition::parse(&String::from_utf8_lossy(&text)));
    if let Some(EtcdCondition { kind, why, .. }) = told {
        return Some(DataCondition { kind, why });
    }
    // Of one among several that nobody can be asked of, it isn't known whether it ever was a member.
    let was_member = matches!(etcd, EtcdView::Known(_)) || intent.replicas.len() == 1;
    let joined = means.channel.read(&at, JOIN_ENV).await.ok()?;
    (was_member && joined.is_none()).then(|| DataCondition {
        kind: EtcdConditionKind::Gone,
        why: "its machine was replaced: it knows of no member".to_owned(),
    })
}
