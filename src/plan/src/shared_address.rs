//! The endpoint's address when the replicas hold it themselves: each has an arrangement of who shares it.
//!
//! No two replicas may hold it alone, and none may share it without the others knowing. So replicas that share it learn
//! of a new one before that one starts, and a leaving one releases it first.

use super::answer::{Answer, await_answer};
use super::id::{StepId, Verb};
use super::step::{Action, Draft};
use hakube_model::{Arrangement, HoldView, Intent, Observed, ReplicaIntent, Sharer};
use std::net::IpAddr;

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Answer {
    // A replica that can't be observed may hold the address, and can't be updated. No arrangement changes until it can.
    if observed.hidden_zone(intent).is_some() {
        return await_answer(observed, draft);
    }
    let leaving = release(intent, observed, draft);
    // A leaving replica that is unreachable may still hold the address, so the others share it with that one until its
    // machine is deleted. A later plan updates them, and waits for the endpoint.
    match leaving {
        Leaving::Stuck => Answer::Open,
        Leaving::LetGo => {
            share(intent, observed, draft);
            await_answer(observed, draft)
        }
    }
}

/// The state of replicas that aren't in the intent.
#[derive(PartialEq, Eq)]
enum Leaving {
    /// All of them hold nothing, or will after this plan.
    LetGo,
    /// One of them is unreachable.
    Stuck,
}

fn release(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Leaving {
    let mut leaving = Leaving::LetGo;
    // A machine that isn't running holds nothing, and isn't observed.
    let unwanted = observed
        .holds
        .iter()
        .filter(|(name, _)| intent.replica(name).is_none());
    for (name, view) in unwanted {
        match (view, observed.inventory.machine(name)) {
            (HoldView::Nothing, _) | (_, None) => {}
            (HoldView::Unknown { .. }, _) => leaving = Leaving::Stuck,
            (HoldView::Shares(_) | HoldView::Altered, Some(machine)) => {
                let mut needs = draft.all(Verb::ControlPlane);
                needs.push(Verb::Drain.into());
                needs.extend(reach_successors(intent, observed, draft));
                draft.add(
                    Verb::ReleaseAddress.of(name),
                    format!("move the endpoint's address away from {name}"),
                    Action::ReleaseAddress(machine.machine_ref()),
                    &needs,
                );
            }
        }
    }
    leaving
}

/// If none of the replicas that stay could be asked about the address, it is released only once one of them responds
/// again. Otherwise clients could be left without it until the next run.
fn reach_successors(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Vec<StepId> {
    let is_silent = |replica: &&ReplicaIntent| {
        let view = observed.holds.get(&replica.name);
        matches!(view, Some(HoldView::Unknown { .. }))
    };
    if !intent.replicas.iter().all(|replica| is_silent(&replica)) {
        return Vec::new();
    }
    let mut steps = Vec::new();
    for replica in &intent.replicas {
        let name = &replica.name;
        let step = Verb::Secrets.of(name);
        if !draft.has(&step) {
            draft.add(
                step.clone(),
                format!("deliver certificates and keys to {name}"),
                Action::DeliverSecrets(replica.machine_ref()),
                &draft.all(Verb::Firewall),
            );
        }
        steps.push(step);
    }
    steps
}

fn share(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let target = target(intent, observed);
    let view = |replica: &ReplicaIntent| observed.holds.get(&replica.name);
    let agrees = |replica: &ReplicaIntent| match (view(replica), &target) {
        (Some(HoldView::Shares(arrangement)), Some(target)) => arrangement == target,
        _ => false,
    };
    // A replica that serves, but is unreachable for a moment, may be fine. It can wait while the endpoint
    // responds, and no other replica changes or leaves. Otherwise it must be updated too, since it must know what
    // the others do.
    let is_silent = |replica: &ReplicaIntent| {
        let unknown = matches!(view(replica), Some(HoldView::Unknown { .. }));
        unknown && observed.api_ready(&replica.name)
    };
    let differ: Vec<&ReplicaIntent> = intent.replicas.iter().filter(|r| !agrees(r)).collect();
    let released = draft.all(Verb::ReleaseAddress);
    if observed.endpoint_ready
        && released.is_empty()
        && differ.iter().all(|replica| is_silent(replica))
    {
        return;
    }
    let part = |replica: &ReplicaIntent| match view(replica) {
        Some(HoldView::Shares(_) | HoldView::Altered) => Part::Known,
        Some(HoldView::Nothing) => Part::New,
        Some(HoldView::Unknown { .. }) | None if may_come_back(observed, &replica.name) => {
            Part::Possible
        }
        Some(HoldView::Unknown { .. }) | None => Part::New,
    };
    let in_part = |wanted: Part| differ.iter().filter(move |replica| part(replica) == wanted);
    let mut needs = draft.all(Verb::ControlPlane);
    needs.push(Verb::ReserveAddress.into());
    needs.extend(released);
    for replica in in_part(Part::Known) {
        add(intent, replica, &needs, draft);
    }
    for replica in in_part(Part::Possible) {
        // In order of age, because a replica updated longer ago knows fewer others.
        needs.extend(draft.all(Verb::ShareAddress));
        add(intent, replica, &needs, draft);
    }
    needs.extend(draft.all(Verb::ShareAddress));
    for replica in in_part(Part::New) {
        add(intent, replica, &needs, draft);
    }
}

/// A replica's share in the address before it is updated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It shares it.
    Known,
    /// It may share it once it runs or is reachable again, according to its last arrangement.
    Possible,
    /// It doesn't share it.
    New,
}

/// A machine keeps its arrangement for as long as it exists, also when its member has lost its data and is a learner
/// again.
fn may_come_back(observed: &Observed, name: &str) -> bool {
    observed.inventory.machine(name).is_some()
}

/// The desired arrangement, if all addresses are known. A machine that doesn't exist yet has none.
fn target(intent: &Intent, observed: &Observed) -> Option<Arrangement> {
    let inventory = &observed.inventory;
    let sharers: Option<Vec<Sharer>> = intent
        .replicas
        .iter()
        .map(|replica| {
            let address: IpAddr = inventory.machine(&replica.name)?.internal_address?;
            Some(Sharer {
                name: replica.name.clone(),
                address,
            })
        })
        .collect();
    Some(Arrangement {
        address: inventory.address.as_ref()?.address,
        port: intent.spec.api.port,
        sharers: sharers?,
    })
}

fn add(intent: &Intent, replica: &ReplicaIntent, needs: &[StepId], draft: &mut Draft) {
    let name = &replica.name;
    let others: Vec<&str> = intent
        .replicas
        .iter()
        .filter(|other| other.name != *name)
        .map(|other| other.name.as_str())
        .collect();
    let says = if others.is_empty() {
        format!("put the endpoint's address on {name}")
    } else {
        format!(
            "make {name} share the endpoint's address with {}",
            others.join(", ")
        )
    };
    draft.add(
        Verb::ShareAddress.of(name),
        says,
        Action::ShareAddress {
            machine: replica.machine_ref(),
            among: intent
                .replicas
                .iter()
                .map(ReplicaIntent::machine_ref)
                .collect(),
        },
        needs,
    );
}
