//! `up`: a cluster with one replica.

use super::Operation;
use crate::cluster::{ClusterSpec, Intent, Phase};
use crate::error::{Error, Result};
use crate::kubeconfig;
use crate::output::Event;
use crate::pki::Authorities;
use crate::run::{Session, Stored, programs};
use crate::settings::{Resolved, table};
use hakube_provider::{PreflightSpec, Provider};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Makes the cluster that the settings describe; of one that is there already, finishes what is
/// unfinished.
///
/// # Errors
/// The cluster exists with other settings than those given now; the preflight found something; a step
/// failed.
pub async fn up(session: &Session) -> Result<()> {
    let mut operation = Operation::begin(session, "up").await?;
    let mut calls = 0;
    let result = run(session, &mut operation, &mut calls).await;
    operation.end(result, calls).await
}

async fn run(session: &Session, operation: &mut Operation<'_>, calls: &mut u64) -> Result<()> {
    let existing = session.stored().await?;
    let fresh = existing.is_none();
    let mut stored = match existing {
        Some(stored) => check_existing(session, stored)?,
        None => Stored { intent: new_intent(session)?, unfinished: None },
    };
    let spec = stored.intent.spec.clone();
    let backend = session.backend(&spec, true).await?;
    if fresh {
        check_kubeconfig(session)?;
        check_zone(session, backend.provider.as_ref()).await?;
        preflight(&stored.intent, backend.provider.as_ref()).await?;
        stored = operation.store(&stored.intent, "up", None).await?;
    }
    let authorities = authorities(session, &stored.intent).await?;
    let means = session.means(&spec, backend, authorities)?;
    tell_stand_ins(session, &spec);
    let result = operation.converge(&mut stored, &means).await;
    *calls = means.provider.calls();
    result?;
    if !session.dry_run {
        tell_next(session, &stored.intent);
    }
    Ok(())
}

fn new_intent(session: &Session) -> Result<Intent> {
    let settings = &session.resolved.settings;
    let programs = programs::find(settings, &session.path)?;
    let mut intent = Intent::new(ClusterSpec::new(settings, programs));
    intent.given = lasting(&session.resolved);
    Ok(intent)
}

/// An `up` of what is there already changes nothing; one that asks for something else is told so.
fn check_existing(session: &Session, stored: Stored) -> Result<Stored> {
    let cluster = session.cluster();
    if stored.intent.phase == Phase::Absent {
        return Err(Error::refused(format!("cluster {cluster} is being deleted"))
            .hint("to finish that: hakube down"));
    }
    let resolved = &session.resolved;
    let given = resolved.values.iter().filter(|value| value.origin.is_given());
    let differing: Vec<String> = given
        .filter_map(|value| {
            let then = stored.intent.given.get(value.key)?;
            (*then != value.value).then(|| {
                format!("{}={} ({}); it was made with {then:?}", value.key, value.value, value.origin)
            })
        })
        .collect();
    if !differing.is_empty() {
        return Err(Error::refused(format!("cluster {cluster} exists, with other settings"))
            .because(differing.join("\n"))
            .hint("up doesn't change a cluster that exists: leave these settings out, or choose another CLUSTER_NAME"));
    }
    session.reporter.event(&Event::note(match &stored.unfinished {
        None => format!("cluster {cluster} exists already"),
        Some(unfinished) => format!(
            "cluster {cluster} exists; finishing {}, begun {} by {}",
            unfinished.operation, unfinished.started, unfinished.by
        ),
    }));
    Ok(stored)
}

/// The settings that a cluster keeps for life; the others are an invocation's own.
fn lasting(resolved: &Resolved) -> BTreeMap<String, String> {
    let commands = [&table::REPLICATE_EXISTING, &table::USE_EXISTING, &table::DELETE_NODES, &table::REPLICA_NAME];
    let passing = table::THIS_MACHINE.settings.iter().copied().chain(commands);
    let lasting = resolved.values.iter().filter(|value| passing.clone().all(|setting| setting.key != value.key));
    lasting.map(|value| (value.key.to_owned(), value.value.clone())).collect()
}

/// A kubeconfig that can't be written is known before anything is made.
fn check_kubeconfig(session: &Session) -> Result<()> {
    if session.dry_run {
        return Ok(());
    }
    let settings = &session.resolved.settings;
    kubeconfig::check(&kubeconfig::Paths::new(&settings.kubeconfig), &settings.kube_context).map_err(|error| {
        Error::from(error).because(session.resolved.quote(&table::KUBECONFIG))
    })
}

/// Only the provider knows which zones there are.
async fn check_zone(session: &Session, provider: &dyn Provider) -> Result<()> {
    let zone = &session.resolved.settings.zone;
    let up = provider.zones().await?;
    if up.iter().any(|known| known == zone.name()) {
        return Ok(());
    }
    let error = Error::bad_input(format!("{}: there is no such zone, or it is down", session.resolved.quote(&table::ZONE)));
    Err(if up.is_empty() {
        error.hint(format!("{} has no region {}; a zone is, for example, europe-west1-b", session.resolved.settings.provider.name(), zone.region()))
    } else {
        error.hint(format!("the zones of {}: {}", zone.region(), up.join(", ")))
    })
}

async fn preflight(intent: &Intent, provider: &dyn Provider) -> Result<()> {
    let mut machine_types = vec![intent.spec.replica_machines.machine_type.clone()];
    if intent.node_count() > 0 {
        machine_types.push(intent.spec.node_machines.machine_type.clone());
    }
    let spec = PreflightSpec { zones: vec![intent.spec.zone.name().to_owned()], machine_types };
    let mut findings = provider.preflight(&spec).await?.into_iter();
    let Some(first) = findings.next() else { return Ok(()) };
    let rest: Vec<String> = findings.map(|finding| finding.to_string()).collect();
    let error = Error::from(first);
    Err(if rest.is_empty() { error } else { error.because(rest.join("\n")) })
}

/// The cluster's authorities, made once. Those of an etcd that holds data are never made again.
async fn authorities(session: &Session, intent: &Intent) -> Result<Authorities> {
    if let Some(authorities) = session.authorities().await? {
        return Ok(authorities);
    }
    if intent.formed {
        return Err(Error::failed(format!("the keys of cluster {} are gone from the store", session.cluster()))
            .because("without them nobody can talk to its etcd and API")
            .hint("restore pki.json from a backup of the state directory"));
    }
    let authorities = Authorities::generate(intent.spec.pki.into(), Timestamp::now())?;
    if !session.dry_run {
        session.store.write(session.cluster(), &authorities.to_documents()).await?;
    }
    Ok(authorities)
}

fn tell_stand_ins(session: &Session, spec: &ClusterSpec) {
    let names = spec.programs.stand_ins();
    if names.contains(&"kube-apiserver") {
        session.reporter.event(&Event::warning(format!(
            "no Kubernetes programs were found (--kube-binaries DIR), so {} are hakube's small stand-ins; etcd is real",
            names.join(", ")
        )));
    }
}

/// What a control plane of this size survives, and what to run next.
pub(super) fn tell_next(session: &Session, intent: &Intent) {
    let count = intent.replicas.len();
    let survives = intent.full_quorum().survives();
    let replicas = if count == 1 { "1 replica".to_owned() } else { format!("{count} replicas") };
    let failures = if survives == 1 { "1 failure".to_owned() } else { format!("{survives} failures") };
    let next = if survives > 0 {
        String::new()
    } else if intent.spec.multizone {
        "; next: hakube replicate".to_owned()
    } else {
        format!("; next: hakube replicate --zone {}", intent.spec.zone.name())
    };
    session.reporter.event(&Event::note(format!(
        "cluster {} has {replicas} and survives {failures}{next}",
        session.cluster()
    )));
}
