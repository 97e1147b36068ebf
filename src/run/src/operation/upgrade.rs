//! `upgrade`: brings all machines to other versions of Kubernetes and etcd, one at a time.

use super::{Operation, conduct, preflight, upgrade_gate};
use crate::request::Request;
use crate::{Means, Session, Stored, Turnover};
use hakube_error::{Error, Result};
use hakube_machine::{node_release, replica_release};
use hakube_model::{
    Intent, MarkView, Observed, PodPrograms, Programs, Upgrade, Versions, etcd_step,
    kubelet_version, kubernetes_step, upgrade_obstacles,
};
use hakube_output::Event;
use hakube_settings::table;
use std::collections::BTreeMap;

/// The settings that a cluster's programs come from. An upgrade inherits them.
const SOURCES: [&table::Setting; 21] = [
    &table::PROVIDER,
    &table::PROJECT,
    &table::COMPUTE_ENDPOINT,
    &table::COMPUTE_MACHINES,
    &table::ZONE,
    &table::KUBE_VERSION,
    &table::NUM_NODES,
    &table::REGISTER_MASTER,
    &table::ETCD_VERSION,
    &table::ETCD_BINARY,
    &table::KUBE_BINARIES,
    &table::STAND_INS,
    &table::KUBERNETES_RELEASES,
    &table::ETCD_RELEASES,
    &table::CONTAINERD_RELEASES,
    &table::RUNC_RELEASES,
    &table::CNI_RELEASES,
    &table::MIRROR,
    &table::IMAGES,
    &table::NODE_ARCH,
    &table::SHA256SUMS,
];

/// The settings of an existing cluster from which its programs come, by variable. What the operator sets goes first.
///
/// # Errors
/// There is no such cluster.
pub async fn program_sources(session: &Session) -> Result<BTreeMap<String, String>> {
    let given = session.existing().await?.intent.given;
    let sources = SOURCES.iter().filter_map(|setting| {
        let value = given.get(setting.key).filter(|value| !value.is_empty())?;
        Some((setting.key.to_owned(), value.clone()))
    });
    Ok(sources.collect())
}

/// An upgrade to the settings' versions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpgradeRequest {
    /// Whether to delete pods on nodes that a budget protects or that no controller recreates.
    pub force: bool,
    /// How nodes of groups are replaced.
    pub turnover: Turnover,
    /// Findings to ignore, by name or kind.
    pub ignored: Vec<String>,
}

/// Upgrades the cluster to the settings' versions of Kubernetes and etcd.
///
/// # Errors
/// There is no such cluster; the versions can't follow the present ones; something is in the way; a replica doesn't
/// serve with the new programs, and went back to the old ones.
pub async fn upgrade(session: &Session, request: UpgradeRequest) -> Result<()> {
    conduct(session, "upgrade", async |operation| {
        run(session, operation, &request).await
    })
    .await
}

async fn run(
    session: &Session,
    operation: &mut Operation<'_>,
    wish: &UpgradeRequest,
) -> Result<()> {
    let stored = session.present().await?;
    let versions = wanted(session, &stored.intent);
    let (mut stored, means) = if operation.goes_on(&stored, &request(&versions))? {
        let means = connect(operation, &stored, wish).await?;
        (stored, means)
    } else {
        if versions == stored.intent.spec.versions {
            session.reporter.event(&Event::note(format!(
                "cluster {} is at Kubernetes v{} already; for another version: hakube upgrade --kubernetes-version VERSION",
                session.cluster(),
                versions.kubernetes
            )));
            return Ok(());
        }
        check_steps(&stored.intent.spec.versions, &versions)?;
        begin(session, operation, stored, versions, wish).await?
    };
    operation.converge(&mut stored, &means).await?;
    if !session.dry_run {
        report(session, operation, &stored.intent, &means).await?;
    }
    Ok(())
}

/// The versions that the settings ask for. The container runtime's stay as they are.
fn wanted(session: &Session, intent: &Intent) -> Versions {
    let settings = &session.resolved.settings.versions;
    Versions {
        kubernetes: settings.kubernetes.clone(),
        etcd: settings.etcd.clone().or(intent.spec.versions.etcd.clone()),
        runtime: intent.spec.versions.runtime.clone(),
    }
}

fn request(versions: &Versions) -> Request {
    Request::Upgrade {
        kubernetes: versions.kubernetes.to_string(),
        etcd: versions.etcd.as_ref().map(ToString::to_string),
    }
}

fn check_steps(from: &Versions, to: &Versions) -> Result<()> {
    let kubernetes = kubernetes_step(&from.kubernetes, &to.kubernetes);
    let etcd = match (&from.etcd, &to.etcd) {
        (Some(from), Some(to)) => etcd_step(from, to),
        _ => None,
    };
    if kubernetes.is_none() && etcd.is_none() {
        return Ok(());
    }
    let shown = |versions: &Versions| match &versions.etcd {
        Some(etcd) => format!("Kubernetes v{} and etcd {etcd}", versions.kubernetes),
        None => format!("Kubernetes v{}", versions.kubernetes),
    };
    let mut error = Error::refused(format!(
        "can't upgrade from {} to {}",
        shown(from),
        shown(to)
    ));
    if let Some(why) = kubernetes {
        error = error.because(format!("Kubernetes: {why}"));
    }
    if let Some(why) = etcd {
        error = error.because(format!("etcd: {why}"));
    }
    Err(error.hint("choose another version: --kubernetes-version, --etcd-version"))
}

async fn connect(
    operation: &mut Operation<'_>,
    stored: &Stored,
    wish: &UpgradeRequest,
) -> Result<Means> {
    let mut means = operation.connect_existing(stored).await?;
    means.drain.force = wish.force;
    means.turnover = wish.turnover;
    Ok(means)
}

async fn begin(
    session: &Session,
    operation: &mut Operation<'_>,
    stored: Stored,
    versions: Versions,
    wish: &UpgradeRequest,
) -> Result<(Stored, Means)> {
    let settings = &session.resolved.settings;
    let found = session
        .connect
        .programs(settings, &session.path, session.reporter.as_ref())
        .await?;
    let programs = replaced(&stored.intent, found, &versions);
    let means = connect(operation, &stored, wish).await?;
    // With an upgrade in the intent, the machines' releases are observed too.
    let draft = stored
        .intent
        .upgraded(versions.clone(), programs.clone(), &Observed::default());
    let observed = operation.observe(&draft, &means).await?;
    let obstacles = upgrade_obstacles(&draft, &observed);
    if !obstacles.is_empty() {
        let error = Error::refused(format!("can't upgrade cluster {} now", session.cluster()));
        return Err(named(error, &obstacles).hint("fix it first: hakube repair"));
    }
    let mut intent = stored.intent.upgraded(versions, programs, &observed);
    record(&mut intent);
    let to = &intent.spec.versions.kubernetes;
    upgrade_gate::check(operation, &stored, &observed, &means, to, &wish.ignored).await?;
    preflight::drainable(&intent, &observed, &means).await?;
    if session.dry_run {
        let stored = Stored { intent, ..stored };
        return Ok((stored, means));
    }
    let request = request(&intent.spec.versions);
    let stored = operation
        .store(&intent, request, Some(&stored.intent))
        .await?;
    Ok((stored, means))
}

/// The cluster's programs with those that the upgrade replaces. The container runtime stays as it is, and so does etcd
/// if its version does.
fn replaced(intent: &Intent, found: Programs, versions: &Versions) -> Programs {
    let old = &intent.spec.programs;
    let same_etcd = intent.spec.versions.etcd == versions.etcd;
    let pods = match (&old.pods, found.pods) {
        (Some(old), Some(new)) => Some(PodPrograms {
            kube_proxy: new.kube_proxy,
            images: new.images,
            deferred_images: new.deferred_images,
            ..old.clone()
        }),
        _ => old.pods.clone(),
    };
    Programs {
        etcd: if same_etcd {
            old.etcd.clone()
        } else {
            found.etcd
        },
        pods,
        ..found
    }
}

/// Records the versions among the settings that the cluster has, so that `up` accepts them and refuses the old ones.
fn record(intent: &mut Intent) {
    let versions = &intent.spec.versions;
    let etcd = versions.etcd.as_ref().map(ToString::to_string);
    let kubernetes = Some(format!("v{}", versions.kubernetes));
    for (setting, value) in [
        (&table::KUBE_VERSION, kubernetes),
        (&table::ETCD_VERSION, etcd),
    ] {
        if let (Some(given), Some(value)) = (intent.given.get_mut(setting.key), value) {
            *given = value;
        }
    }
}

/// Adds each machine that is in the way, with the reason.
fn named(error: Error, machines: &[(String, String)]) -> Error {
    machines.iter().fold(error, |error, (name, why)| {
        error.because(format!("{name}: {why}"))
    })
}

/// Ends the upgrade in the intent, if all machines that it changes have the new release.
///
/// # Errors
/// Some haven't, each with the reason.
pub(super) fn complete(intent: &mut Intent, observed: &Observed) -> Result<()> {
    if intent.upgrade.is_none() {
        return Ok(());
    }
    let replica = replica_release(&intent.spec).mark;
    let replicas = intent
        .replicas
        .iter()
        .map(|one| (&one.name, replica.clone()));
    let groups = observed.inventory.node_groups.iter();
    let nodes = groups.filter(|_| intent.upgrades_nodes_in_place());
    let nodes = nodes.flat_map(|group| {
        let mark = node_release(&intent.spec, &group.zone).mark;
        group.machines.iter().map(move |name| (name, mark.clone()))
    });
    let behind: Vec<(String, String)> = replicas
        .chain(nodes)
        .filter_map(|(name, mark)| {
            let why = match observed.releases.get(name) {
                Some(MarkView::InForce(has)) if *has == mark => return None,
                Some(MarkView::InForce(_)) => "it still has the old programs".to_owned(),
                Some(MarkView::Fixed) => "it can't be upgraded in place".to_owned(),
                Some(MarkView::Unknown { why }) => why.clone(),
                None => "its machine isn't running".to_owned(),
            };
            Some((name.clone(), why))
        })
        .collect();
    if !behind.is_empty() {
        let error = Error::failed(format!(
            "not all machines run Kubernetes v{} yet",
            intent.spec.versions.kubernetes
        ));
        return Err(named(error, &behind)
            .hint("bring them back, or replace them (hakube repair); then: hakube upgrade"));
    }
    intent.upgrade = None;
    Ok(())
}

/// Says which version the cluster has, and which nodes have another: those that hakube didn't create.
async fn report(
    session: &Session,
    operation: &Operation<'_>,
    intent: &Intent,
    means: &Means,
) -> Result<()> {
    let version = &intent.spec.versions.kubernetes;
    session.reporter.event(&Event::note(format!(
        "cluster {} runs Kubernetes v{version}",
        session.cluster()
    )));
    let observed = operation.look(intent, means).await?;
    let old = observed.nodes.iter().flatten().filter(|node| {
        !node.control_plane
            && kubelet_version(node).is_some_and(|runs| !runs.cmp_precedence(version).is_eq())
    });
    let old: Vec<&str> = old.map(|node| node.name.as_str()).collect();
    if !old.is_empty() {
        session.reporter.event(&Event::warning(format!(
            "these nodes run another kubelet, which may be up to {} minor versions behind: {}. hakube didn't create them",
            hakube_model::KUBELET_SKEW,
            old.join(", ")
        )));
    }
    Ok(())
}

/// Goes back to the release before an unfinished upgrade.
///
/// # Errors
/// All replicas run another minor version already, and etcd's data may be in its form.
pub(super) async fn abandon(
    operation: &Operation<'_>,
    stored: &Stored,
    upgrade: &Upgrade,
    means: &Means,
) -> Result<Stored> {
    let observed = operation.observe(&stored.intent, means).await?;
    let spec = &stored.intent.spec;
    let mark = replica_release(spec).mark;
    let mut replicas = stored.intent.replicas.iter();
    let all_new = replicas.all(|replica| {
        matches!(observed.releases.get(&replica.name), Some(MarkView::InForce(has)) if *has == mark)
    });
    let (from, to) = (&upgrade.from.kubernetes, &spec.versions.kubernetes);
    if all_new && from.minor < to.minor {
        return Err(Error::refused(format!(
            "all replicas run Kubernetes v{to} already, so the upgrade can only be finished"
        ))
        .because("Kubernetes can't go back to an earlier minor version")
        .hint("to finish it: hakube upgrade"));
    }
    let (versions, programs) = (upgrade.from.clone(), upgrade.programs.clone());
    let mut intent = stored.intent.upgraded(versions, programs, &observed);
    if let Some(back) = &mut intent.upgrade {
        // The nodes that this upgrade cordoned aren't the operator's.
        back.cordoned.clone_from(&upgrade.cordoned);
    }
    record(&mut intent);
    operation
        .store(&intent, Request::Abandon, Some(&intent))
        .await
}
