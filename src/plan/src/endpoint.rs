//! The endpoint's address: on the only replica's machine, or on a balancer for several. (Where no provider assigns it:
//! see `shared_address`.)
//!
//! Promote: the balancer is complete before the address moves to it. The move itself only needs a ready API server on
//! the new replica. Demote is the reverse.

use super::answer::{Answer, await_answer};
use super::id::{StepId, Verb};
use super::replicas::is_born_with_endpoint;
use super::shared_address;
use super::step::{Action, Draft};
use hakube_model::{ClusterSpec, Endpoint, Intent, Observed, ReplicaIntent};
use hakube_provider::{
    BackendGroup, BalancerSpec, EndpointSpec, EndpointTarget, ExternalAddress, MachineRef,
    MachineState, ResourceId, ResourceKind, Scope,
};

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Answer {
    match intent.spec.endpoint {
        Endpoint::Provider if intent.is_balanced() => promote(intent, observed, draft),
        Endpoint::Provider => demote(intent, observed, draft),
        Endpoint::Machines => shared_address::plan(intent, observed, draft),
        Endpoint::External(_) => await_answer(observed, draft),
    }
}

fn promote(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Answer {
    let balancer = &observed.inventory.balancer;
    let wanted: Vec<MachineRef> = intent
        .replicas
        .iter()
        .map(ReplicaIntent::machine_ref)
        .collect();
    let mut have = balancer.machines();
    have.sort_unstable();
    let mut want: Vec<&str> = wanted.iter().map(|machine| machine.name.as_str()).collect();
    want.sort_unstable();
    // If the balancer already holds the address, a new backend must be ready first. Otherwise, the balancer is created
    // while the machines still boot.
    let live = balancer.forwarding.is_some();
    // A leftover of a replica that couldn't be created.
    let is_idle = |group: &BackendGroup| wanted.iter().all(|machine| machine.zone != group.zone);
    let idle = balancer.groups.iter().any(is_idle);
    if have != want || idle || !balancer.health_check {
        let mut needs = draft.all(if live {
            Verb::ControlPlane
        } else {
            Verb::Machine
        });
        needs.push(Verb::Drain.into());
        draft.add(
            Verb::Balancer,
            format!("put {} behind the load balancer", want.join(", ")),
            Action::EnsureBalancer(balancer_spec(&intent.spec, wanted)),
            &needs,
        );
    }
    if !live {
        let mut needs = draft.all(Verb::ControlPlane);
        needs.extend([Verb::Balancer.into(), Verb::ReserveAddress.into()]);
        draft.add(
            Verb::PointEndpoint,
            "move the endpoint's address to the load balancer",
            Action::PointEndpoint {
                endpoint: endpoint_spec(&intent.spec),
                target: EndpointTarget::Balancer,
            },
            &needs,
        );
    } else {
        restore_external_addresses(intent, observed, draft);
    }
    await_answer(observed, draft)
}

/// The swap can fail after clients are served again, when the machine that held the address is to get another one.
fn restore_external_addresses(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let spec = &intent.spec;
    if spec.external_address() != ExternalAddress::Ephemeral {
        return;
    }
    let is_cut_off = |replica: &&ReplicaIntent| {
        let machine = observed.inventory.machine(&replica.name);
        machine.is_some_and(|machine| {
            machine.state == MachineState::Running && machine.external_address.is_none()
        })
    };
    let mut before = None;
    for replica in intent.replicas.iter().filter(is_cut_off) {
        let step = Verb::ExternalAddress.of(&replica.name);
        // The provider restores all of them in one call.
        draft.add(
            step.clone(),
            format!("give {} an external address again", replica.name),
            Action::RestoreExternalAddress {
                machine: replica.machine_ref(),
                endpoint: endpoint_spec(spec),
            },
            before.as_slice(),
        );
        before = Some(step);
    }
}

fn demote(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Answer {
    let Some(replica) = intent.replicas.first() else {
        return Answer::Open;
    };
    let inventory = &observed.inventory;
    let machine = inventory.machine(&replica.name);
    let holds = match (machine, &inventory.address) {
        (None, _) => is_born_with_endpoint(intent),
        (Some(_), None) => false,
        (Some(machine), Some(address)) => machine.holds(address.address),
    };
    if !holds {
        let mut needs = draft.all(Verb::ControlPlane);
        needs.extend([Verb::ReserveAddress.into(), Verb::Drain.into()]);
        draft.add(
            Verb::PointEndpoint,
            format!("move the endpoint's address to {}", replica.name),
            Action::PointEndpoint {
                endpoint: endpoint_spec(&intent.spec),
                target: EndpointTarget::Machine(replica.machine_ref()),
            },
            &needs,
        );
    }
    let answer = await_answer(observed, draft);
    delete_balancer(intent, observed, &[Verb::PointEndpoint.into()], draft);
    answer
}

/// Deletes the balancer's parts, each before those that it uses.
fn delete_balancer(intent: &Intent, observed: &Observed, after: &[StepId], draft: &mut Draft) {
    let balancer = &observed.inventory.balancer;
    let name = intent.spec.names.balancer();
    let region = Scope::Region(intent.spec.zone.region().to_owned());
    let mut needs = after.to_vec();
    if balancer.backends.is_some() {
        let service = ResourceId {
            kind: ResourceKind::BackendService,
            scope: region.clone(),
            name: name.clone(),
        };
        needs.push(draft.delete(service, after));
    }
    if balancer.health_check {
        let check = ResourceId {
            kind: ResourceKind::HealthCheck,
            scope: region,
            name,
        };
        draft.delete(check, &needs);
    }
    for group in &balancer.groups {
        let group = ResourceId {
            kind: ResourceKind::BackendGroup,
            scope: Scope::Zone(group.zone.clone()),
            name: group.name.clone(),
        };
        draft.delete(group, &needs);
    }
}

fn balancer_spec(spec: &ClusterSpec, backends: Vec<MachineRef>) -> BalancerSpec {
    BalancerSpec {
        cluster: spec.mark(),
        name: spec.names.balancer(),
        network: spec.network.name.clone(),
        reach: spec.reach(),
        port: spec.api.port,
        health_path: "/readyz".to_owned(),
        backends,
    }
}

fn endpoint_spec(spec: &ClusterSpec) -> EndpointSpec {
    EndpointSpec {
        cluster: spec.mark(),
        address: spec.address(),
        reach: spec.reach(),
        rule: spec.names.forwarding_rule(),
        balancer: spec.names.balancer(),
        port: spec.api.port,
        released: spec.external_address(),
    }
}
