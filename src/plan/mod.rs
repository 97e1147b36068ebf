//! From what is there to what is wanted: a pure function, and the plan that it makes.
//!
//! All choices are made here: which step, on what, after which other. Running makes none.

mod addons;
mod certificates;
mod demand;
mod drain;
mod endpoint;
mod foundation;
mod labels;
mod nodes;
mod removal;
mod replica_nodes;
mod replicas;
mod shared_address;
mod step;
mod subject;
mod teardown;

#[cfg(test)]
mod tests;

pub use certificates::{RenewRequest, expired, renewal};
pub use step::{Action, Plan, QuorumChange, Step};
pub use subject::Subject;

use crate::cluster::{EtcdView, Intent, MemberRole, Observed, Phase};
use crate::error::{Error, Result};
use endpoint::Answer;
use step::Draft;

/// The steps from `observed` to `intent`; none when there is nothing to do.
///
/// # Errors
/// Refused when what is unknown blocks it, or when a step would take etcd below its quorum.
pub fn plan(intent: &Intent, observed: &Observed) -> Result<Plan> {
    if intent.phase == Phase::Absent {
        return Ok(teardown::plan(intent, observed));
    }
    if let Some(renewals) = certificates::expired(intent, observed) {
        return Ok(renewals);
    }
    check_known(intent, observed)?;
    let mut draft = Draft::new(observed.etcd.quorum());
    foundation::plan(intent, observed, &mut draft);
    removal::burdens(intent, observed, &mut draft);
    replicas::plan(intent, observed, &mut draft);
    drain::plan(intent, observed, &mut draft);
    let answer = endpoint::plan(intent, observed, &mut draft);
    removal::replicas(intent, observed, &mut draft);
    // Without an endpoint there is nobody to admit them.
    if answer == Answer::Promised {
        addons::plan(intent, observed, &mut draft);
        nodes::plan(intent, observed, &mut draft);
        replica_nodes::plan(intent, observed, &mut draft);
        labels::plan(intent, observed, &mut draft);
        addons::after_nodes(intent, observed, &mut draft);
        addons::await_ready(intent, &mut draft);
    }
    certificates::plan(intent, observed, &mut draft);
    check_strangers(intent, observed, &draft)?;
    check_hidden(intent, observed, &draft)?;
    check_quorum(intent, observed, &draft)?;
    Ok(draft.finish())
}

/// An etcd that holds data and can't be asked is never assumed to be gone.
fn check_known(intent: &Intent, observed: &Observed) -> Result<()> {
    let cluster = &intent.spec.cluster;
    match &observed.etcd {
        EtcdView::Unknown { .. } if intent.formed && has_losses(observed) => Err(lost(
            observed,
            format!("etcd of cluster {cluster} has no quorum, so nothing is changed"),
        )),
        EtcdView::Unknown { why } if intent.formed => Err(Error::refused(format!(
            "could not ask etcd of cluster {cluster} for its members, so nothing is changed"
        ))
        .because(why)
        .hint("see which machines run: hakube status")),
        EtcdView::Absent if intent.formed => Err(lost(
            observed,
            format!(
                "every replica's machine of cluster {cluster} is gone, and etcd's data with them"
            ),
        )
        .because("a new etcd would be an empty one, so none is made")),
        _ if !intent.formed => match intent.replicas.first() {
            // Whether it has formed etcd already shows there only.
            Some(first) if observed.is_hidden(intent, &first.name) => {
                let why = observed.inventory.unreachable.get(&first.zone);
                Err(Error::refused(format!("could not ask zone {}", first.zone))
                    .because(why.cloned().unwrap_or_default()))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn has_losses(observed: &Observed) -> bool {
    observed.data.values().any(|data| data.kind.is_loss())
}

/// No quorum, and data without which there is none. The ways back are the operator's to choose.
fn lost(observed: &Observed, message: String) -> Error {
    let mut error = Error::refused(message);
    for (name, data) in &observed.data {
        error = error.because(format!("{name}: {}", data.why));
    }
    if has_losses(observed) {
        error = error
            .hint("if a disk isn't mounted or attached, put it back: etcd then starts by itself");
    }
    error
        .hint("to restore etcd from a snapshot: docs/reliability.md, \"Restoring etcd\"")
        .hint("to give the cluster up: hakube down, then hakube up")
}

/// A member that hakube didn't make is never removed, and none is added or removed beside it: its vote
/// counts, and what it is for isn't known.
fn check_strangers(intent: &Intent, observed: &Observed, draft: &Draft) -> Result<()> {
    let Some(stranger) = observed.strangers(intent).next() else {
        return Ok(());
    };
    let why = match stranger.role {
        MemberRole::Learner => {
            "it is on no machine of the cluster, and etcd takes one learner at a time"
        }
        MemberRole::Leader | MemberRole::Voter => {
            "it is on no machine of the cluster, and its vote counts"
        }
    };
    match draft.member_changes().next() {
        None => Ok(()),
        Some((step, _)) => Err(Error::refused(format!(
            "can't {}: etcd has the member {}, which hakube didn't make",
            step.says, stranger.name
        ))
        .because(why)
        .hint(format!(
            "if nobody needs it: etcdctl member remove {:x}; then run this again",
            stranger.id
        ))),
    }
}

/// While a replica can't be seen, whatever relies on all others, or lowers what there is, waits.
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
            "can't {} while {place} can't be asked: what is there isn't known",
            step.says
        ))
        .because(why)
        .hint("bring that host back, or the way to it; then run this again")),
    }
}

/// Invariant 1: no step takes healthy voters below quorum.
fn check_quorum(intent: &Intent, observed: &Observed, draft: &Draft) -> Result<()> {
    let now = observed.etcd.quorum();
    for (step, change) in draft.member_changes() {
        if intent.formed && !draft.with_recovered(now).holds() {
            let message = format!("etcd has no quorum, so nobody can {}", step.says);
            if has_losses(observed) {
                return Err(lost(observed, message).because(format!("now: {now}")));
            }
            return Err(Error::refused(message)
                .because(format!("now: {now}"))
                .hint("bring a dead replica's machine back first; hakube never forces a new cluster over data"));
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
