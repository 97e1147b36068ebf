//! Addons, applied when they differ and removed when they aren't wanted; and approval of kubelets' serving
//! certificates.

use super::id::{StepId, Verb};
use super::step::{Action, Draft};
use hakube_addons as addons;
use hakube_model::{AddonState, Intent, Observed};

/// The key of the step after which nodes can join.
pub(super) fn before_nodes() -> StepId {
    Verb::ApplyAddon.of(addons::RBAC)
}

/// Addons whose pods stay where they are first placed. On a single node, they would all be lost with it.
const SPREAD: [&str; 2] = [addons::COREDNS, addons::METRICS_SERVER];

/// Addons that nodes need are applied along with them.
pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let wanted = addons::names(&intent.spec);
    let early = wanted.iter().filter(|name| !SPREAD.contains(name));
    apply(intent, observed, early, &[], draft);
    let existing = observed.addons.iter().flatten();
    let unwanted = existing.filter(|(name, _)| !wanted.contains(&name.as_str()));
    // A stand-in has no addons. DNS caches are removed last, when no pod queries them any more.
    for (name, _) in unwanted
        .filter(|(name, _)| *name != addons::NODE_LOCAL_DNS && addons::is_kubernetes(&intent.spec))
    {
        remove(name, &[], draft);
    }
    let (approved, total) = (observed.serving.iter(), observed.serving.len());
    let approved = approved.filter(|asked| asked.refused.is_none()).count();
    if total > 0 && approved > 0 {
        draft.add(
            Verb::ApproveServing,
            match approved {
                1 => "approve a kubelet's serving certificate".to_owned(),
                count => format!("approve the serving certificates of {count} kubelets"),
            },
            Action::ApproveServing,
            &[Verb::AwaitEndpoint.into()],
        );
    }
}

/// Addons whose pods should be spread are applied once the nodes exist.
pub(super) fn after_nodes(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let wanted = addons::names(&intent.spec);
    let late = wanted.iter().filter(|name| SPREAD.contains(name));
    let nodes = draft.all(Verb::AwaitNodes);
    if intent.runs_pods() {
        await_one(addons::NODE_LOCAL_DNS, draft);
    }
    for name in late {
        let mut needs = nodes.clone();
        if *name == addons::COREDNS {
            // It points pods at the caches, which must respond by then.
            needs.push(Verb::AwaitAddon.of(addons::NODE_LOCAL_DNS));
        }
        apply(intent, observed, std::iter::once(name), &needs, draft);
    }
    let exists = |name: &str| {
        observed
            .addons
            .as_ref()
            .is_some_and(|all| all.contains_key(name))
    };
    let is_unwanted =
        !wanted.contains(&addons::NODE_LOCAL_DNS) && addons::is_kubernetes(&intent.spec);
    if is_unwanted && exists(addons::NODE_LOCAL_DNS) {
        let unused = Verb::ApplyAddon.of(addons::COREDNS);
        remove(addons::NODE_LOCAL_DNS, &[unused], draft);
    }
}

fn remove(name: &str, needs: &[StepId], draft: &mut Draft) {
    let mut needs = needs.to_vec();
    needs.push(Verb::AwaitEndpoint.into());
    let action = Action::RemoveAddon {
        name: name.to_owned(),
    };
    draft.add(
        Verb::RemoveAddon.of(name),
        format!("remove addon {name}"),
        action,
        &needs,
    );
}

fn apply<'a>(
    intent: &Intent,
    observed: &Observed,
    names: impl Iterator<Item = &'a &'a str>,
    needs: &[StepId],
    draft: &mut Draft,
) {
    for name in names {
        let says = match state(observed, name) {
            // The API server is unreachable. Applying an unchanged addon has no effect.
            None if intent.formed => format!("ensure addon {name}"),
            None => format!("apply addon {name}"),
            Some(AddonState::Missing) => format!("apply addon {name}"),
            Some(AddonState::Differs { what }) => {
                format!("reapply addon {name}: {}", summary(what))
            }
            Some(AddonState::NotReady { .. } | AddonState::Ready | AddonState::Unknown { .. }) => {
                continue;
            }
        };
        let action = Action::ApplyAddon {
            name: (*name).to_owned(),
        };
        let mut needs = needs.to_vec();
        needs.push(Verb::AwaitEndpoint.into());
        // Recreated pods read the cluster's new CA.
        let kubelets = [Verb::FollowAuthorities, Verb::FollowAuthoritiesOnNodes];
        needs.extend(draft.ids(|id| kubelets.contains(&id.verb())));
        draft.add(Verb::ApplyAddon.of(name), says, action, &needs);
    }
}

/// Waits for the pods of addons that were applied, if pods can run. An addon that fails later appears in status, and
/// doesn't block other steps.
pub(super) fn await_ready(intent: &Intent, draft: &mut Draft) {
    if !intent.runs_pods() {
        return;
    }
    for name in addons::names(&intent.spec) {
        if name != addons::RBAC {
            await_one(name, draft);
        }
    }
}

/// Adds one wait for the addon, if it is applied.
fn await_one(name: &str, draft: &mut Draft) {
    let (applied, ready) = (Verb::ApplyAddon.of(name), Verb::AwaitAddon.of(name));
    if !draft.has(&applied) || draft.has(&ready) {
        return;
    }
    let nodes = [
        Verb::AwaitEndpoint,
        Verb::AwaitNodes,
        Verb::AwaitReplicaNodes,
    ];
    let mut needs = draft.ids(|id| nodes.contains(&id.verb()));
    needs.push(applied);
    let action = Action::AwaitAddon {
        name: name.to_owned(),
    };
    let says = format!("wait until addon {name} is ready");
    draft.add(ready, says, action, &needs);
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
