//! Starts machines that are off while etcd is unreachable, before anything else is decided.
//!
//! After a power cut all machines are off, so the cluster's state is unknown. Starting them is safe: each
//! member returns as it was, or not at all. Their programs start by themselves. A machine that hasn't joined yet stays
//! without them, which can't be seen while it is off.

use super::id::Verb;
use super::replicas::machine_spec;
use super::step::{Action, Draft, Plan};
use hakube_model::{EtcdView, Intent, Observed};
use hakube_provider::MachineState;

/// The plan that starts stopped replicas; `None` if there are none, or if etcd is reachable.
pub(super) fn plan(intent: &Intent, observed: &Observed) -> Option<Plan> {
    if !intent.formed || !matches!(observed.etcd, EtcdView::Unknown { .. }) {
        return None;
    }
    let inventory = &observed.inventory;
    let off = intent.replicas.iter().filter(|replica| {
        let machine = inventory.machine(&replica.name);
        machine.is_some_and(|machine| machine.state != MachineState::Running)
    });
    let mut draft = Draft::new(observed.etcd.quorum());
    let mut replicas = Vec::new();
    let mut started = Vec::new();
    for replica in off {
        let name = &replica.name;
        let machine = replica.machine_ref();
        let mut last = draft.add(
            Verb::Machine.of(name),
            format!("start machine {name} in {}", replica.zone),
            Action::EnsureMachine(machine_spec(intent, replica)),
            &[],
        );
        // Certificates are for the endpoint's address, and may have expired while the machine was off.
        if inventory.address.is_some() || intent.spec.endpoint_at(None).is_some() {
            last = draft.add(
                Verb::Secrets.of(name),
                format!("deliver certificates and keys to {name}"),
                Action::DeliverSecrets(machine.clone()),
                &[last],
            );
        }
        replicas.push(machine);
        started.push(last);
    }
    if replicas.is_empty() {
        return None;
    }
    draft.add(
        Verb::AwaitEtcd,
        "wait until etcd and the API respond again",
        Action::AwaitServing { replicas },
        &started,
    );
    Some(draft.finish())
}
