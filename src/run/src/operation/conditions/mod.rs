//! The conditions that `status` reports: each with its kind, message and fix.

mod endpoint;
mod etcd;
mod expiry;
mod machines;
mod space;
mod versions;

#[cfg(test)]
mod tests;

use crate::Stored;
use hakube_error::Error;
use hakube_model::{ConditionKind, Observed};
use hakube_output::ConditionStatus;

/// Fixes most conditions.
const REPAIR: &str = "hakube repair";

/// The cluster's conditions. While an operation runs, those that it may cause itself are left out.
pub(super) fn conditions(
    stored: &Stored,
    observed: &Observed,
    running: bool,
) -> Vec<ConditionStatus> {
    let intent = &stored.intent;
    let is_quiet = !running && stored.unfinished.is_none();
    let mut conditions = etcd::data(intent, observed);
    if is_quiet {
        conditions.extend(etcd::removed(intent, observed));
        conditions.extend(etcd::surplus(intent, observed));
    }
    conditions.extend(etcd::unknown(intent, observed));
    conditions.extend(etcd::corrupt(observed));
    conditions.extend(space::conditions(intent, observed));
    if is_quiet {
        conditions.extend(machines::replicas(intent, observed));
        conditions.extend(machines::nodes(intent, observed));
        conditions.extend(endpoint::conditions(intent, observed));
    }
    conditions.extend(versions::conditions(intent, observed));
    conditions.extend(expiry::conditions(observed));
    conditions
}

/// The stored intent isn't the cluster's newest one, so no command may act on it.
pub(super) fn not_believed(why: &Error) -> ConditionStatus {
    ConditionStatus {
        fix: why.hints.clone(),
        ..about(
            ConditionKind::IntentNotBelieved,
            "intent",
            why.message.clone(),
        )
    }
}

fn of_replica(kind: ConditionKind, replica: &str, message: String) -> ConditionStatus {
    ConditionStatus {
        replica: Some(replica.to_owned()),
        ..about(kind, replica, message)
    }
}

/// A condition of anything else.
fn about(kind: ConditionKind, about: &str, message: String) -> ConditionStatus {
    ConditionStatus {
        kind,
        about: about.to_owned(),
        replica: None,
        message,
        fix: vec![REPAIR.to_owned()],
    }
}
