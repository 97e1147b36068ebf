//! Replicas that should be there: machine, secrets, etcd's member, API server.

use super::step::{Action, Draft, Key, key};
use crate::cluster::{ClusterSpec, Intent, MemberRole, Observed, Quorum, ReplicaIntent};
use crate::machine;
use hakube_provider::{DiskSpec, ExternalAddress, MachineRef, MachineSpec, MachineState};
use std::collections::BTreeMap;

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let ready: Vec<Key> = intent
        .replicas
        .iter()
        .filter_map(|replica| one(intent, observed, replica, draft))
        .collect();
    if !observed.kubeconfig {
        draft.add(
            "write-kubeconfig",
            format!("write context {} to the kubeconfig", intent.spec.cluster),
            Action::WriteKubeconfig,
            &["reserve-address".to_owned()],
        );
    }
    if !observed.endpoint_ready && !ready.is_empty() && !intent.is_balanced() {
        draft.add("await-endpoint", "wait until the endpoint answers", Action::AwaitEndpoint, &ready);
    }
}

/// The steps for one replica; the key of the last when there is any.
fn one(intent: &Intent, observed: &Observed, replica: &ReplicaIntent, draft: &mut Draft) -> Option<Key> {
    let name = &replica.name;
    let machine = MachineRef { name: name.clone(), zone: replica.zone.clone() };
    let running = observed
        .inventory
        .machine(name)
        .is_some_and(|machine| machine.state == MachineState::Running);
    if !running {
        let mut needs = draft.keys("firewall/");
        needs.extend(["network".to_owned(), "reserve-address".to_owned()]);
        draft.add(
            key("machine", name),
            format!("make machine {name} in {}", replica.zone),
            Action::EnsureMachine(machine_spec(intent, replica)),
            &needs,
        );
    }
    let member = observed.etcd.member(name);
    let started = member.is_some_and(|member| member.started);
    let api_ready = observed.api_ready(name);
    if !started || !api_ready {
        draft.add(
            key("secrets", name),
            format!("deliver certificates and keys to {name}"),
            Action::DeliverSecrets(machine.clone()),
            &[key("machine", name)],
        );
    }
    member_steps(intent, observed, &machine, draft);
    (!api_ready).then(|| {
        draft.add(
            key("control-plane", name),
            format!("start the control plane on {name}"),
            Action::StartControlPlane(machine),
            &[key("secrets", name), key("form", name), key("promote", name)],
        )
    })
}

/// A first member forms etcd. A further one joins as a learner, which changes no quorum, and votes
/// only when it has caught up. One learner at a time: etcd refuses a second.
fn member_steps(intent: &Intent, observed: &Observed, machine: &MachineRef, draft: &mut Draft) {
    let name = &machine.name;
    let secrets = [key("secrets", name)];
    let first = intent.replicas.first().is_some_and(|first| first.name == *name);
    match observed.etcd.member(name) {
        None if first && !intent.formed && observed.etcd.members().is_empty() => {
            draft.add_member_change(
                key("form", name),
                format!("form etcd on {name}"),
                Action::FormEtcd(machine.clone()),
                &secrets,
                Quorum::plus_voter,
            );
        }
        None => {
            draft.add_member_change(
                key("join", name),
                format!("add {name} to etcd as a learner"),
                Action::JoinEtcd(machine.clone()),
                &secrets,
                |quorum| quorum,
            );
            promote(machine, draft);
        }
        Some(member) if member.role == MemberRole::Learner => {
            if !member.started {
                draft.add_member_change(
                    key("join", name),
                    format!("start etcd's learner on {name}"),
                    Action::JoinEtcd(machine.clone()),
                    &secrets,
                    |quorum| quorum,
                );
            }
            promote(machine, draft);
        }
        Some(_) => {}
    }
}

fn promote(machine: &MachineRef, draft: &mut Draft) {
    let name = &machine.name;
    draft.add_member_change(
        key("promote", name),
        format!("give {name} a vote once it has caught up"),
        Action::PromoteMember(machine.clone()),
        &[key("join", name)],
        Quorum::plus_voter,
    );
}

fn machine_spec(intent: &Intent, replica: &ReplicaIntent) -> MachineSpec {
    let spec = &intent.spec;
    let machines = &spec.replica_machines;
    // The first replica is born with the endpoint's address on it, unless a balancer gets it.
    let bears_endpoint = !intent.formed && !intent.is_balanced();
    MachineSpec {
        cluster: spec.cluster.clone(),
        machine: MachineRef { name: replica.name.clone(), zone: replica.zone.clone() },
        machine_type: machines.machine_type.clone(),
        image: machines.image.clone(),
        boot_disk_gb: machines.root_disk_gb,
        data_disk: Some(DiskSpec {
            name: spec.names.data_disk(&replica.name),
            device: machine::DATA_DEVICE.to_owned(),
            size_gb: machines.data_disk_gb,
            kind: machines.disk_type.clone(),
        }),
        network: spec.network.name.clone(),
        subnetwork: spec.network.subnetwork.clone(),
        external: if bears_endpoint {
            ExternalAddress::Reserved(spec.names.address())
        } else {
            ExternalAddress::Ephemeral
        },
        tags: vec![spec.names.master()],
        labels: replica_labels(spec),
        preemptible: machines.preemptible,
        user_data: machine::replica_user_data(spec),
    }
}

/// kube-up's inheritance: what later replicas should know is on the machine for all to see.
fn replica_labels(spec: &ClusterSpec) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("hakube-role".to_owned(), "replica".to_owned()),
        ("multizone".to_owned(), spec.multizone.to_string()),
        ("etcd-quorum-read".to_owned(), spec.quorum_reads.enabled.to_string()),
    ])
}
