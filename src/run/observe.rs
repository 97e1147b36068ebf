//! What is there, asked of everyone at the same time.

mod data;

use super::{Means, certificates, hold, serving};
use crate::addons;
use crate::channel::Door;
use crate::cluster::{
    AddonState, AlarmView, ApiView, Certificate, Endpoint, EtcdView, HoldView, Intent, MemberRole,
    MemberView, NodeView, Observed, ServingView, Skew, TokenView,
};
use crate::error::Result;
use crate::etcd::{CLIENT_PORT, EtcdResult, Member, MemberStatus, peer_url};
use crate::kubeconfig;
use futures::future::join_all;
use hakube_provider::{Inventory, Machine, MachineRef, MachineState};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Looks at the provider, etcd, every API server and the endpoint.
///
/// # Errors
/// The provider can't be asked. Everything else that doesn't answer is reported as such.
pub async fn observe(intent: &Intent, means: &Means) -> Result<Observed> {
    let inventory = means.provider.inspect(&intent.spec.cluster).await?;
    let (etcd, apis, holds, clocks, certificates, seen) = tokio::join!(
        etcd_seen(&inventory, means),
        api_views(intent, &inventory, means),
        hold_views(intent, &inventory, means),
        clocks(intent, &inventory, means),
        certificates::look(intent, &inventory, means),
        endpoint_view(intent, &inventory, means),
    );
    let data = data::conditions(intent, &inventory, &etcd.view, means).await;
    let is_due = |certificate: &Certificate| certificate.is_due(certificates.at);
    let kubeconfig = has_context(intent, &inventory, means)
        && !certificates.kubeconfig.as_ref().is_some_and(is_due);
    Ok(Observed {
        inventory,
        etcd: etcd.view,
        data,
        alarms: etcd.alarms,
        apis,
        holds,
        endpoint_ready: seen.ready,
        nodes: seen.nodes,
        tokens: seen.tokens,
        addons: seen.addons,
        serving: seen.serving,
        kubeconfig,
        clocks,
        certificates,
    })
}

pub(super) fn running(inventory: &Inventory) -> impl Iterator<Item = &Machine> {
    inventory
        .machines
        .iter()
        .filter(|machine| machine.state == MachineState::Running)
}

/// etcd's members, and what it raises alarm for.
#[derive(Default)]
struct EtcdSeen {
    view: EtcdView,
    alarms: Vec<AlarmView>,
}

impl EtcdSeen {
    fn unknown(why: impl ToString) -> Self {
        let why = why.to_string();
        Self {
            view: EtcdView::Unknown { why },
            alarms: Vec::new(),
        }
    }
}

async fn etcd_seen(inventory: &Inventory, means: &Means) -> EtcdSeen {
    if inventory.machines.is_empty() {
        // Machines may be where nobody could be asked.
        return match inventory.unreachable.iter().next() {
            None => EtcdSeen::default(),
            Some((zone, why)) => EtcdSeen::unknown(format!("zone {zone} can't be asked: {why}")),
        };
    }
    let doors =
        join_all(running(inventory).map(|machine| means.channel.reach(machine, CLIENT_PORT)));
    let (open, closed): (Vec<_>, Vec<_>) = doors.await.into_iter().partition(Result::is_ok);
    let doors: Vec<Door> = open.into_iter().flatten().collect();
    if let (true, Some(Err(error))) = (doors.is_empty(), closed.first()) {
        return EtcdSeen::unknown(error);
    }
    let members = match twice(means, async || means.etcd.members(&doors).await).await {
        Ok(members) => members,
        Err(error) => return EtcdSeen::unknown(error),
    };
    // An alarm that can't be asked for is no reason to know nothing of the members.
    let alarms = means.etcd.alarms(&doors).await.unwrap_or_default();
    let alarms = alarms.into_iter().map(|(id, alarm)| {
        let member = members.iter().find(|member| member.id == id);
        let machine = member.and_then(|member| machine_of(member, inventory));
        let replica = match (machine, member) {
            (Some(machine), _) => machine.name.clone(),
            (None, Some(member)) => member_name(member),
            (None, None) => format!("member-{id:x}"),
        };
        AlarmView { replica, alarm }
    });
    let alarms = alarms.collect();
    let asked = join_all(members.into_iter().map(|member| async {
        let machine = machine_of(&member, inventory);
        let door = doors
            .iter()
            .find(|door| machine.is_some_and(|machine| machine.name == door.machine));
        let status = match door {
            Some(door) if !member.name.is_empty() => twice(means, async || {
                means.etcd.status(door, member.learner).await
            })
            .await
            .ok(),
            _ => None,
        };
        let name = machine.map_or_else(|| member_name(&member), |machine| machine.name.clone());
        (name, member, status)
    }))
    .await;
    let members = asked
        .into_iter()
        .map(|(name, member, status)| view(name, &member, status.as_ref()));
    EtcdSeen {
        view: EtcdView::Known(members.collect()),
        alarms,
    }
}

/// One answer that is lost on the way is no sign of death.
async fn twice<T>(means: &Means, ask: impl AsyncFn() -> EtcdResult<T>) -> EtcdResult<T> {
    match ask().await {
        Err(error) if error.is_transient() => {
            tokio::time::sleep(means.pace).await;
            ask().await
        }
        answer => answer,
    }
}

/// The machine that a member runs on: by its name, or by its peer address until it has started.
fn machine_of<'a>(member: &Member, inventory: &'a Inventory) -> Option<&'a Machine> {
    let by_address = |machine: &&Machine| {
        machine
            .internal_address
            .is_some_and(|own| member.peer_urls.contains(&peer_url(own)))
    };
    inventory
        .machine(&member.name)
        .or_else(|| inventory.machines.iter().find(by_address))
}

/// A member without a machine keeps its own name, or else its id in etcd's way of writing it.
fn member_name(member: &Member) -> String {
    if member.name.is_empty() {
        format!("member-{:x}", member.id)
    } else {
        member.name.clone()
    }
}

fn view(name: String, member: &Member, status: Option<&MemberStatus>) -> MemberView {
    let leads = status.is_some_and(|status| status.leader == member.id);
    let role = match (member.learner, leads) {
        (true, _) => MemberRole::Learner,
        (false, true) => MemberRole::Leader,
        (false, false) => MemberRole::Voter,
    };
    MemberView {
        id: member.id,
        name,
        role,
        started: !member.name.is_empty(),
        healthy: status.is_some_and(|status| status.leader != 0),
        peer_urls: member.peer_urls.clone(),
    }
}

async fn api_views(
    intent: &Intent,
    inventory: &Inventory,
    means: &Means,
) -> BTreeMap<String, ApiView> {
    let port = intent.spec.api.port;
    let probes = running(inventory).map(|machine| async move {
        let door = means.channel.reach(machine, port).await.ok()?;
        let view = means.kubernetes.probe(&door).await;
        Some((machine.name.clone(), view))
    });
    join_all(probes).await.into_iter().flatten().collect()
}

/// By how much the clocks of the replicas differ from this host's, at the middle of a question.
async fn clocks(intent: &Intent, inventory: &Inventory, means: &Means) -> BTreeMap<String, Skew> {
    let port = intent.spec.api.port;
    let asked = running(inventory).map(|machine| async move {
        let door = means.channel.reach(machine, port).await.ok()?;
        let before = means.clock.now();
        let there = means.kubernetes.date(&door).await?;
        let half = means.clock.now().duration_since(before) / 2;
        let ahead = there.duration_since(before) - half;
        Some((machine.name.clone(), Skew(ahead.as_secs())))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

async fn hold_views(
    intent: &Intent,
    inventory: &Inventory,
    means: &Means,
) -> BTreeMap<String, HoldView> {
    if intent.spec.endpoint != Endpoint::Machines {
        return BTreeMap::new();
    }
    let views = running(inventory).map(|machine| async move {
        let Machine { name, zone, .. } = machine.clone();
        let asked = MachineRef { name, zone };
        let view = hold::view(means.channel.as_ref(), &asked).await;
        (asked.name, view)
    });
    join_all(views).await.into_iter().collect()
}

/// Where clients reach the cluster, once that is known.
fn endpoint(intent: &Intent, inventory: &Inventory) -> Option<SocketAddr> {
    let reserved = inventory.address.as_ref().map(|address| address.address);
    intent.spec.endpoint_at(reserved)
}

/// What is seen through the endpoint.
#[derive(Default)]
struct EndpointView {
    ready: bool,
    nodes: Option<Vec<NodeView>>,
    tokens: Option<Vec<TokenView>>,
    addons: Option<BTreeMap<String, AddonState>>,
    serving: Vec<ServingView>,
}

async fn endpoint_view(intent: &Intent, inventory: &Inventory, means: &Means) -> EndpointView {
    let Some(endpoint) = endpoint(intent, inventory) else {
        return EndpointView::default();
    };
    if inventory.machines.is_empty() || !means.kubernetes.is_ready(endpoint).await {
        return EndpointView::default();
    }
    let (nodes, tokens, addons, serving) = tokio::join!(
        means.kubernetes.nodes(endpoint),
        token_views(inventory, endpoint, means),
        addon_states(intent, endpoint, means),
        serving_views(intent, endpoint, means),
    );
    EndpointView {
        ready: true,
        nodes: nodes.ok(),
        tokens,
        addons,
        serving,
    }
}

/// Without groups of nodes nobody joins by a token.
async fn token_views(
    inventory: &Inventory,
    endpoint: SocketAddr,
    means: &Means,
) -> Option<Vec<TokenView>> {
    if inventory.node_groups.is_empty() {
        return None;
    }
    means.kubernetes.tokens(endpoint).await.ok()
}

/// How addons are, where there are any: stand-ins have none.
async fn addon_states(
    intent: &Intent,
    endpoint: SocketAddr,
    means: &Means,
) -> Option<BTreeMap<String, AddonState>> {
    let spec = &intent.spec;
    if !addons::is_kubernetes(spec) {
        return None;
    }
    let wanted = addons::all(spec, means.authorities.kubelet_ca(), intent.runs_pods());
    let mut states = means.kubernetes.addons(endpoint, &wanted).await;
    if states.is_err() {
        tokio::time::sleep(means.pace).await;
        states = means.kubernetes.addons(endpoint, &wanted).await;
    }
    Some(states.unwrap_or_else(|error| {
        let why = match error.causes.first() {
            Some(cause) => cause.clone(),
            None => error.message.clone(),
        };
        let unknown = |addon: addons::Addon| (addon.name, AddonState::Unknown { why: why.clone() });
        wanted.into_iter().map(unknown).collect()
    }))
}

/// Hollow nodes serve nobody.
async fn serving_views(intent: &Intent, endpoint: SocketAddr, means: &Means) -> Vec<ServingView> {
    if intent.spec.programs.pods.is_none() {
        return Vec::new();
    }
    let looked = serving::look(endpoint, means, &intent.spec.cluster).await;
    looked.unwrap_or_else(|error| {
        tracing::debug!(%error, "kubelets' requests for certificates weren't seen");
        Vec::new()
    })
}

fn has_context(intent: &Intent, inventory: &Inventory, means: &Means) -> bool {
    endpoint(intent, inventory).is_some_and(|endpoint| {
        let server = kubeconfig::server_url(endpoint);
        kubeconfig::reaches(
            &means.kubeconfig,
            &means.context,
            &server,
            means.authorities.kubernetes_ca(),
        )
    })
}
