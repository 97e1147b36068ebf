//! Where the endpoint's address sits: on the one replica's machine, or on a balancer over several. (Or where
//! no provider puts it: see `shared_address`.)
//!
//! Promote: everything of the balancer that can exist before the swap does; the swap itself needs only
//! that the new replica's API server is ready. Demote is the mirror image.

use super::drain::DRAIN;
use super::replicas::is_born_with_endpoint;
use super::shared_address;
use super::step::{Action, Draft, Key};
use crate::cluster::{ClusterSpec, Endpoint, Intent, Observed};
use hakube_provider::{
    BackendGroup, BalancerSpec, EndpointSpec, EndpointTarget, MachineRef, ResourceId, ResourceKind,
    Scope,
};

const BALANCER: &str = "balancer";
const POINT: &str = "point-endpoint";
/// The key of the step after which clients can rely on the endpoint.
pub(super) const AWAIT: &str = "await-endpoint";

/// Whether clients have an answer while a plan runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It answers all along, or after the step [`AWAIT`].
    Promised,
    /// A later plan sees to it.
    Open,
}

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Answer {
    match intent.spec.endpoint {
        Endpoint::Provider if intent.is_balanced() => promote(intent, observed, draft),
        Endpoint::Provider => demote(intent, observed, draft),
        Endpoint::Machines => shared_address::plan(intent, observed, draft),
        Endpoint::External(_) => await_answer(observed, draft),
    }
}

/// Of every plan that brings the endpoint to answer, this is the proof.
pub(super) fn await_answer(observed: &Observed, draft: &mut Draft) -> Answer {
    let moves = shared_address::moves(draft);
    if draft.has(POINT) || !moves.is_empty() || !observed.endpoint_ready {
        let mut needs = draft.keys("control-plane/");
        needs.extend([BALANCER.to_owned(), POINT.to_owned()]);
        needs.extend(moves);
        draft.add(
            AWAIT,
            "wait until the endpoint answers",
            Action::AwaitEndpoint,
            &needs,
        );
    }
    Answer::Promised
}

fn promote(intent: &Intent, observed: &Observed, draft: &mut Draft) -> Answer {
    let balancer = &observed.inventory.balancer;
    let wanted: Vec<MachineRef> = intent.replicas.iter().map(machine_ref).collect();
    let mut have = balancer.machines();
    have.sort_unstable();
    let mut want: Vec<&str> = wanted.iter().map(|machine| machine.name.as_str()).collect();
    want.sort_unstable();
    // Behind a balancer that already holds the address, a new backend must be ready first. Before
    // that, all of it is made while the machines still boot.
    let live = balancer.forwarding.is_some();
    // Left by a replica that couldn't be made.
    let is_idle = |group: &BackendGroup| wanted.iter().all(|machine| machine.zone != group.zone);
    let idle = balancer.groups.iter().any(is_idle);
    if have != want || idle || !balancer.health_check {
        let mut needs = draft.keys(if live { "control-plane/" } else { "machine/" });
        needs.push(DRAIN.to_owned());
        draft.add(
            BALANCER,
            format!("put {} behind the load balancer", want.join(", ")),
            Action::EnsureBalancer(balancer_spec(&intent.spec, wanted)),
            &needs,
        );
    }
    if !live {
        let mut needs = draft.keys("control-plane/");
        needs.extend([BALANCER.to_owned(), "reserve-address".to_owned()]);
        draft.add(
            POINT,
            "move the endpoint's address to the load balancer",
            Action::PointEndpoint {
                endpoint: endpoint_spec(&intent.spec),
                target: EndpointTarget::Balancer,
            },
            &needs,
        );
    }
    await_answer(observed, draft)
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
        let mut needs = draft.keys("control-plane/");
        needs.extend(["reserve-address".to_owned(), DRAIN.to_owned()]);
        draft.add(
            POINT,
            format!("move the endpoint's address to {}", replica.name),
            Action::PointEndpoint {
                endpoint: endpoint_spec(&intent.spec),
                target: EndpointTarget::Machine(machine_ref(replica)),
            },
            &needs,
        );
    }
    let answer = await_answer(observed, draft);
    delete_balancer(intent, observed, &[POINT.to_owned()], draft);
    answer
}

/// The balancer's parts, in the order in which they let go of each other.
fn delete_balancer(intent: &Intent, observed: &Observed, after: &[Key], draft: &mut Draft) {
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

fn machine_ref(replica: &crate::cluster::ReplicaIntent) -> MachineRef {
    MachineRef {
        name: replica.name.clone(),
        zone: replica.zone.clone(),
    }
}

fn balancer_spec(spec: &ClusterSpec, backends: Vec<MachineRef>) -> BalancerSpec {
    BalancerSpec {
        cluster: spec.cluster.clone(),
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
        cluster: spec.cluster.clone(),
        address: spec.address(),
        reach: spec.reach(),
        rule: spec.names.forwarding_rule(),
        balancer: spec.names.balancer(),
        port: spec.api.port,
        released: spec.external_address(),
    }
}
