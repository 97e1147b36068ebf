//! The endpoint's address where the replicas hold it themselves: each is told who shares it.
//!
//! No two may ever have it to themselves, and none may take part that another doesn't know of. So on the way up,
//! those that share it learn of the newcomer before it begins; on the way down, the one that leaves lets go first.

use super::drain::DRAIN;
use super::endpoint::{Answer, await_answer};
use super::step::{Action, Draft, Key, key};
use crate::cluster::{Arrangement, HoldView, Intent, MemberRole, Observed, ReplicaIntent, Sharer};
use hakube_provider::MachineRef;
use std::net::IpAddr;

const SHARE: &str = "share-address";
const RELEASE: &str = "release-address";

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Answer {
    // One that can't be seen may have the address, and knows of no change: until it can, nobody is told any.
    if observed.hidden_zone(intent).is_some() {
        return await_answer(observed, draft);
    }
    let leaving = release(intent, observed, draft);
    // One that leaves and can't be told may hold the address still. The others share it with that one until its
    // machine is gone: they take the address then, and are told after.
    // That is another plan's, and so is the wait for an answer.
    match leaving {
        Leaving::Stuck => Answer::Open,
        Leaving::LetGo => {
            share(intent, observed, draft);
            await_answer(observed, draft)
        }
    }
}

/// The keys of the steps that may move the address, or change who may take it.
pub(super) fn moves(draft: &Draft) -> Vec<Key> {
    let mut moves = draft.keys(&format!("{RELEASE}/"));
    moves.extend(draft.keys(&format!("{SHARE}/")));
    moves
}

/// What is known of the replicas that should no longer be there.
#[derive(PartialEq, Eq)]
enum Leaving {
    /// All of them hold nothing, or will when they have been told.
    LetGo,
    /// One of them can't be told.
    Stuck,
}

fn release(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Leaving {
    let mut leaving = Leaving::LetGo;
    // A machine that doesn't run holds nothing, and isn't among these.
    let unwanted = observed
        .holds
        .iter()
        .filter(|(name, _)| intent.replica(name).is_none());
    for (name, view) in unwanted {
        match (view, observed.inventory.machine(name)) {
            (HoldView::Nothing, _) | (_, None) => {}
            (HoldView::Unknown { .. }, _) => leaving = Leaving::Stuck,
            (HoldView::Shares(_) | HoldView::Altered, Some(machine)) => {
                let mut needs = draft.keys("control-plane/");
                needs.push(DRAIN.to_owned());
                draft.add(
                    key(RELEASE, name),
                    format!("move the endpoint's address away from {name}"),
                    Action::ReleaseAddress(MachineRef {
                        name: name.clone(),
                        zone: machine.zone.clone(),
                    }),
                    &needs,
                );
            }
        }
    }
    leaving
}

fn share(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let target = target(intent, observed);
    let view = |replica: &ReplicaIntent| observed.holds.get(&replica.name);
    let agrees = |replica: &ReplicaIntent| match (view(replica), &target) {
        (Some(HoldView::Shares(arrangement)), Some(target)) => arrangement == target,
        _ => false,
    };
    // One that serves and can't be asked may hold it as it should. It is in nobody's way while clients get an
    // answer and nobody else is to be told anything; else it must be told too, or the others would begin what it doesn't know of.
    let is_silent = |replica: &ReplicaIntent| {
        let unknown = matches!(view(replica), Some(HoldView::Unknown { .. }));
        unknown && observed.api_ready(&replica.name)
    };
    let differ: Vec<&ReplicaIntent> = intent.replicas.iter().filter(|r| !agrees(r)).collect();
    if observed.endpoint_ready && differ.iter().all(|replica| is_silent(replica)) {
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
    let mut needs = draft.keys("control-plane/");
    needs.push("reserve-address".to_owned());
    needs.extend(draft.keys(&format!("{RELEASE}/")));
    for replica in in_part(Part::Known) {
        add(intent, replica, &needs, draft);
    }
    for replica in in_part(Part::Possible) {
        // Oldest first: who was told longest ago knows the fewest.
        needs.extend(draft.keys(&format!("{SHARE}/")));
        add(intent, replica, &needs, draft);
    }
    needs.extend(draft.keys(&format!("{SHARE}/")));
    for replica in in_part(Part::New) {
        add(intent, replica, &needs, draft);
    }
}

/// What part a replica has in the address before it is told anew.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It shares it.
    Known,
    /// It may share it when it runs again or can be asked, as it was told when it last was.
    Possible,
    /// None.
    New,
}

/// Only replicas that vote are ever told to share the address, and what they were told is gone only with their
/// machine.
fn may_come_back(observed: &Observed, name: &str) -> bool {
    let member = observed.etcd.member(name);
    let votes = member.is_some_and(|member| member.role != MemberRole::Learner);
    votes && observed.inventory.machine(name).is_some()
}

/// How the address should be shared, as far as all addresses are known: a machine that isn't made yet has none.
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

fn add(intent: &Intent, replica: &ReplicaIntent, needs: &[Key], draft: &mut Draft) {
    let name = &replica.name;
    let machine_ref = |replica: &ReplicaIntent| MachineRef {
        name: replica.name.clone(),
        zone: replica.zone.clone(),
    };
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
            "let {name} share the endpoint's address with {}",
            others.join(", ")
        )
    };
    draft.add(
        key(SHARE, name),
        says,
        Action::ShareAddress {
            machine: machine_ref(replica),
            among: intent.replicas.iter().map(machine_ref).collect(),
        },
        needs,
    );
}
