//! Restoring etcd's data from a backup: the other members are stopped first, so that there is never a second etcd. Then
//! the first replica starts with the backup's data, and the plan after this one joins the others to it.

use super::id::{StepId, Verb};
use super::step::{Action, Draft, Plan};
use super::{foundation, replicas};
use hakube_error::{Error, Result};
use hakube_model::{Intent, Observed, Restoring};
use hakube_provider::MachineState;

/// The steps up to a first member with the backup's data.
///
/// # Errors
/// Refused: a replica is unreachable, whose etcd might serve the former data.
pub(super) fn plan(intent: &Intent, from: &Restoring, observed: &Observed) -> Result<Plan> {
    check_reachable(from, observed)?;
    let mut draft = Draft::new(observed.etcd.quorum());
    foundation::plan(intent, observed, &mut draft);
    for replica in &intent.replicas {
        replicas::running(intent, observed, replica, &mut draft);
    }
    let Some(first) = intent.replicas.first() else {
        return Ok(draft.finish());
    };
    // If a machine can't be created or started, nothing should have changed.
    let machines: Vec<StepId> = draft.all(Verb::Machine);
    let mut needs = machines.clone();
    // Also of replicas that the intent doesn't have any more.
    let others = observed.inventory.machines.iter();
    for other in others.filter(|other| other.name != first.name) {
        let is_off = matches!(other.state, MachineState::Stopped | MachineState::Stopping);
        if is_off && !draft.has(&Verb::Machine.of(&other.name)) {
            continue;
        }
        needs.push(draft.add(
            Verb::HoldEtcd.of(&other.name),
            format!("stop etcd on {}", other.name),
            Action::HoldEtcd(other.machine_ref()),
            &machines,
        ));
    }
    let mut delivers = draft.all(Verb::Firewall);
    delivers.push(Verb::Machine.of(&first.name));
    needs.push(draft.add(
        Verb::Secrets.of(&first.name),
        format!("deliver certificates and keys to {}", first.name),
        Action::DeliverSecrets(first.machine_ref()),
        &delivers,
    ));
    draft.add(
        Verb::RestoreEtcd.of(&first.name),
        format!("restore backup {} on {}", from.backup, first.name),
        Action::RestoreEtcd {
            machine: first.machine_ref(),
            from: from.clone(),
        },
        &needs,
    );
    Ok(draft.finish())
}

/// Checks that nothing is unreachable. What is may run members of the former etcd, and without an etcd that responds it
/// isn't known where its members are.
fn check_reachable(from: &Restoring, observed: &Observed) -> Result<()> {
    let inventory = &observed.inventory;
    let zones = inventory.unreachable.iter();
    let zones = zones.map(|(zone, why)| (format!("zone {zone}"), why));
    let machines = inventory.unreachable_machines.iter();
    let machines = machines.filter(|(name, _)| !from.without.contains(*name));
    let machines = machines.map(|(name, why)| (format!("host {name}"), why));
    let Some((place, why)) = zones.chain(machines).next() else {
        return Ok(());
    };
    Err(Error::refused(format!(
        "can't restore backup {} while {place} is unreachable",
        from.backup
    ))
    .because(why)
    .because("its etcd may still serve the data from before")
    .hint("make it reachable again; then run this again")
    .hint("if a replica's machine is lost for good: hakube restore NAME --without REPLICA"))
}
