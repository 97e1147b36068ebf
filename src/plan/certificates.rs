//! Certificates that are renewed: those that are about to expire, replica by replica; those that have expired, before
//! anything else.

use super::step::{Action, Draft, Key, Plan, key};
use crate::cluster::{Intent, Observed, ReplicaIntent, replica_names};
use crate::error::{Error, Result};
use hakube_provider::MachineRef;

/// Which certificates are renewed on demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenewRequest {
    /// Those with less than a third of their life left.
    Due,
    /// All of this replica.
    Replica(String),
    /// All.
    All,
}

/// Whether a replica proves that it serves with its new certificates before the next one's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Before the next one's turn.
    Each,
    /// After the last one: with expired certificates none may serve until others have new ones.
    Last,
}

/// While a replica has expired certificates, what can't be reached says nothing of what is there: those are renewed, and
/// then everything is looked at again.
pub fn expired(intent: &Intent, observed: &Observed) -> Option<Plan> {
    let expired: Vec<&ReplicaIntent> = replicas(intent, observed)
        .filter(|replica| observed.certificates.has_expired(&replica.name))
        .collect();
    if expired.is_empty() {
        return None;
    }
    let mut draft = Draft::new(observed.etcd.quorum());
    renew(&expired, Proof::Last, Vec::new(), &mut draft);
    Some(draft.finish())
}

/// The certificates of replicas that serve and have less than a third of their life left. What else is planned comes
/// first; a replica that gets its files anyway gets new certificates with them.
pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let due: Vec<&ReplicaIntent> = replicas(intent, observed)
        .filter(|replica| observed.certificates.is_due(&replica.name))
        .filter(|replica| !draft.has(&key("secrets", &replica.name)))
        .collect();
    let mut after: Vec<Key> = draft
        .member_changes()
        .map(|(step, _)| step.key.clone())
        .collect();
    after.extend(draft.keys("control-plane/"));
    renew(&due, Proof::Each, after, draft);
}

/// The steps of `hakube certs renew`, and nothing else.
///
/// # Errors
/// There is no such replica, or its machine doesn't run.
pub fn renewal(intent: &Intent, observed: &Observed, request: &RenewRequest) -> Result<Plan> {
    if let Some(plan) = expired(intent, observed) {
        return Ok(plan);
    }
    let mut draft = Draft::new(observed.etcd.quorum());
    let chosen: Vec<&ReplicaIntent> = match request {
        RenewRequest::Due => {
            plan(intent, observed, &mut draft);
            Vec::new()
        }
        RenewRequest::All => replicas(intent, observed).collect(),
        RenewRequest::Replica(name) => vec![named(intent, observed, name)?],
    };
    renew(&chosen, Proof::Each, Vec::new(), &mut draft);
    let is_of_user = match request {
        RenewRequest::Due => !observed.kubeconfig,
        RenewRequest::All => true,
        RenewRequest::Replica(_) => false,
    };
    if is_of_user {
        draft.add(
            "write-kubeconfig",
            "write the cluster's context to the kubeconfig",
            Action::WriteKubeconfig,
            &[],
        );
    }
    Ok(draft.finish())
}

fn named<'a>(intent: &'a Intent, observed: &Observed, name: &str) -> Result<&'a ReplicaIntent> {
    let Some(replica) = intent.replica(name) else {
        return Err(Error::bad_input(format!(
            "cluster {} has no replica {name}",
            intent.spec.cluster
        ))
        .hint(format!("its replicas are: {}", replica_names(intent))));
    };
    if has_some(observed, replica) {
        return Ok(replica);
    }
    let error = Error::refused(format!("the certificates of {name} can't be renewed now"));
    let unknown = observed.certificates.unknown();
    Err(
        match unknown.into_iter().find(|(unknown, _)| *unknown == name) {
            Some((_, why)) => error.because(why),
            None => error.because("its machine doesn't run, or has no certificates yet"),
        }
        .hint("to bring it back: hakube repair"),
    )
}

/// The replicas whose certificates are known, in their order.
fn replicas<'a>(
    intent: &'a Intent,
    observed: &'a Observed,
) -> impl Iterator<Item = &'a ReplicaIntent> {
    let replicas = intent.replicas.iter();
    replicas.filter(|replica| has_some(observed, replica))
}

fn has_some(observed: &Observed, replica: &ReplicaIntent) -> bool {
    !observed.certificates.of(&replica.name).is_empty()
}

/// One after another.
fn renew(replicas: &[&ReplicaIntent], proof: Proof, after: Vec<Key>, draft: &mut Draft) {
    let mut needs = after;
    let mut renewed = Vec::new();
    for replica in replicas {
        let machine = MachineRef {
            name: replica.name.clone(),
            zone: replica.zone.clone(),
        };
        let mut done = draft.add(
            key("renew", &replica.name),
            format!("renew the certificates of {}", replica.name),
            Action::RenewCertificates(machine.clone()),
            &needs,
        );
        if proof == Proof::Each {
            done = draft.add(
                key("await-renewed", &replica.name),
                format!("wait until {} serves with them", replica.name),
                Action::AwaitRenewed {
                    replicas: vec![machine.clone()],
                },
                &[done],
            );
        }
        renewed.push(machine);
        needs = vec![done];
    }
    if proof == Proof::Last && !renewed.is_empty() {
        draft.add(
            "await-renewed",
            "wait until etcd and the API answer again",
            Action::AwaitRenewed { replicas: renewed },
            &needs,
        );
    }
}
