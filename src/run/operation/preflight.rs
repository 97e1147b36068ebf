//! What can't work, found before anything is made.

use crate::cluster::{ClusterSpec, Endpoint, FreeHosts, Intent, Observed};
use crate::error::{Error, Result};
use crate::kubeconfig;
use crate::plan::{Action, plan};
use crate::run::drain;
use crate::run::retry::looked;
use crate::run::{Means, Session};
use crate::settings::{ProviderKind, table};
use hakube_provider::ProviderError;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// For a new cluster: the user's kubeconfig can be written, the zone is one of these that are up, and the
/// provider has nothing against it.
///
/// # Errors
/// Bad input, or what the provider says.
pub(super) async fn new_cluster(
    session: &Session,
    intent: &Intent,
    zones: &[String],
    means: &Means,
) -> Result<()> {
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
    check_zone(session, intent, zones)?;
    // Nothing of it is there yet, as far as is known: what is, the provider finds by its name.
    made(intent, &Observed::default(), means).await
}

/// The provider can make what the plan from `observed` to `intent` asks for. All its findings in one error.
///
/// # Errors
/// There is no such plan; what the provider found.
pub(super) async fn made(intent: &Intent, observed: &Observed, means: &Means) -> Result<()> {
    check_ranges(&intent.spec)?;
    let demand = plan(intent, observed)?.demand();
    let findings = looked(means.timeout, async || {
        Ok(means.provider.preflight(&demand).await?)
    });
    report(findings.await?)
}

/// The nodes that the plan from `observed` to `intent` drains could be drained now.
///
/// # Errors
/// There is no such plan; refused: the pods that can't leave.
pub(super) async fn drainable(intent: &Intent, observed: &Observed, means: &Means) -> Result<()> {
    let nodes: Vec<String> = plan(intent, observed)?
        .steps
        .into_iter()
        .filter_map(|step| match step.action {
            Action::DrainNodes { nodes } => Some(nodes),
            _ => None,
        })
        .flatten()
        .collect();
    let address = observed.inventory.address.as_ref();
    let endpoint = intent
        .spec
        .endpoint_at(address.map(|address| address.address));
    let Some(endpoint) = endpoint.filter(|_| !nodes.is_empty()) else {
        return Ok(());
    };
    looked(means.timeout, async || {
        drain::check(means, endpoint, &nodes).await
    })
    .await
}

/// No host has an address that is a pod's or a service's: packets to it would never reach it.
///
/// # Errors
/// Bad input: all that do.
fn check_ranges(spec: &ClusterSpec) -> Result<()> {
    let Some(inventory) = &spec.hosts else {
        return Ok(());
    };
    let ranges = [
        (&table::CLUSTER_RANGE, "pods", spec.network.cluster_range),
        (
            &table::SERVICE_RANGE,
            "services",
            spec.network.service_range,
        ),
    ];
    let hosts = inventory.hosts.iter();
    let hosts = hosts.map(|host| (format!("host {}", host.name), host.address));
    let endpoint = match spec.endpoint {
        Endpoint::External(at) => Some(at.ip()),
        Endpoint::Machines | Endpoint::Provider => inventory.endpoint,
    };
    let endpoint = endpoint.map(|address| ("the endpoint".to_owned(), address));
    let all: Vec<(String, IpAddr)> = hosts.chain(endpoint).collect();
    let mut found: Vec<String> = Vec::new();
    for (setting, whose, range) in ranges {
        let inside = all.iter().filter(|(_, address)| range.contains(address));
        let inside: Vec<String> = inside
            .map(|(what, address)| format!("{what} ({address})"))
            .collect();
        if !inside.is_empty() {
            let inside = inside.join(", ");
            found.push(format!(
                "{} ({range}), the range of {whose}, has the address of {inside}",
                setting.key
            ));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::bad_input("the cluster's address ranges overlap the hosts' network")
        .because(found.join("\n"))
        .hint("choose ranges that nothing on the hosts' network is in: CLUSTER_IP_RANGE, SERVICE_CLUSTER_IP_RANGE"))
}

/// One error of all findings: each with its reason, and what to do about it.
fn report(findings: Vec<ProviderError>) -> Result<()> {
    let count = findings.len();
    let mut findings = findings.into_iter().peekable();
    let Some(first) = findings.peek().cloned().map(Error::from) else {
        return Ok(());
    };
    if count == 1 {
        return Err(first);
    }
    let message = format!("{count} things stand in the way, and nothing was made");
    let mut all = Error::new(first.kind, message);
    for finding in findings {
        all.causes.push(finding.to_string());
        all.hints.extend(finding.hint);
    }
    let mut known = BTreeSet::new();
    all.hints.retain(|hint| known.insert(hint.clone()));
    Err(all)
}

/// The zones of the cluster's region that can take machines.
///
/// # Errors
/// The provider can't be asked.
pub(super) async fn zones(means: &Means) -> Result<Vec<String>> {
    looked(means.timeout, async || Ok(means.provider.zones().await?)).await
}

/// The hosts that may become replicas, where machines are there already.
///
/// # Errors
/// The provider can't be asked.
pub(super) async fn free_hosts(means: &Means) -> Result<Option<FreeHosts>> {
    looked(means.timeout, async || {
        Ok(means.provider.free_hosts().await?)
    })
    .await
}

fn check_zone(session: &Session, intent: &Intent, known: &[String]) -> Result<()> {
    let zone = &intent.spec.zone;
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::cluster::fixtures;
    use crate::settings::Hosts;
    use hakube_provider::ErrorKind;

    fn finding(kind: ErrorKind, resource: &str, hint: &str) -> ProviderError {
        ProviderError::new(kind, "use", resource, "it isn't there").with_hint(hint)
    }

    #[test]
    fn ranges_that_a_host_or_the_endpoint_is_in_are_refused() {
        let spec = |addresses: &[&str], endpoint: Option<&str>| {
            let mut spec = fixtures::intent(&[]).spec;
            let hosts = addresses.iter().enumerate();
            spec.hosts = Some(Hosts {
                hosts: hosts
                    .map(|(number, address)| fixtures::host(&format!("h{number}"), address))
                    .collect(),
                endpoint: endpoint.map(|address| address.parse().unwrap()),
            });
            spec
        };
        check_ranges(&fixtures::intent(&[]).spec).unwrap();
        check_ranges(&spec(&["10.77.0.11"], Some("10.77.0.100"))).unwrap();
        let error =
            check_ranges(&spec(&["10.77.0.11", "10.64.3.1"], Some("10.0.0.9"))).unwrap_err();
        assert_eq!(
            error.causes,
            [
                "CLUSTER_IP_RANGE (10.64.0.0/14), the range of pods, has the address of host h1 (10.64.3.1)\n\
                 SERVICE_CLUSTER_IP_RANGE (10.0.0.0/16), the range of services, has the address of the endpoint (10.0.0.9)"
            ]
        );
        let mut own = spec(&["10.77.0.11"], None);
        own.endpoint = Endpoint::External("10.65.0.1:6443".parse().unwrap());
        let error = check_ranges(&own).unwrap_err();
        assert!(
            error.causes[0].contains("the endpoint (10.65.0.1)"),
            "{error:?}"
        );
    }

    #[test]
    fn all_findings_are_one_error_and_each_hint_is_given_once() {
        assert!(report(Vec::new()).is_ok());
        let one = finding(ErrorKind::Quota, "quota CPUS", "ask for more");
        let error = report(vec![one.clone()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not use quota CPUS: it isn't there"
        );
        let other = finding(ErrorKind::Invalid, "image debian-99", "ask for more");
        let error = report(vec![one, other]).unwrap_err();
        assert_eq!(error.causes.len(), 2, "{error}");
        assert!(error.causes[1].contains("image debian-99"), "{error}");
        assert_eq!(error.hints, ["ask for more"]);
    }
}
