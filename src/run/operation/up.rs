//! `up`: a cluster with one replica.

use super::{Operation, conduct, preflight};
use crate::addons;
use crate::cluster::{ClusterSpec, Intent, with_first_host};
use crate::error::{Error, Result};
use crate::output::Event;
use crate::pki::Authorities;
use crate::run::{Means, Session, Stored, manifests};
use crate::settings::{ProviderKind, Resolved, table};
use std::collections::BTreeMap;

/// Makes the cluster that the settings describe; of one that is there already, finishes what is
/// unfinished.
///
/// # Errors
/// The cluster exists with other settings than those given now; the preflight found something; a step
/// failed.
pub async fn up(session: &Session) -> Result<()> {
    conduct(session, "up", async |operation| {
        run(session, operation).await
    })
    .await
}

async fn run(session: &Session, operation: &mut Operation<'_>) -> Result<()> {
    let existing = session.stored().await?;
    let fresh = existing.is_none();
    let mut changes_addons = false;
    let mut stored = match existing {
        Some(_) => {
            let stored = session.present().await?;
            let then = stored.intent.spec.addons.clone();
            let stored = check_existing(session, stored)?;
            changes_addons = stored.intent.spec.addons != then;
            stored
        }
        None => Stored {
            intent: new_intent(session).await?,
            unfinished: None,
        },
    };
    let spec = stored.intent.spec.clone();
    let (authorities, new) = match session.authorities().await? {
        Some(authorities) => (authorities, false),
        None => (new_authorities(session, &stored.intent)?, true),
    };
    let means = operation
        .connect(&spec, stored.unfinished.as_ref(), authorities)
        .await?;
    if fresh {
        let zones = preflight::zones(&means).await?;
        let free = preflight::free_hosts(&means).await?;
        stored.intent = with_first_host(stored.intent.with_nodes_spread(&zones), free.as_ref())?;
        preflight::new_cluster(session, &stored.intent, &zones, &means).await?;
        stored = operation.store(&stored.intent, "up", None).await?;
    } else if changes_addons {
        check_manifests(&stored.intent, &means).await?;
        operation.write(&stored).await?;
    }
    if new {
        operation.write(&means.authorities.to_documents()).await?;
    }
    operation.converge(&mut stored, &means).await?;
    tell_next(session, &stored.intent);
    Ok(())
}

async fn new_intent(session: &Session) -> Result<Intent> {
    let settings = &session.resolved.settings;
    let network = &settings.network;
    if settings.provider == ProviderKind::Gce
        && network.ssh_sources.is_none()
        && !network.others_make_firewalls
    {
        return Err(Error::bad_input("from where replicas take ssh isn't known")
            .because("hakube puts their certificates on them by ssh, and doesn't open that port to the world")
            .hint("name your own address: --ssh-source 203.0.113.7/32; or, if the network lets you in already: --ssh-source none"));
    }
    if settings.provider == ProviderKind::Hosts && settings.hosts.is_none() {
        return Err(
            Error::bad_input("no hosts are named to make the cluster of")
                .hint("name their inventory (docs/hosts.md): --hosts FILE"),
        );
    }
    // A file that is no manifest is found before anything is downloaded.
    let own = manifests::read(&settings.addons.manifests)?;
    let programs = session
        .connect
        .programs(settings, &session.path, session.reporter.as_ref())
        .await?;
    let mut intent = Intent::new(ClusterSpec::new(settings, programs));
    intent.spec.addons.manifests = own;
    intent.given = lasting(&session.resolved);
    Ok(intent)
}

/// An `up` of what is there already changes nothing; one that asks for something else is told so.
fn check_existing(session: &Session, mut stored: Stored) -> Result<Stored> {
    let cluster = session.cluster();
    let resolved = &session.resolved;
    if resolved.is_given(&table::ALLOWED_UNREADY) {
        let allowed = resolved.settings.nodes.allowed_unready;
        stored.intent.spec.node_machines.allowed_unready = allowed;
    }
    change_addons(resolved, &mut stored.intent)?;
    let given = resolved
        .values
        .iter()
        .filter(|value| value.origin.is_given());
    let differing: Vec<String> = given
        .filter_map(|value| {
            let then = stored.intent.given.get(value.key)?;
            (*then != value.value).then(|| {
                format!(
                    "{}={} ({}); it was made with {then}",
                    value.key, value.value, value.origin
                )
            })
        })
        .collect();
    if !differing.is_empty() {
        return Err(Error::refused(format!("cluster {cluster} exists, with other settings"))
            .because(differing.join("\n"))
            .hint("up doesn't change a cluster that exists: leave these settings out, or choose another CLUSTER_NAME"));
    }
    for key in unknown_then(resolved, &stored.intent) {
        session.reporter.event(&Event::warning(format!(
            "{key} has no effect: cluster {cluster} was made before hakube knew it, and stays as it was"
        )));
    }
    session
        .reporter
        .event(&Event::note(match &stored.unfinished {
            None => format!("cluster {cluster} exists already"),
            Some(unfinished) => format!(
                "cluster {cluster} exists; finishing {}, begun {} by {}",
                unfinished.operation, unfinished.started, unfinished.by
            ),
        }));
    Ok(stored)
}

/// Addons are switched on and off as long as a cluster lives.
fn change_addons(resolved: &Resolved, intent: &mut Intent) -> Result<()> {
    let wishes = &resolved.settings.addons;
    let addons = &mut intent.spec.addons;
    if resolved.is_given(&table::POD_NETWORK) {
        addons.pod_network = wishes.pod_network;
    }
    if resolved.is_given(&table::CLUSTER_DNS) {
        addons.cluster_dns = wishes.cluster_dns;
    }
    if resolved.is_given(&table::METRICS_SERVER) {
        addons.metrics_server = wishes.metrics_server;
    }
    if resolved.is_given(&table::MANIFESTS) {
        addons.manifests = manifests::read(&wishes.manifests)?;
    }
    Ok(())
}

/// What the API server refuses isn't stored: every later command would fail at it.
async fn check_manifests(intent: &Intent, means: &Means) -> Result<()> {
    let spec = &intent.spec;
    let all = addons::all(spec, means.authorities.kubelet_ca(), intent.runs_pods());
    let Some(own) = all.iter().find(|addon| addon.name == addons::MANIFESTS) else {
        return Ok(());
    };
    let inventory = means.provider.inspect(&spec.cluster).await?;
    let reserved = inventory.address.map(|address| address.address);
    match spec.endpoint_at(reserved) {
        Some(endpoint) if means.kubernetes.is_ready(endpoint).await => {
            means.kubernetes.check_addon(endpoint, own).await
        }
        _ => Ok(()),
    }
}

/// Settings that were given and that the cluster would keep for life, had there been such when it was made.
fn unknown_then<'a>(
    resolved: &'a Resolved,
    intent: &'a Intent,
) -> impl Iterator<Item = &'static str> + 'a {
    let kept = lasting(resolved);
    let given = resolved
        .values
        .iter()
        .filter(|value| value.origin.is_given());
    given
        .map(|value| value.key)
        .filter(move |key| kept.contains_key(*key))
        .filter(|key| !intent.given.is_empty() && !intent.given.contains_key(*key))
}

/// The settings that a cluster keeps for life; the others are an invocation's own.
fn lasting(resolved: &Resolved) -> BTreeMap<String, String> {
    let commands = [
        &table::REPLICATE_EXISTING,
        &table::USE_EXISTING,
        &table::DELETE_NODES,
        &table::REPLICA_NAME,
        // For whom it is too late to want all nodes.
        &table::ALLOWED_UNREADY,
        &table::POD_NETWORK,
        &table::CLUSTER_DNS,
        &table::METRICS_SERVER,
        &table::MANIFESTS,
        // Each operator's own way to the hosts.
        &table::LIBVIRT_ZONES,
        &table::HOSTS,
    ];
    let passing = table::THIS_MACHINE.settings.iter().copied().chain(commands);
    let lasting = resolved
        .values
        .iter()
        .filter(|value| passing.clone().all(|setting| setting.key != value.key));
    lasting
        .map(|value| (value.key.to_owned(), value.value.clone()))
        .collect()
}

/// A cluster's authorities are made once. Those of an etcd that holds data are never made again.
fn new_authorities(session: &Session, intent: &Intent) -> Result<Authorities> {
    if intent.formed {
        return Err(Error::failed(format!(
            "the keys of cluster {} are gone from the store",
            session.cluster()
        ))
        .because("without them nobody can talk to its etcd and API")
        .hint("restore pki.json from a backup of the state directory"));
    }
    Ok(Authorities::generate(intent.spec.pki, session.clock.now())?)
}

/// What a control plane of this size survives, and what to run next.
pub(super) fn tell_next(session: &Session, intent: &Intent) {
    if session.dry_run {
        return;
    }
    let count = intent.replicas.len();
    let survives = intent.full_quorum().survives();
    let replicas = if count == 1 {
        "1 replica".to_owned()
    } else {
        format!("{count} replicas")
    };
    let failures = if survives == 1 {
        "1 failure".to_owned()
    } else {
        format!("{survives} failures")
    };
    let next = if survives > 0 {
        String::new()
    } else if intent.spec.multizone {
        "; next: hakube replicate".to_owned()
    } else {
        format!(
            "; next: hakube replicate --zone {}",
            intent.spec.zone.name()
        )
    };
    session.reporter.event(&Event::note(format!(
        "cluster {} has {replicas} and survives {failures}{next}",
        session.cluster()
    )));
    let decisive = intent.decisive_zones();
    if !decisive.is_empty() {
        let zones: Vec<String> = decisive
            .iter()
            .map(|(zone, there)| format!("{zone} ({there} of {count} members of etcd)"))
            .collect();
        session.reporter.event(&Event::warning(format!(
            "the loss of zone {} would cost etcd its quorum; an odd number of replicas, spread evenly over three zones, \
             survives that of any: hakube replicate --zone ZONE, then hakube down --replica NAME",
            zones.join(" or ")
        )));
    }
}
