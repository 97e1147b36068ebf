//! `status` and `kubeconfig`: read-only commands.

use super::belief::believe;
use super::conditions::{conditions, not_believed};
use crate::connect::Purpose;
use crate::execute::admin_access;
use crate::retry::bounded;
use crate::{Means, Session, Stored, observe};
use hakube_addons as addons;
use hakube_error::{Error, Result};
use hakube_kubeconfig as kubeconfig;
use hakube_model::{AddonState, Endpoint, EtcdView, Intent, MemberRole, Observed, Phase};
use hakube_output::{
    AddonStatus, ClockStatus, EndpointStatus, ExpiryStatus, NodeStatus, ReplicaStatus,
    ServingStatus, Status, UnfinishedStatus, VersionStatus, VersionsStatus,
};
use hakube_plan::{Action, plan};
use hakube_secret::Secret;
use std::collections::BTreeSet;

/// The interfaces through which to observe the cluster.
pub(super) async fn connect(session: &Session, stored: &Stored) -> Result<Means> {
    let spec = &stored.intent.spec;
    let authorities = session.existing_authorities().await?;
    let backend = session.backend(spec, &authorities, Purpose::Look).await?;
    session.means(spec, backend, authorities)
}

/// The cluster's current status.
///
/// # Errors
/// There is no such cluster, or its provider can't be reached.
pub async fn status(session: &Session) -> Result<Status> {
    let (stored, observed) = look(session).await?;
    let disbelief = believe(session, &stored.intent, &observed).await.err();
    let running = session
        .store
        .lock_holder(session.cluster())
        .await?
        .map(|lock| lock.to_string());
    let mut status = describe(&stored, &observed, running);
    if let Some(disbelief) = disbelief {
        status.conditions.insert(0, not_believed(&disbelief));
        status.drift = vec![disbelief.message];
    }
    Ok(status)
}

/// The stored intent and the observed cluster.
pub(super) async fn look(session: &Session) -> Result<(Stored, Observed)> {
    let stored = session.existing().await?;
    let means = connect(session, &stored).await?;
    let observed = bounded(means.timeout, observe(&stored.intent, &means)).await?;
    Ok((stored, observed))
}

/// A kubeconfig for the cluster's administrator.
///
/// # Errors
/// There is no such cluster, or no endpoint yet.
pub async fn admin_kubeconfig(session: &Session) -> Result<Secret> {
    let stored = session.existing().await?;
    let means = connect(session, &stored).await?;
    let inventory = means.inventory(&stored.intent.spec.mark()).await?;
    let reserved = inventory.address.map(|address| address.address);
    let endpoint = stored.intent.spec.endpoint_at(reserved).ok_or_else(|| {
        Error::failed(format!(
            "cluster {} has no reserved address yet",
            session.cluster()
        ))
        .hint("hakube reconcile")
    })?;
    Ok(kubeconfig::render(&admin_access(
        &stored.intent,
        &means,
        endpoint,
    )?))
}

fn describe(stored: &Stored, observed: &Observed, running: Option<String>) -> Status {
    let Stored { intent, unfinished } = stored;
    let spec = &intent.spec;
    let reserved = observed.inventory.address.as_ref();
    let endpoint = spec.endpoint_at(reserved.map(|address| address.address));
    Status {
        cluster: spec.cluster.clone(),
        id: spec.id().map(str::to_owned),
        provider: spec.provider.name().to_owned(),
        version: format!("v{}", spec.versions.kubernetes),
        versions: versions(intent, observed),
        endpoint: EndpointStatus {
            address: endpoint.map(|endpoint| endpoint.ip().to_string()),
            port: endpoint.map_or(spec.api.port, |endpoint| endpoint.port()),
            mode: match spec.endpoint {
                Endpoint::External(_) => "external",
                Endpoint::Machines if intent.replicas.len() > 1 => "shared",
                Endpoint::Provider if observed.inventory.balancer.forwarding.is_some() => {
                    "load-balanced"
                }
                Endpoint::Provider | Endpoint::Machines => "direct",
            },
            ready: observed.endpoint_ready,
            backends: observed.backends(intent),
        },
        quorum: matches!(observed.etcd, EtcdView::Known(_)).then(|| observed.etcd.quorum().into()),
        etcd_quorum_reads: spec.quorum_reads.enabled,
        replicas: replica_names(intent, observed)
            .into_iter()
            .map(|(name, zone)| replica(name, zone, observed))
            .collect(),
        nodes: nodes(observed),
        addons: addons(intent, observed),
        hollow_nodes: !intent.runs_pods() && observed.addons.is_some(),
        serving_requests: serving_requests(observed),
        conditions: conditions(stored, observed, running.is_some()),
        certificates: ExpiryStatus::new(&observed.certificates),
        clocks: clocks(observed),
        drift: drift(intent, observed, running.is_some()),
        unreachable: observed.inventory.unreachable.clone(),
        running,
        unfinished: unfinished.as_ref().map(|unfinished| UnfinishedStatus {
            operation: unfinished.operation.clone(),
            started: unfinished.started.to_string(),
            by: unfinished.by.clone(),
        }),
    }
}

/// The versions requested, and those running.
fn versions(intent: &Intent, observed: &Observed) -> VersionsStatus {
    let wanted = &intent.spec.versions;
    let kubernetes = format!("v{}", wanted.kubernetes);
    let apis = observed.apis.values();
    let members = observed.etcd.members().iter();
    let nodes = observed.nodes.iter().flatten();
    VersionsStatus {
        kubernetes: version(
            Some(kubernetes.clone()),
            apis.filter_map(|api| api.version.as_ref()),
        ),
        kubelet: version(
            Some(kubernetes),
            nodes.filter_map(|node| node.kubelet.as_ref()),
        ),
        etcd: version(
            wanted.etcd.as_ref().map(ToString::to_string),
            members.filter_map(|member| member.version.as_ref()),
        ),
    }
}

fn version<'a>(wanted: Option<String>, running: impl Iterator<Item = &'a String>) -> VersionStatus {
    let running: BTreeSet<&String> = running.collect();
    VersionStatus {
        wanted,
        running: running.into_iter().cloned().collect(),
    }
}

/// The steps that `reconcile` would run now. A running operation's own steps aren't drift.
fn drift(intent: &Intent, observed: &Observed, running: bool) -> Vec<String> {
    if running || intent.phase == Phase::Absent {
        return Vec::new();
    }
    let unknown = observed.strangers(intent).map(|member| {
        format!(
            "leave etcd member {} (id {:x}) alone: hakube didn't create it",
            member.name, member.id
        )
    });
    let mut drift: Vec<String> = unknown.collect();
    match plan(intent, observed) {
        Ok(plan) => {
            // A kubeconfig without the context isn't drift: it may be another operator's.
            let steps = plan.steps.into_iter();
            let has_expired = observed.has_expired_token(intent);
            let steps = steps.filter(|step| match step.action {
                Action::WriteKubeconfig => false,
                // Tokens are extended in time, so before they expire this isn't drift.
                Action::ExtendTokens { .. } => has_expired,
                _ => true,
            });
            drift.extend(steps.map(|step| step.says));
        }
        Err(refusal) => drift.push(refusal.message),
    }
    drift
}

/// The replicas in the intent, then machines that aren't.
fn replica_names(intent: &Intent, observed: &Observed) -> Vec<(String, String)> {
    let wanted = intent
        .replicas
        .iter()
        .map(|replica| (replica.name.clone(), replica.zone.clone()));
    let stray = observed
        .inventory
        .machines
        .iter()
        .filter(|machine| intent.replica(&machine.name).is_none())
        .map(|machine| (machine.name.clone(), machine.zone.clone()));
    wanted.chain(stray).collect()
}

fn replica(name: String, zone: String, observed: &Observed) -> ReplicaStatus {
    let machine = observed.inventory.machine(&name);
    let member = observed.etcd.member(&name);
    let api = observed.apis.get(&name);
    ReplicaStatus {
        address: machine
            .and_then(|machine| machine.internal_address)
            .map(|address| address.to_string()),
        role: match member.map(|member| member.role) {
            Some(MemberRole::Leader) => "leader",
            Some(MemberRole::Voter) => "voter",
            Some(MemberRole::Learner) => "learner",
            None => "unknown",
        },
        etcd_healthy: member.is_some_and(|member| member.healthy),
        api_ready: api.is_some_and(|api| api.ready),
        machine: match (machine, observed.inventory.unreachable.get(&zone)) {
            (Some(machine), _) => machine.state.to_string(),
            (None, Some(_)) => "unknown".to_owned(),
            (None, None) => "missing".to_owned(),
        },
        stand_in: api.and_then(|api| api.stand_in),
        zone,
        name,
    }
}

fn nodes(observed: &Observed) -> Vec<NodeStatus> {
    let nodes = observed.nodes.iter().flatten();
    nodes
        .map(|node| NodeStatus {
            name: node.name.clone(),
            zone: node.zone.clone(),
            ready: node.ready,
            hollow: node.hollow,
        })
        .collect()
}

fn addons(intent: &Intent, observed: &Observed) -> Vec<AddonStatus> {
    let wanted = addons::names(&intent.spec);
    let states = observed.addons.iter().flatten();
    let status = |(name, state): (&String, &AddonState)| {
        let (state, why) = match state {
            _ if !wanted.contains(&name.as_str()) => ("not wanted", Vec::new()),
            AddonState::Ready => ("ready", Vec::new()),
            AddonState::NotReady { .. } if !intent.runs_pods() => ("applied", Vec::new()),
            AddonState::NotReady { why } => ("not ready", vec![why.clone()]),
            AddonState::Missing => ("missing", Vec::new()),
            AddonState::Differs { what } => ("differs", what.clone()),
            AddonState::Unknown { why } => ("unknown", vec![why.clone()]),
        };
        AddonStatus {
            name: name.clone(),
            state,
            why,
        }
    };
    states.map(status).collect()
}

/// Clock skews that matter for certificates and tokens.
fn clocks(observed: &Observed) -> Vec<ClockStatus> {
    let clocks = observed.clocks.iter();
    clocks
        .filter_map(|(replica, &ahead)| {
            Some(ClockStatus {
                replica: replica.clone(),
                ahead_seconds: ahead.0,
                severity: ahead.severity()?,
            })
        })
        .collect()
}

fn serving_requests(observed: &Observed) -> Vec<ServingStatus> {
    let requests = observed.serving.iter();
    requests
        .filter_map(|asked| {
            Some(ServingStatus {
                name: asked.request.clone(),
                by: asked.by.clone(),
                why: asked.refused.clone()?,
            })
        })
        .collect()
}
