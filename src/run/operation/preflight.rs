//! What can't work, found before anything is made.

use crate::cluster::Intent;
use crate::error::{Error, Result};
use crate::kubeconfig;
use crate::run::retry::looked;
use crate::run::{Means, Session};
use crate::settings::{ProviderKind, table};
use hakube_provider::PreflightSpec;

/// For a new cluster: the user's kubeconfig can be written, the zone is there, and the provider has
/// nothing against it.
///
/// # Errors
/// Bad input, or what the provider says.
pub(super) async fn new_cluster(session: &Session, intent: &Intent, means: &Means) -> Result<()> {
    if !session.dry_run {
        kubeconfig::check(&means.kubeconfig, &means.context).map_err(|error| {
            Error::from(error).because(session.resolved.quote(&table::KUBECONFIG))
        })?;
    }
    if intent.spec.provider == ProviderKind::Local && intent.spec.network.custom {
        return Err(Error::bad_input(session.resolved.quote(&table::CUSTOM_NETWORK))
            .because("the local cloud's machines have loopback addresses, and it chooses their ranges itself")
            .hint("unset it, or choose another provider"));
    }
    check_zone(session, intent, means).await?;
    let spec = &intent.spec;
    let mut machine_types = vec![spec.replica_machines.machine_type.clone()];
    if intent.node_count() > 0 {
        machine_types.push(spec.node_machines.machine_type.clone());
    }
    let zones = vec![spec.zone.name().to_owned()];
    machines(
        means,
        PreflightSpec {
            zones,
            machine_types,
        },
    )
    .await
}

/// The provider can make such machines in these zones. All its findings in one error.
///
/// # Errors
/// What the provider found.
pub(super) async fn machines(means: &Means, spec: PreflightSpec) -> Result<()> {
    let findings = looked(means.timeout, async || {
        Ok(means.provider.preflight(&spec).await?)
    });
    let mut findings = findings.await?.into_iter();
    let Some(first) = findings.next() else {
        return Ok(());
    };
    let rest: Vec<String> = findings.map(|finding| finding.to_string()).collect();
    let error = Error::from(first);
    Err(if rest.is_empty() {
        error
    } else {
        error.because(rest.join("\n"))
    })
}

/// The zones of the cluster's region that can take machines.
///
/// # Errors
/// The provider can't be asked.
pub(super) async fn zones(means: &Means) -> Result<Vec<String>> {
    looked(means.timeout, async || Ok(means.provider.zones().await?)).await
}

async fn check_zone(session: &Session, intent: &Intent, means: &Means) -> Result<()> {
    let zone = &intent.spec.zone;
    let known = zones(means).await?;
    if known.iter().any(|name| name == zone.name()) {
        return Ok(());
    }
    let asked = session.resolved.quote(&table::ZONE);
    let error = Error::bad_input(format!("{asked}: there is no such zone, or it is down"));
    Err(if known.is_empty() {
        error.hint(format!(
            "{} has no region {}; a zone is, for example, europe-west1-b",
            intent.spec.provider.name(),
            zone.region()
        ))
    } else {
        error.hint(format!(
            "the zones of {}: {}",
            zone.region(),
            known.join(", ")
        ))
    })
}
