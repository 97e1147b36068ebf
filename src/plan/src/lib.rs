//! Plans: a pure function from the observed and the desired state to steps.
//!
//! All decisions are made here: the steps, their targets and their order. Execution makes none.

mod addons;
mod answer;
mod certificates;
mod demand;
mod drain;
mod endpoint;
mod foundation;
mod id;
mod labels;
mod nodes;
mod recreate;
mod removal;
mod replica_nodes;
mod replicas;
mod restore;
mod shared_address;
mod space;
mod step;
mod subject;
mod teardown;
mod trust;
mod upgrade;
mod wake;

#[cfg(test)]
mod tests;

pub use certificates::{RenewRequest, expired, renewal};
pub use id::{StepId, Verb};
pub use nodes::without_machine as nodes_without_machine;
pub use step::{Action, Plan, QuorumChange, Step};
pub use subject::Subject;

use answer::Answer;
use hakube_error::{Error, Result};
use hakube_model::{EtcdView, Intent, MemberRole, Observed, Phase};
use step::Draft;

/// The steps from `observed` to `intent`; empty if they match.
///
/// # Errors
/// Refused: an unknown state blocks it, or a step would take etcd below its quorum.
pub fn plan(intent: &Intent, observed: &Observed) -> Result<Plan> {
    if intent.phase == Phase::Absent {
        return Ok(teardown::plan(intent, observed));
    }
    if let Some(from) = &intent.restoring {
        return restore::plan(intent, from, observed);
    }
    if let Some(renewals) = certificates::expired(intent, observed) {
        return Ok(renewals);
    }
    if let Some(start) = wake::plan(intent, observed) {
        return Ok(start);
    }
    check_known(intent, observed)?;
    if let Some(address) = foundation::lost_address(intent, observed) {
        return Ok(address);
    }
    if let Some(renewals) = certificates::for_another_address(intent, observed) {
        return Ok(renewals);
    }
    let mut draft = Draft::new(observed.etcd.quorum());
    let freed = space::plan(intent, observed, &mut draft);
    let freeing = draft.ids(|_| true);
    foundation::plan(intent, observed, &mut draft);
    removal::failed_members(intent, observed, &mut draft);
    replicas::plan(intent, observed, &mut draft);
    drain::plan(intent, observed, &mut draft);
    let answer = endpoint::plan(intent, observed, &mut draft);
    removal::replicas(intent, observed, &mut draft);
    trust::plan(intent, observed, &mut draft);
    upgrade::plan(intent, observed, &mut draft);
    // Nodes can't join without an endpoint.
    if answer == Answer::Promised {
        addons::plan(intent, observed, &mut draft);
        nodes::plan(intent, observed, &mut draft);
        replica_nodes::plan(intent, observed, &mut draft);
        labels::plan(intent, observed, &mut draft);
        addons::after_nodes(intent, observed, &mut draft);
        addons::await_ready(intent, &mut draft);
    }
    certificates::plan(intent, observed, &mut draft);
    check_unknown_members(intent, observed, &draft)?;
    check_hidden(intent, observed, &draft)?;
    check_quorum(intent, observed, &draft)?;
    if let Some(freed) = freed {
        draft.goes_first(&freeing, &freed);
    }
    Ok(draft.finish())
}

/// Checks that etcd is reachable if it holds data. It is never assumed to be gone.
fn check_known(intent: &Intent, observed: &Observed) -> Result<()> {
    let cluster = &intent.spec.cluster;
    match &observed.etcd {
        EtcdView::Unknown { .. } if intent.formed && has_losses(observed) => Err(lost(
            observed,
            format!("etcd of cluster {cluster} has no quorum, so hakube changes nothing"),
        )),
        EtcdView::Unknown { why } if intent.formed => Err(unreachable(
            intent,
            observed,
            Error::refused(format!(
                "could not list the etcd members of cluster {cluster}, so hakube changes nothing"
            ))
            .because(why),
        )),
        EtcdView::Absent if intent.formed => Err(lost(
            observed,
            format!(
                "the machines of all replicas of cluster {cluster} are missing, and etcd's data with them"
            ),
        )
        .because("hakube doesn't create a new, empty etcd in its place")),
        _ if !intent.formed => match intent.replicas.first() {
            // Only the machine shows whether etcd has been formed already.
            Some(first) if observed.is_hidden(intent, &first.name) => {
                let (place, why) = observed.hidden_zone(intent).unwrap_or_default();
                Err(Error::refused(format!("{place} is unreachable")).because(why))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Adds the unreachable hosts, which only the operator can switch on.
fn unreachable(intent: &Intent, observed: &Observed, mut error: Error) -> Error {
    let hosts = observed.inventory.unreachable_machines.iter();
    let replicas = hosts.filter(|(name, _)| intent.replica(name).is_some());
    for (name, why) in replicas {
        error = error
            .because(format!("{name} is unreachable: {why}"))
            .hint(format!(
                "switch {name} on, or restore the network to it; then: hakube repair"
            ));
    }
    error.hint("check which machines are running: hakube status")
}

fn has_losses(observed: &Observed) -> bool {
    observed.data.values().any(|data| data.kind.is_loss())
}

/// The error for a lost quorum, with the lost data and the operator's options.
fn lost(observed: &Observed, message: String) -> Error {
    let mut error = Error::refused(message);
    for (name, data) in &observed.data {
        error = error.because(format!("{name}: {}", data.why));
    }
    if has_losses(observed) {
        error = error.hint(
            "if a disk isn't mounted or attached, restore it: etcd then starts automatically",
        );
    }
    error
        .hint("to restore etcd from a backup: hakube backup list, then hakube restore NAME")
        .hint("if a member still runs, back up its data first: hakube backup save --from REPLICA")
        .hint("to start over with an empty cluster: hakube down, then hakube up")
}

/// Checks that no member changes while etcd has an unknown member. Its vote counts, and its purpose isn't known. hakube
/// never removes it.
fn check_unknown_members(intent: &Intent, observed: &Observed, draft: &Draft) -> Result<()> {
    let Some(unknown) = observed.strangers(intent).next() else {
        return Ok(());
    };
    let why = match unknown.role {
        MemberRole::Learner => {
            "it isn't on a machine of the cluster, and etcd allows one learner at a time"
        }
        MemberRole::Leader | MemberRole::Voter => {
            "it isn't on a machine of the cluster, and its vote counts"
        }
    };
    match draft.member_changes().next() {
        None => Ok(()),
        Some((step, _)) => Err(Error::refused(format!(
            "can't {}: etcd has the member {}, which hakube didn't create",
            step.says, unknown.name
        ))
        .because(why)
        .hint(format!(
            "if it isn't needed: etcdctl member remove {:x}; then run this again",
            unknown.id
        ))),
    }
}

/// Checks that no step relies on all replicas, or reduces their number, while one can't be observed.
fn check_hidden(intent: &Intent, observed: &Observed, draft: &Draft) -> Result<()> {
    let Some((place, why)) = observed.hidden_zone(intent) else {
        return Ok(());
    };
    let lowers = |step: &Step, change: QuorumChange| match step.action {
        Action::JoinEtcd(_) | Action::PromoteMember(_) => true,
        _ => change.after.healthy < change.before.healthy,
    };
    match draft
        .member_changes()
        .find(|(step, change)| lowers(step, *change))
    {
        None => Ok(()),
        Some((step, _)) => Err(Error::refused(format!(
            "can't {} while {place} is unreachable",
            step.says
        ))
        .because(why)
        .hint("make it reachable again; then run this again")),
    }
}

/// Invariant 1: no step takes healthy voters below quorum.
fn check_quorum(intent: &Intent, observed: &Observed, draft: &Draft) -> Result<()> {
    let now = observed.etcd.quorum();
    for (step, change) in draft.member_changes() {
        if intent.formed && !draft.with_recovered(now).holds() {
            let message = format!("etcd has no quorum, so hakube can't {}", step.says);
            if has_losses(observed) {
                return Err(lost(observed, message).because(format!("now: {now}")));
            }
            return Err(Error::refused(message)
                .because(format!("now: {now}"))
                .hint("bring a dead replica's machine back first; hakube never forces a new etcd cluster over existing data"));
        }
        if change.before.holds() && !change.after.holds() {
            return Err(
                Error::refused(format!("{} would cost etcd its quorum", step.says)).because(
                    format!("before: {}; after: {}", change.before, change.after),
                ),
            );
        }
    }
    Ok(())
}
