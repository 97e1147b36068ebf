//! Renewal of certificates: due ones replica by replica, expired ones before anything else.

use super::id::{StepId, Verb};
use super::step::{Action, Draft, Plan};
use hakube_error::{Error, Result};
use hakube_model::{Intent, Observed, ReplicaIntent, replica_names};

/// The certificates to renew on request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RenewRequest {
    /// Those with less than a third of their life left.
    Due,
    /// All of this replica's.
    Replica(String),
    /// All of them.
    All,
}

/// When renewed replicas must prove that they serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Each one, before the next is renewed.
    Each,
    /// All at the end: with expired certificates, none may be able to serve before the others are renewed.
    Last,
}

/// The plan that renews expired certificates. A replica that has some may be healthy although it looks unreachable, so
/// this comes first, followed by a new observation.
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

/// The plan that replaces certificates that aren't for the endpoint's address, because clients reject them. It
/// is followed by a new observation.
pub(super) fn for_another_address(intent: &Intent, observed: &Observed) -> Option<Plan> {
    let refused: Vec<&ReplicaIntent> = replicas(intent, observed)
        .filter(|replica| observed.is_certified_for_another(intent, &replica.name))
        .collect();
    let mut draft = Draft::new(observed.etcd.quorum());
    renew(&refused, Proof::Last, Vec::new(), &mut draft);
    Some(draft.finish()).filter(|plan| !plan.is_empty())
}

/// Adds the renewal of replicas' certificates with less than a third of their life left, after all other steps.
/// Replicas that get new files anyway are skipped.
pub(super) fn plan(intent: &Intent, observed: &Observed, draft: &mut Draft) {
    let due: Vec<&ReplicaIntent> = replicas(intent, observed)
        .filter(|replica| observed.certificates.is_due(&replica.name))
        .filter(|replica| {
            let gets_them = |verb: Verb| draft.has(&verb.of(&replica.name));
            !gets_them(Verb::Secrets) && !gets_them(Verb::FollowAuthorities)
        })
        .collect();
    let mut after: Vec<StepId> = draft
        .member_changes()
        .map(|(step, _)| step.key.clone())
        .collect();
    after.extend(draft.all(Verb::ControlPlane));
    after.extend(draft.all(Verb::FollowAuthorities));
    renew(&due, Proof::Each, after, draft);
}

/// The steps of `hakube certs renew`, and nothing else.
///
/// # Errors
/// There is no such replica, or its machine isn't running.
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
            Verb::WriteKubeconfig,
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
        .hint(format!("its replicas: {}", replica_names(intent))));
    };
    if has_some(observed, replica) {
        return Ok(replica);
    }
    let error = Error::refused(format!("can't renew the certificates of {name} now"));
    let unknown = observed.certificates.unknown();
    Err(
        match unknown.into_iter().find(|(unknown, _)| *unknown == name) {
            Some((_, why)) => error.because(why),
            None => error.because("its machine isn't running, or has no certificates yet"),
        }
        .hint("fix it first: hakube repair"),
    )
}

/// The replicas whose certificates are known, in order.
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

/// Renews replicas one after another.
fn renew(replicas: &[&ReplicaIntent], proof: Proof, after: Vec<StepId>, draft: &mut Draft) {
    let mut needs = after;
    let mut renewed = Vec::new();
    for replica in replicas {
        let machine = replica.machine_ref();
        let mut done = draft.add(
            Verb::Renew.of(&replica.name),
            format!("renew the certificates of {}", replica.name),
            Action::RenewCertificates(machine.clone()),
            &needs,
        );
        if proof == Proof::Each {
            done = draft.add(
                Verb::AwaitRenewed.of(&replica.name),
                format!("wait until {} serves with them", replica.name),
                Action::AwaitServing {
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
            Verb::AwaitRenewed,
            "wait until etcd and the API respond again",
            Action::AwaitServing { replicas: renewed },
            &needs,
        );
    }
}
