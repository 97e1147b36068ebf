//! Drains nodes before this plan removes their machines.
//!
//! Draining precedes all other removals. If pods can't leave, the operation stops while the whole cluster still serves.

use super::id::{StepId, Verb};
use super::nodes::changes;
use super::step::{Action, Draft};
use hakube_model::{Intent, NodeView, Observed};
use std::collections::BTreeSet;

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
    // New replicas first: the API must be available until all pods have left.
    let needs: Vec<StepId> = draft.all(Verb::ControlPlane);
    draft.add(
        Verb::Drain,
        match to_drain.as_slice() {
            [one] => format!("drain node {one}"),
            _ => format!("drain nodes {}", to_drain.join(", ")),
        },
        Action::DrainNodes { nodes: to_drain },
        &needs,
    );
}

/// A kubelet that doesn't respond terminates no pods, so draining its node would time out.
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
