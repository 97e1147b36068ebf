//! Nodes whose machines this plan removes: pods leave them first.
//!
//! Nothing else goes before that: pods that can't leave stop the operation while all of the cluster still serves.

use super::nodes::changes;
use super::step::{Action, Draft, Key};
use crate::cluster::{Intent, NodeView, Observed};
use std::collections::BTreeSet;

/// The key of the step after which no pod is on a node that goes.
pub(super) const DRAIN: &str = "drain";

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let mut leaving = leaving_replicas(intent, observed);
    leaving.extend(
        changes(intent, observed)
            .into_iter()
            .flat_map(|change| change.leaving),
    );
    let nodes = observed.nodes.iter().flatten();
    let to_drain: Vec<String> = nodes
        .filter(|node| leaving.contains(&node.name) && can_drain(node))
        .map(|node| node.name.clone())
        .collect();
    if to_drain.is_empty() {
        return;
    }
    // New replicas first: with those that go, the API would go before pods have left.
    let needs: Vec<Key> = draft.keys("control-plane/");
    draft.add(
        DRAIN,
        match to_drain.as_slice() {
            [one] => format!("drain node {one}"),
            _ => format!("drain nodes {}", to_drain.join(", ")),
        },
        Action::DrainNodes { nodes: to_drain },
        &needs,
    );
}

/// A kubelet that doesn't answer ends no pod: draining its node would wait in vain.
fn can_drain(node: &NodeView) -> bool {
    node.ready
}

fn leaving_replicas(intent: &Intent, observed: &Observed) -> BTreeSet<String> {
    let machines = observed.inventory.machines.iter();
    machines
        .map(|machine| machine.name.clone())
        .filter(|name| intent.replica(name).is_none())
        .collect()
}
