//! `up`: creates a cluster with one replica.

use super::belief::new_id;
use super::{Operation, conduct, preflight};
use crate::request::Request;
use crate::{Means, Session, Stored, manifests};
use hakube_addons as addons;
use hakube_error::{Error, Result};
use hakube_model::ProviderKind;
use hakube_model::{AtRest, Identity, Intent, with_first_host};
use hakube_output::Event;
use hakube_pki::Authorities;
use hakube_settings::{Resolved, table};
use std::collections::BTreeMap;

/// Creates the cluster that the settings describe. If it exists, finishes what is unfinished.
///
/// # Errors
/// The cluster exists with other settings; the preflight found a problem; a step failed.
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
        stored
            .intent
            .spec
            .local_cloud
            .clone_from(&means.local_cloud);
        let zones = preflight::zones(&means).await?;
        let free = preflight::free_hosts(&means).await?;
        // No node can use the first replica's host.
        stored.intent = with_first_host(stored.intent, free.as_ref())?.with_nodes_spread(&zones);
        preflight::new_cluster(session, &stored.intent, &zones, &means).await?;
        stored = operation.store(&stored.intent, Request::Up, None).await?;
    } else if changes_addons {
        // Don't overwrite a newer intent with an old copy.
        operation.observe(&stored.intent, &means).await?;
        check_manifests(&stored.intent, &means).await?;
        operation.write(&stored).await?;
    }
    if new {
        operation.write(&means.authorities.to_documents()).await?;
    }
    operation.converge(&mut stored, &means).await?;
    tell_next(session, &stored.intent);
    if let Some(text) = without_nodes(&stored.intent).filter(|_| !session.dry_run) {
        session.reporter.event(&Event::note(text));
    }
    Ok(())
}

/// What doesn't run in a cluster without nodes. Hollow nodes run nothing anyway.
fn without_nodes(intent: &Intent) -> Option<String> {
    let spec = &intent.spec;
    if intent.node_count() > 0 || spec.programs.pods.is_none() {
        return None;
    }
    let runs = if spec.replicas_are_nodes() {
        "pods stay pending unless they tolerate the replicas' taint node-role.kubernetes.io/control-plane, \
         as DNS and metrics-server do"
    } else {
        "all pods stay pending, also those of DNS and metrics-server"
    };
    Some(format!(
        "there are no nodes: {runs}; next: hakube nodes scale 3"
    ))
}

async fn new_intent(session: &Session) -> Result<Intent> {
    let settings = &session.resolved.settings;
    let network = &settings.network;
    if settings.provider == ProviderKind::Gce
        && network.ssh_sources.is_none()
        && !network.others_make_firewalls
    {
        return Err(Error::bad_input("no source address range is set for SSH to the replicas")
            .because("hakube installs certificates over SSH, and doesn't open that port to the whole internet")
            .hint("set your own address: --ssh-source 203.0.113.7/32; if the network admits you already: --ssh-source none"));
    }
    if settings.provider == ProviderKind::Hosts && settings.hosts.is_none() {
        return Err(Error::bad_input("no inventory of hosts is set")
            .hint("set the inventory (docs/hosts.md): --hosts FILE"));
    }
    // Invalid manifests are reported before anything is downloaded.
    let own = manifests::read(&settings.addons.manifests)?;
    let programs = session
        .connect
        .programs(settings, &session.path, session.reporter.as_ref())
        .await?;
    let mut intent = Intent::new(settings.spec(programs));
    intent.spec.identity = Some(Identity::new(new_id()));
    intent.spec.addons.manifests = own;
    intent.given = lasting(&session.resolved);
    Ok(intent)
}

/// Refuses settings that differ from the existing cluster's.
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
                    "{}={} ({}); it was created with {then}",
                    value.key, value.value, value.origin
                )
            })
        })
        .collect();
    if !differing.is_empty() {
        return Err(Error::refused(format!("cluster {cluster} exists with other settings"))
            .because(differing.join("\n"))
            .hint("up doesn't change an existing cluster: leave these settings out, or choose another CLUSTER_NAME"));
    }
    for key in unknown_then(resolved, &stored.intent) {
        session.reporter.event(&Event::warning(format!(
            "{key} has no effect: cluster {cluster} was created before hakube had this setting"
        )));
    }
    session
        .reporter
        .event(&Event::note(match &stored.unfinished {
            None => format!("cluster {cluster} exists already"),
            Some(unfinished) => format!(
                "cluster {cluster} exists; finishing {}, started {} by {}",
                unfinished.operation, unfinished.started, unfinished.by
            ),
        }));
    Ok(stored)
}

/// Applies the addon settings, which can change at any time.
fn change_addons(resolved: &Resolved, intent: &mut Intent) -> Result<()> {
    let wishes = &resolved.settings.addons;
    let addons = &mut intent.spec.addons;
    if resolved.is_given(&table::POD_NETWORK) {
        addons.pod_network = wishes.pod_network;
    }
    if resolved.is_given(&table::CLUSTER_DNS) {
        addons.cluster_dns = wishes.cluster_dns;
    }
    if resolved.is_given(&table::NODE_LOCAL_DNS) {
        addons.node_local_dns = wishes.node_local_dns;
    }
    if resolved.is_given(&table::METRICS_SERVER) {
        addons.metrics_server = wishes.metrics_server;
    }
    if resolved.is_given(&table::MANIFESTS) {
        addons.manifests = manifests::read(&wishes.manifests)?;
    }
    Ok(())
}

/// Checks the manifests with the API server before they are stored. Invalid ones would make every later command fail.
async fn check_manifests(intent: &Intent, means: &Means) -> Result<()> {
    let spec = &intent.spec;
    let all = means.addons(intent);
    let Some(own) = all.iter().find(|addon| addon.name == addons::MANIFESTS) else {
        return Ok(());
    };
    let inventory = means.inventory(&spec.mark()).await?;
    let reserved = inventory.address.map(|address| address.address);
    match spec.endpoint_at(reserved) {
        Some(endpoint) if means.kubernetes.is_ready(endpoint).await => {
            means.kubernetes.check_addon(endpoint, own).await
        }
        _ => Ok(()),
    }
}

/// Permanent settings that were given now, and that didn't exist when the cluster was created.
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

/// The cluster's permanent settings. The others belong to the invocation.
fn lasting(resolved: &Resolved) -> BTreeMap<String, String> {
    let commands = [
        &table::REPLICATE_EXISTING,
        &table::USE_EXISTING,
        &table::DELETE_NODES,
        &table::REPLICA_NAME,
        // May be set later, when not all nodes become ready.
        &table::ALLOWED_UNREADY,
        &table::POD_NETWORK,
        &table::CLUSTER_DNS,
        &table::NODE_LOCAL_DNS,
        &table::METRICS_SERVER,
        &table::MANIFESTS,
        // Each operator may reach the hosts differently.
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

/// Creates the cluster's authorities, once. If etcd holds data, lost ones can't be recreated.
fn new_authorities(session: &Session, intent: &Intent) -> Result<Authorities> {
    if intent.formed {
        return Err(Error::failed(format!(
            "the keys of cluster {} are missing from the store",
            session.cluster()
        ))
        .because("without them, no client can connect to its etcd and API server")
        .hint("restore pki.json from a backup of the state directory"));
    }
    let authorities = Authorities::generate(intent.spec.pki, session.clock.now())?;
    Ok(match intent.spec.api.secrets_at_rest {
        AtRest::Secretbox => authorities.with_encryption()?,
        AtRest::Plain => authorities,
    })
}

/// Reports how many failures the cluster survives, and the next command to run.
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
            "losing zone {} would cost etcd its quorum; an odd number of replicas, spread evenly over three zones, \
             survives the loss of any zone: hakube replicate --zone ZONE, then hakube down --replica NAME",
            zones.join(" or ")
        )));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::without_nodes;
    use hakube_testing::fixtures;

    /// Addons are applied either way, and look broken if nothing explains why their pods are pending.
    #[test]
    fn a_cluster_without_nodes_says_what_does_not_run() {
        let mut intent = fixtures::intent(&[("NUM_NODES", "0")]);
        assert_eq!(without_nodes(&intent), None, "its nodes would be hollow");
        intent.spec.programs.pods = Some(fixtures::pods());
        let says = without_nodes(&intent).unwrap();
        assert!(says.contains("pending unless they tolerate"), "{says}");
        intent.spec.replica_machines.register = false;
        let says = without_nodes(&intent).unwrap();
        assert!(says.contains("all pods stay pending"), "{says}");
        let mut intent = fixtures::intent(&[("NUM_NODES", "1")]);
        intent.spec.programs.pods = Some(fixtures::pods());
        assert_eq!(without_nodes(&intent), None);
    }
}
