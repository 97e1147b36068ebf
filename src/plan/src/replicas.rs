//! The replicas in the intent: machine, secrets, etcd member, API server.

use super::id::{StepId, Verb};
use super::step::{Action, Draft};
use hakube_machine as machine;
use hakube_model::{
    ClusterSpec, Endpoint, Intent, MemberRole, MemberView, Observed, Quorum, ReplicaIntent,
};
use hakube_provider::{
    DiskSpec, ExternalAddress, MachineRef, MachineSpec, MachineState, Reach, ResourceKind,
};
use std::collections::BTreeMap;

/// The provider's type of a replica's boot disk. It has programs and logs, which need no fast disk.
const BOOT_DISK: &str = "pd-standard";

/// The API scopes of a replica's programs: reading images, writing logs and metrics.
const SCOPES: [&str; 3] = ["storage-ro", "logging-write", "monitoring-write"];

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let seen = |replica: &&ReplicaIntent| !observed.is_hidden(intent, &replica.name);
    let mut replicas: Vec<&ReplicaIntent> = intent.replicas.iter().filter(seen).collect();
    // etcd accepts no new member while a voter is down or another learner exists. So voters are repaired first, then a
    // learner is promoted, then others join.
    replicas.sort_by_key(|replica| {
        member_of(intent, observed, replica).map_or(2, |member| u8::from(is_learner(member)))
    });
    let mut voters: Vec<StepId> = Vec::new();
    for replica in replicas {
        let last = one(intent, observed, replica, &voters, draft);
        if member_of(intent, observed, replica).is_some_and(|member| !is_learner(member)) {
            voters.extend(last);
        }
    }
    if !observed.kubeconfig {
        draft.add(
            Verb::WriteKubeconfig,
            "write the cluster's context to the kubeconfig",
            Action::WriteKubeconfig,
            &[Verb::ReserveAddress.into()],
        );
    }
}

/// The replica's member, unless its data is lost. In that case it joins as a new one.
fn member_of<'a>(
    intent: &Intent,
    observed: &'a Observed,
    replica: &ReplicaIntent,
) -> Option<&'a MemberView> {
    observed
        .etcd
        .member(&replica.name)
        .filter(|member| !observed.is_lost(intent, member))
}

fn is_learner(member: &MemberView) -> bool {
    member.role == MemberRole::Learner
}

/// Adds the steps for one replica, which joins after `voters`. Returns the key of the last one, if any.
fn one(
    intent: &Intent,
    observed: &Observed,
    replica: &ReplicaIntent,
    voters: &[StepId],
    draft: &mut Draft,
) -> Option<StepId> {
    let name = &replica.name;
    let machine = replica.machine_ref();
    running(intent, observed, replica, draft);
    let started = member_of(intent, observed, replica).is_some_and(|member| member.started);
    let api_ready = observed.api_ready(name);
    if !started || !api_ready {
        // From this step on, machines are contacted, and contact each other.
        let mut needs = draft.all(Verb::Firewall);
        needs.push(Verb::Machine.of(name));
        draft.add(
            Verb::Secrets.of(name),
            format!("deliver certificates and keys to {name}"),
            Action::DeliverSecrets(machine.clone()),
            &needs,
        );
    }
    member_steps(intent, observed, replica, voters, draft);
    if api_ready {
        return None;
    }
    let last = draft.add(
        Verb::ControlPlane.of(name),
        format!("start the control plane on {name}"),
        Action::StartControlPlane(machine),
        &[
            Verb::Secrets.of(name),
            Verb::FormEtcd.of(name),
            Verb::Promote.of(name),
        ],
    );
    if let Some(member) = member_of(intent, observed, replica).filter(|member| !is_learner(member))
    {
        if !member.healthy {
            draft.voter_recovers();
        }
        if others_serve(intent, observed, name) {
            draft.heals(&last, name, member.healthy);
        }
    }
    Some(last)
}

/// Adds the step that creates or starts the replica's machine, unless it runs.
pub(super) fn running(
    intent: &Intent,
    observed: &Observed,
    replica: &ReplicaIntent,
    draft: &mut Draft,
) {
    let name = &replica.name;
    let found = observed.inventory.machine(name);
    if found.is_some_and(|machine| machine.state == MachineState::Running) {
        return;
    }
    let mut needs = vec![Verb::Network.into(), Verb::ReserveAddress.into()];
    let disk = intent.spec.names.data_disk(name);
    let deletes_disk = |id: &StepId| {
        let deleted = id.deleted();
        deleted.is_some_and(|one| one.kind == ResourceKind::Disk && one.name == disk)
    };
    needs.extend(draft.ids(deletes_disk));
    let verb = if found.is_some() { "start" } else { "create" };
    draft.add(
        Verb::Machine.of(name),
        format!("{verb} machine {name} in {}", replica.zone),
        Action::EnsureMachine(machine_spec(intent, replica)),
        &needs,
    );
}

/// Whether another replica's API server is ready.
fn others_serve(intent: &Intent, observed: &Observed, name: &str) -> bool {
    let mut others = intent.replicas.iter().filter(|other| other.name != name);
    others.any(|other| observed.api_ready(&other.name))
}

/// The first member forms etcd. Others join as learners, which don't count towards quorum, and are promoted once they
/// have caught up. etcd allows one learner at a time.
fn member_steps(
    intent: &Intent,
    observed: &Observed,
    replica: &ReplicaIntent,
    voters: &[StepId],
    draft: &mut Draft,
) {
    let name = &replica.name;
    let machine = &replica.machine_ref();
    let mut needs = vec![Verb::Secrets.of(name)];
    needs.extend_from_slice(voters);
    let is_first = intent.replicas.first() == Some(replica);
    match member_of(intent, observed, replica) {
        // A running member was formed just before a crash, and isn't recorded as formed yet.
        member if is_first && !intent.formed => {
            draft.add_member_change(
                Verb::FormEtcd.of(name),
                format!("form etcd on {name}"),
                Action::FormEtcd(machine.clone()),
                &needs,
                |quorum| {
                    if member.is_some() {
                        quorum
                    } else {
                        quorum.plus_voter()
                    }
                },
            );
        }
        None => {
            draft.add_member_change(
                Verb::JoinEtcd.of(name),
                format!("add {name} to etcd as a learner"),
                Action::JoinEtcd(machine.clone()),
                &needs,
                |quorum| quorum,
            );
            promote(machine, &needs, draft);
        }
        Some(member) if is_learner(member) => {
            if !member.started {
                draft.add_member_change(
                    Verb::JoinEtcd.of(name),
                    format!("start the etcd learner on {name}"),
                    Action::JoinEtcd(machine.clone()),
                    &needs,
                    |quorum| quorum,
                );
            }
            promote(machine, &needs, draft);
        }
        Some(_) => {}
    }
}

fn promote(machine: &MachineRef, needs: &[StepId], draft: &mut Draft) {
    let name = &machine.name;
    let mut needs = needs.to_vec();
    needs.push(Verb::JoinEtcd.of(name));
    draft.add_member_change(
        Verb::Promote.of(name),
        format!("promote {name} to a voter once it has caught up"),
        Action::PromoteMember(machine.clone()),
        &needs,
        Quorum::plus_voter,
    );
}

/// Whether the first replica's machine is created with the endpoint's address, because no balancer gets it.
pub(super) fn is_born_with_endpoint(intent: &Intent) -> bool {
    intent.spec.endpoint == Endpoint::Provider && !intent.formed && !intent.is_balanced()
}

/// The external address that a replica's machine is created with, and its second internal one.
fn addresses(intent: &Intent) -> (ExternalAddress, Option<String>) {
    let spec = &intent.spec;
    match (is_born_with_endpoint(intent), spec.reach()) {
        (false, _) => (spec.external_address(), None),
        (true, Reach::Anywhere) => (ExternalAddress::Reserved(spec.address()), None),
        (true, Reach::Within { .. }) => (spec.external_address(), Some(spec.address())),
    }
}

pub(super) fn machine_spec(intent: &Intent, replica: &ReplicaIntent) -> MachineSpec {
    let spec = &intent.spec;
    let machines = &spec.replica_machines;
    let (external, alias) = addresses(intent);
    MachineSpec {
        cluster: spec.mark(),
        machine: replica.machine_ref(),
        machine_type: machines.machine_type.clone(),
        image: machines.image.clone(),
        image_sha256: machines.image_sha256.clone(),
        boot_disk_gb: machines.root_disk_gb,
        boot_disk_kind: BOOT_DISK.to_owned(),
        data_disk: Some(DiskSpec {
            name: spec.names.data_disk(&replica.name),
            device: machine::DATA_DEVICE.to_owned(),
            size_gb: machines.data_disk_gb,
            kind: machines.disk_type.clone(),
        }),
        network: spec.network.name.clone(),
        subnetwork: spec.network.subnetwork.clone(),
        external,
        alias,
        tags: vec![spec.names.master()],
        labels: replica_labels(spec),
        preemptible: machines.preemptible,
        min_cpu_platform: machines.min_cpu_platform.clone(),
        service_account: None,
        scopes: SCOPES.map(str::to_owned).to_vec(),
        user_data: machine::replica_user_data(spec),
        // A plan contains no keys. The step that creates the machine adds it.
        login: None,
    }
}

/// Labels that later replicas inherit, as in kube-up.
fn replica_labels(spec: &ClusterSpec) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("hakube-role".to_owned(), "replica".to_owned()),
        ("multizone".to_owned(), spec.multizone.to_string()),
        (
            "etcd-quorum-read".to_owned(),
            spec.quorum_reads.enabled.to_string(),
        ),
    ])
}
