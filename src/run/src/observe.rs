//! Observes the cluster, everything at the same time.

mod data;
mod disks;

use super::machines::running;
use super::{Means, certificates, hold, record, releases, serving, trust};
use futures::future::join_all;
use hakube_addons as addons;
use hakube_channel::Door;
use hakube_error::Result;
use hakube_etcd::{CLIENT_PORT, EtcdError, EtcdResult, Member, MemberStatus, peer_url};
use hakube_kubeconfig as kubeconfig;
use hakube_model::{
    AddonState, AlarmView, ApiView, Certificate, Endpoint, EtcdView, HoldView, Intent, MemberRole,
    MemberView, NodeView, Observed, RecordView, ServingView, Skew, TokenView,
};
use hakube_provider::{Inventory, Machine, MachineRef};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Observes the provider, etcd, every API server and the endpoint.
///
/// # Errors
/// The provider can't be reached. Any other failure is part of the result.
pub async fn observe(intent: &Intent, means: &Means) -> Result<Observed> {
    let inventory = means.provider.inspect(&intent.spec.mark()).await?;
    let (etcd, apis, holds, clocks, disks, certificates, seen) = tokio::join!(
        etcd_seen(&inventory, means),
        api_views(intent, &inventory, means),
        hold_views(intent, &inventory, means),
        clocks(intent, &inventory, means),
        disks::look(intent, &inventory, means),
        certificates::look(intent, &inventory, means),
        endpoint_view(intent, &inventory, means),
    );
    // After the others: by default, sshd allows ten channels per connection.
    let trust = trust::look(intent, &inventory, means).await;
    let releases = releases::look(intent, &inventory, means).await;
    let data = data::conditions(intent, &inventory, &etcd.view, means).await;
    let is_due = |certificate: &Certificate| certificate.is_due(certificates.at);
    let kubeconfig = has_context(intent, &inventory, means)
        && !certificates.kubeconfig.as_ref().is_some_and(is_due);
    Ok(Observed {
        inventory,
        etcd: etcd.view,
        data,
        alarms: etcd.alarms,
        record: etcd.record,
        disks,
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
        trust,
        releases,
    })
}

/// etcd's members, alarms and record.
#[derive(Default)]
struct EtcdSeen {
    view: EtcdView,
    alarms: Vec<AlarmView>,
    record: RecordView,
}

impl EtcdSeen {
    fn unknown(why: impl ToString) -> Self {
        let why = why.to_string();
        Self {
            view: EtcdView::Unknown { why },
            ..Self::default()
        }
    }
}

/// Connections to the members on running machines.
async fn etcd_doors(inventory: &Inventory, means: &Means) -> Vec<Result<Door>> {
    join_all(running(inventory).map(|machine| means.channel.reach(machine, CLIENT_PORT))).await
}

/// The connections that could be opened.
pub(super) async fn open_doors(inventory: &Inventory, means: &Means) -> Vec<Door> {
    let doors = etcd_doors(inventory, means).await;
    doors.into_iter().flatten().collect()
}

async fn etcd_seen(inventory: &Inventory, means: &Means) -> EtcdSeen {
    if inventory.machines.is_empty() {
        // An unreachable zone may have machines.
        return match inventory.unreachable.iter().next() {
            None => EtcdSeen::default(),
            Some((zone, why)) => EtcdSeen::unknown(format!("zone {zone} is unreachable: {why}")),
        };
    }
    let doors = etcd_doors(inventory, means).await;
    let (open, closed): (Vec<_>, Vec<_>) = doors.into_iter().partition(Result::is_ok);
    let doors: Vec<Door> = open.into_iter().flatten().collect();
    if let (true, Some(Err(error))) = (doors.is_empty(), closed.first()) {
        return EtcdSeen::unknown(error);
    }
    let members = match twice(means, async || means.etcd.members(&doors).await).await {
        Ok(members) => members,
        Err(error) => return EtcdSeen::unknown(error),
    };
    let (alarms, record) = tokio::join!(
        means.etcd.alarms(&doors),
        record::look(means.etcd.as_ref(), &doors),
    );
    // Members are still of use without the alarms.
    let alarms = alarms.unwrap_or_default().into_iter().map(|(id, alarm)| {
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
            Some(door) => twice(means, async || match member.learner {
                true => means.etcd.learner_status(door).await,
                false => means.etcd.status(door).await,
            })
            .await
            .ok(),
            None => None,
        };
        // Before a new member starts, an earlier one may still respond on its machine.
        let status = status.filter(|status| !member.name.is_empty() || status.id == member.id);
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
        record,
    }
}

/// Retries once, after a moment, if the first response was lost. A lost response doesn't prove the target dead.
async fn again<T>(means: &Means, is_lost: impl Fn(&T) -> bool, ask: impl AsyncFn() -> T) -> T {
    let answer = ask().await;
    if !is_lost(&answer) {
        return answer;
    }
    tokio::time::sleep(means.pace).await;
    ask().await
}

async fn twice<T>(means: &Means, ask: impl AsyncFn() -> EtcdResult<T>) -> EtcdResult<T> {
    let is_lost = |answer: &EtcdResult<T>| answer.as_ref().is_err_and(EtcdError::is_transient);
    again(means, is_lost, ask).await
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

/// A member without a machine: its own name, or its id as etcd writes it.
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
        // A member publishes its name some time after it has started.
        started: !member.name.is_empty() || status.is_some(),
        healthy: status.is_some_and(|status| status.leader != 0),
        peer_urls: member.peer_urls.clone(),
        version: status.map(|status| status.version.clone()),
        database: status.map(|status| status.database),
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

/// The replicas' clocks relative to this host's, taken at the middle of the request.
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
        let is_lost = |view: &HoldView| matches!(view, HoldView::Unknown { .. });
        let view = again(means, is_lost, async || {
            hold::view(means.channel.as_ref(), &asked).await
        });
        let view = view.await;
        (asked.name, view)
    });
    join_all(views).await.into_iter().collect()
}

/// Where clients reach the cluster, once known.
fn endpoint(intent: &Intent, inventory: &Inventory) -> Option<SocketAddr> {
    let reserved = inventory.address.as_ref().map(|address| address.address);
    intent.spec.endpoint_at(reserved)
}

/// What the endpoint's API server reports.
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

/// The tokens, if there are node groups: other nodes don't use them.
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

/// The addons' states. Stand-ins have no addons.
async fn addon_states(
    intent: &Intent,
    endpoint: SocketAddr,
    means: &Means,
) -> Option<BTreeMap<String, AddonState>> {
    let spec = &intent.spec;
    if !addons::is_kubernetes(spec) {
        return None;
    }
    let wanted = means.addons(intent);
    let states = again(means, Result::is_err, async || {
        means.kubernetes.addons(endpoint, &wanted).await
    });
    let states = states.await;
    Some(states.unwrap_or_else(|error| {
        let why = match error.causes.first() {
            Some(cause) => cause.clone(),
            None => error.message.clone(),
        };
        let unknown = |addon: addons::Addon| (addon.name, AddonState::Unknown { why: why.clone() });
        wanted.into_iter().map(unknown).collect()
    }))
}

/// Requests for serving certificates. Hollow nodes make none.
async fn serving_views(intent: &Intent, endpoint: SocketAddr, means: &Means) -> Vec<ServingView> {
    if intent.spec.programs.pods.is_none() {
        return Vec::new();
    }
    let looked = serving::look(endpoint, means, &intent.spec.mark()).await;
    looked.unwrap_or_else(|error| {
        tracing::debug!(%error, "could not list kubelets' certificate requests");
        Vec::new()
    })
}

fn has_context(intent: &Intent, inventory: &Inventory, means: &Means) -> bool {
    let id = intent.spec.id();
    endpoint(intent, inventory).is_some_and(|endpoint| {
        let server = kubeconfig::server_url(endpoint);
        let is_owned = |id| kubeconfig::is_owned(&means.kubeconfig, &means.context, id);
        id.is_none_or(is_owned)
            && kubeconfig::reaches(
                &means.kubeconfig,
                &means.context,
                &server,
                means.authorities.kubernetes_ca(),
            )
    })
}
