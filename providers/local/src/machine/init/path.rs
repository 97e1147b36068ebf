//! Path units: a file appears, and a service starts.

use std::{rc::Rc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    entry::{Entry, is_down},
    units::Units,
};
use crate::machine::{UnitState, unit::PathUnit};

/// How often a waiting path unit looks for files that nobody has announced: those that units make.
/// Four stats a second cost nothing that could be measured.
const LOOK: Duration = Duration::from_millis(250);

/// The least time between two triggers, so that a service that ends at once and has no start limit
/// doesn't keep the machine busy with nothing else.
const BREATH: Duration = Duration::from_millis(10);

/// Waits for the path, starts the unit, waits until that has ended, and so on. As with systemd, a path that
/// still exists then starts the unit again, until the unit's start limit fails both.
pub async fn watch(units: Rc<Units>, entry: Rc<Entry>, path: PathUnit, stop: CancellationToken) {
    let body = async {
        loop {
            let changed = units.machine.files_changed.notified();
            if !path
                .exists
                .iter()
                .any(|path| units.machine.root.locate(path).exists())
            {
                tokio::select! {
                    () = changed => {}
                    () = sleep(LOOK) => {}
                }
                continue;
            }
            entry.set_state(UnitState::Running);
            let started = units.start(std::slice::from_ref(&path.unit)).await;
            let Some(triggered) = units.get(&path.unit) else {
                units
                    .machine
                    .console
                    .say(format!("{}: Failed with result 'resources'.", entry.name));
                return UnitState::Failed;
            };
            triggered.reaches(is_down).await;
            if triggered.start_limit_hit.get() {
                units.machine.console.say(format!(
                    "{}: Failed with result 'unit-start-limit-hit'.",
                    entry.name
                ));
                return UnitState::Failed;
            }
            entry.set_state(UnitState::Waiting);
            let failed = started.iter().any(Result::is_err);
            sleep(if failed { LOOK } else { BREATH }).await;
        }
    };
    let state = tokio::select! {
        state = body => state,
        () = stop.cancelled() => UnitState::Inactive,
    };
    entry.set_state(state);
}
