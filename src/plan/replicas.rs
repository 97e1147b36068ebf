//! Replicas that should be there: machine, secrets, etcd's member, API server.

use super::step::{Action, Draft, Key, key};
use crate::cluster::{
    ClusterSpec, Endpoint, Intent, MemberRole, MemberView, Observed, Quorum, ReplicaIntent,
};
use crate::machine;
use hakube_provider::{DiskSpec, ExternalAddress, MachineRef, MachineSpec, MachineState, Reach};
use std::collections::BTreeMap;

/// The provider's type of a replica's boot disk: it holds programs and logs, which need no speed.
const BOOT_DISK: &str = "pd-standard";

/// What programs on a replica may ask the provider for: to read images and to write logs and metrics.
const SCOPES: [&str; 3] = ["storage-ro", "logging-write", "monitoring-write"];

pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let seen = |replica: &&ReplicaIntent| !observed.is_hidden(intent, &replica.name);
    let mut replicas: Vec<&ReplicaIntent> = intent.replicas.iter().filter(seen).collect();
    // etcd takes no new member beside a voter that is down, nor beside a learner: voters are put right
    // first, then the learner gets its vote, then others join.
    replicas.sort_by_key(|replica| {
        member_of(intent, observed, replica).map_or(2, |member| u8::from(is_learner(member)))
    });
    let mut voters: Vec<Key> = Vec::new();
    for replica in replicas {
        let last = one(intent, observed, replica, &voters, draft);
        if member_of(intent, observed, replica).is_some_and(|member| !is_learner(member)) {
            voters.extend(last);
        }
    }
    if !observed.kubeconfig {
        draft.add(
            "write-kubeconfig",
            "write the cluster's context to the kubeconfig",
            Action::WriteKubeconfig,
            &["reserve-address".to_owned()],
        );
    }
}

/// The replica's member, unless its data is gone: then it joins as a new one.
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

/// The steps for one replica, which joins after `voters`; the key of the last when there is any.
fn one(
    intent: &Intent,
    observed: &Observed,
    replica: &ReplicaIntent,
    voters: &[Key],
    draft: &mut Draft,
) -> Option<Key> {
    let name = &replica.name;
    let machine = MachineRef {
        name: name.clone(),
        zone: replica.zone.clone(),
    };
    let running = observed
        .inventory
        .machine(name)
        .is_some_and(|machine| machine.state == MachineState::Running);
    if !running {
        let mut needs = vec!["network".to_owned(), "reserve-address".to_owned()];
        needs.extend(draft.keys(&format!(
            "delete/disk-{}-",
            intent.spec.names.data_disk(name)
        )));
        draft.add(
            key("machine", name),
            format!("make machine {name} in {}", replica.zone),
            Action::EnsureMachine(machine_spec(intent, replica)),
            &needs,
        );
    }
    let started = member_of(intent, observed, replica).is_some_and(|member| member.started);
    let api_ready = observed.api_ready(name);
    if !started || !api_ready {
        // From here on machines are talked to, and talk to each other.
        let mut needs = draft.keys("firewall/");
        needs.push(key("machine", name));
        draft.add(
            key("secrets", name),
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
        key("control-plane", name),
        format!("start the control plane on {name}"),
        Action::StartControlPlane(machine),
        &[
            key("secrets", name),
            key("form", name),
            key("promote", name),
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

/// Whether clients have an API server without this replica.
fn others_serve(intent: &Intent, observed: &Observed, name: &str) -> bool {
    let mut others = intent.replicas.iter().filter(|other| other.name != name);
    others.any(|other| observed.api_ready(&other.name))
}

/// A first member forms etcd. A further one joins as a learner, which changes no quorum, and votes
/// only when it has caught up. One learner at a time: etcd refuses a second.
fn member_steps(
    intent: &Intent,
    observed: &Observed,
    replica: &ReplicaIntent,
    voters: &[Key],
    draft: &mut Draft,
) {
    let name = &replica.name;
    let machine = &MachineRef {
        name: name.clone(),
        zone: replica.zone.clone(),
    };
    let mut needs = vec![key("secrets", name)];
    needs.extend_from_slice(voters);
    let is_first = intent.replicas.first() == Some(replica);
    match member_of(intent, observed, replica) {
        // One that runs already was formed just before a crash, and has yet to be taken down as formed.
        member if is_first && !intent.formed => {
            draft.add_member_change(
                key("form", name),
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
                key("join", name),
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
                    key("join", name),
                    format!("start etcd's learner on {name}"),
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

fn promote(machine: &MachineRef, needs: &[Key], draft: &mut Draft) {
    let name = &machine.name;
    let mut needs = needs.to_vec();
    needs.push(key("join", name));
    draft.add_member_change(
        key("promote", name),
        format!("give {name} a vote once it has caught up"),
        Action::PromoteMember(machine.clone()),
        &needs,
        Quorum::plus_voter,
    );
}

/// The first replica's machine is born with the endpoint's address on it, unless a balancer gets it.
pub(super) fn is_born_with_endpoint(intent: &Intent) -> bool {
    intent.spec.endpoint == Endpoint::Provider && !intent.formed && !intent.is_balanced()
}

/// The external address that a replica's machine is born with, and the internal one besides its own.
fn addresses(intent: &Intent) -> (ExternalAddress, Option<String>) {
    let spec = &intent.spec;
    match (is_born_with_endpoint(intent), spec.reach()) {
        (false, _) => (spec.external_address(), None),
        (true, Reach::Anywhere) => (ExternalAddress::Reserved(spec.address()), None),
        (true, Reach::Within { .. }) => (spec.external_address(), Some(spec.address())),
    }
}

fn machine_spec(intent: &Intent, replica: &ReplicaIntent) -> MachineSpec {
    let spec = &intent.spec;
    let machines = &spec.replica_machines;
    let (external, alias) = addresses(intent);
    MachineSpec {
        cluster: spec.cluster.clone(),
        machine: MachineRef {
            name: replica.name.clone(),
            zone: replica.zone.clone(),
        },
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
        // A plan holds no keys: the step that makes the machine puts it in.
        login: None,
    }
}

/// kube-up's inheritance: what later replicas should know is on the machine for all to see.
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
