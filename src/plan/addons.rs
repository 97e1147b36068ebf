//! Addons: applied when they aren't as they should be, removed when they aren't wanted; and kubelets that want a
//! certificate to serve with.

use super::endpoint::AWAIT;
use super::step::{Action, Draft, Key, key};
use crate::addons;
use crate::cluster::{AddonState, Intent, Observed};

/// The key of the step after which nodes can join.
pub(super) fn before_nodes() -> Key {
    key("addon", addons::RBAC)
}

/// Those whose pods are placed once and stay: on the only node that there is, they would all go with it.
const SPREAD: [&str; 2] = [addons::COREDNS, addons::METRICS_SERVER];

/// Those that nodes need are applied beside them.
pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let wanted = addons::names(&intent.spec);
    let early = wanted.iter().filter(|name| !SPREAD.contains(name));
    apply(intent, observed, early, &[], draft);
    let there = observed.addons.iter().flatten();
    let unwanted = there.filter(|(name, _)| !wanted.contains(&name.as_str()));
    // Without Kubernetes' API server nobody looked.
    for (name, _) in unwanted.filter(|_| addons::is_kubernetes(&intent.spec)) {
        draft.add(
            key("remove-addon", name),
            format!("remove addon {name}"),
            Action::RemoveAddon { name: name.clone() },
            &[AWAIT.to_owned()],
        );
    }
    let (approved, total) = (observed.serving.iter(), observed.serving.len());
    let approved = approved.filter(|asked| asked.refused.is_none()).count();
    if total > 0 && approved > 0 {
        draft.add(
            "approve-serving",
            match approved {
                1 => "approve the certificate that a kubelet serves with".to_owned(),
                count => format!("approve the certificates that {count} kubelets serve with"),
            },
            Action::ApproveServing,
            &[AWAIT.to_owned()],
        );
    }
}

/// Those whose pods should be spread are applied when the nodes are there.
pub(super) fn after_nodes(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let wanted = addons::names(&intent.spec);
    let late = wanted.iter().filter(|name| SPREAD.contains(name));
    let nodes = draft.keys("await-nodes");
    apply(intent, observed, late, &nodes, draft);
}

fn apply<'a>(
    intent: &Intent,
    observed: &Observed,
    names: impl Iterator<Item = &'a &'a str>,
    needs: &[Key],
    draft: &mut Draft,
) {
    for name in names {
        let says = match state(observed, name) {
            // The API server couldn't be asked. What is as it should be is left as it is.
            None if intent.formed => format!("make sure of addon {name}"),
            None => format!("apply addon {name}"),
            Some(AddonState::Missing) => format!("apply addon {name}"),
            Some(AddonState::Differs { what }) => {
                format!("apply addon {name} again: {}", summary(what))
            }
            Some(AddonState::NotReady { .. } | AddonState::Ready | AddonState::Unknown { .. }) => {
                continue;
            }
        };
        let action = Action::ApplyAddon {
            name: (*name).to_owned(),
        };
        let mut needs = needs.to_vec();
        needs.push(AWAIT.to_owned());
        draft.add(key("addon", name), says, action, &needs);
    }
}

/// Where pods run, they are waited for when they were applied: after the nodes that they run on. One that runs no more
/// later is the status' to tell, and stops nothing else.
pub(super) fn await_ready(intent: &Intent, draft: &mut Draft) {
    if !intent.runs_pods() {
        return;
    }
    let nodes = draft.keys("await-");
    for name in addons::names(&intent.spec) {
        let applied = key("addon", name);
        if !draft.has(&applied) || name == addons::RBAC {
            continue;
        }
        let mut needs = nodes.clone();
        needs.push(applied);
        let action = Action::AwaitAddon {
            name: name.to_owned(),
        };
        let says = format!("wait until addon {name} is ready");
        draft.add(key("ready-addon", name), says, action, &needs);
    }
}

fn state<'a>(observed: &'a Observed, name: &str) -> Option<&'a AddonState> {
    observed.addons.as_ref()?.get(name)
}

fn summary(what: &[String]) -> String {
    match what {
        [] => "it differs".to_owned(),
        [one] => one.clone(),
        [first, others @ ..] => format!("{first}, and {} more", others.len()),
    }
}
