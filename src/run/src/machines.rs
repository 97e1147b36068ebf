//! Machines that can respond.

use hakube_provider::{Inventory, Machine, MachineState};

/// The machines that run.
pub(super) fn running(inventory: &Inventory) -> impl Iterator<Item = &Machine> {
    inventory
        .machines
        .iter()
        .filter(|machine| machine.state == MachineState::Running)
}
