//! Path units: start a service when a file appears or changes.

use std::os::unix::fs::MetadataExt;
use std::{rc::Rc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    entry::{Entry, is_down},
    machine::Machine,
};
use crate::{spec::UnitState, unit::PathUnit};

/// The polling interval for files that units create themselves. Four stats a second have no measurable cost.
const LOOK: Duration = Duration::from_millis(250);

/// The least time between two triggers: a service that ends at once and has no start limit must not keep the
/// machine busy.
const BREATH: Duration = Duration::from_millis(10);

/// Waits for the path, starts the unit, waits until that has ended, and repeats. As with systemd, a path
/// that still exists starts the unit again, until the unit's start limit fails both. `start` starts the unit
/// and returns it, if it exists, and whether it started.
pub async fn watch(
    machine: Rc<Machine>,
    entry: Rc<Entry>,
    path: PathUnit,
    stop: CancellationToken,
    start: impl AsyncFn() -> (Option<Rc<Entry>>, bool),
) {
    let mut seen = stamps(&machine, &path);
    let body = async {
        loop {
            let changed = machine.files_changed.notified();
            let is_there = |path: &String| machine.root.locate(path).exists();
            let now = stamps(&machine, &path);
            if now == seen && !path.exists.iter().any(is_there) {
                tokio::select! {
                    () = changed => {}
                    () = sleep(LOOK) => {}
                }
                continue;
            }
            seen = now;
            entry.set_state(UnitState::Running);
            let (triggered, has_started) = start().await;
            let Some(triggered) = triggered else {
                machine
                    .console
                    .say(format!("{}: Failed with result 'resources'.", entry.name));
                return UnitState::Failed;
            };
            triggered.reaches(is_down).await;
            if triggered.start_limit_hit.get() {
                machine.console.say(format!(
                    "{}: Failed with result 'unit-start-limit-hit'.",
                    entry.name
                ));
                return UnitState::Failed;
            }
            entry.set_state(UnitState::Waiting);
            sleep(if has_started { BREATH } else { LOOK }).await;
        }
    };
    let state = tokio::select! {
        state = body => state,
        () = stop.cancelled() => UnitState::Inactive,
    };
    entry.set_state(state);
}

/// Changes when one of the `PathChanged=` files is written or replaced.
fn stamps(machine: &Machine, path: &PathUnit) -> Vec<Option<(u64, i64, i64, u64)>> {
    let stamp = |path: &String| {
        let found = std::fs::metadata(machine.root.locate(path)).ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec(), found.size()))
    };
    path.changed.iter().map(stamp).collect()
}
