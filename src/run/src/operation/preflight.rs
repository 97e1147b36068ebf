//! Checks before anything is created.

use crate::drain;
use crate::retry::looked;
use crate::{Means, Session};
use hakube_error::{Error, Result};
use hakube_kubeconfig as kubeconfig;
use hakube_model::ProviderKind;
use hakube_model::{ClusterSpec, Endpoint, FreeHosts, Intent, Observed};
use hakube_output::Event;
use hakube_plan::{Action, plan};
use hakube_provider::{Namesake, Owner, ProviderError};
use hakube_settings::table;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Checks that a new cluster can be created: the kubeconfig is writable, the zone is up, the name is free, and the
/// provider accepts the plan.
///
/// # Errors
/// Bad input, or the provider's findings.
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
    let wanted = &session.resolved.settings.kube_context;
    if *wanted != means.context {
        let taken = format!("the kubeconfig's context {wanted} belongs to another cluster");
        if session.resolved.is_given(&table::KUBE_CONTEXT) {
            return Err(Error::bad_input(taken)
                .because(session.resolved.quote(&table::KUBE_CONTEXT))
                .hint("choose another one with --context NAME, or leave the setting out"));
        }
        session.reporter.event(&Event::note(format!(
            "{taken}, so this cluster's context is {}",
            means.context
        )));
    }
    if intent.spec.provider == ProviderKind::Local && intent.spec.network.custom {
        return Err(Error::bad_input(session.resolved.quote(&table::CUSTOM_NETWORK))
            .because("the local cloud's machines have loopback addresses, and it chooses their ranges")
            .hint("unset it, or choose another provider"));
    }
    check_zone(session, intent, zones)?;
    no_namesakes(session, intent, means).await?;
    // The plan assumes that no resource exists; the provider's preflight checks for existing ones by name.
    made(intent, &Observed::default(), means).await
}

/// Checks that no other cluster has this name: another operator's, or one whose state is lost.
///
/// # Errors
/// Refused: the other clusters, with their ids and ages.
async fn no_namesakes(session: &Session, intent: &Intent, means: &Means) -> Result<()> {
    let found = looked(means.timeout, async || {
        Ok(means.provider.namesakes(session.cluster()).await?)
    });
    let own = intent.spec.owner();
    let others: Vec<Namesake> = found
        .await?
        .into_iter()
        .filter(|found| found.owner != own)
        .collect();
    match others.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(namesakes(session, &others)
            .hint("choose another name: CLUSTER_NAME=NAME with the same command")
            .hint("to manage it, point hakube at its state: --state URL or HAKUBE_HOME=DIR")
            .hint(delete_by_id(&first.owner))),
    }
}

/// The refusal for clusters of this name that aren't in the store.
pub(super) fn namesakes(session: &Session, others: &[Namesake]) -> Error {
    let list: Vec<String> = others.iter().map(ToString::to_string).collect();
    Error::refused(format!(
        "a cluster {} exists already, but isn't in {}: it is another operator's, or its state was lost",
        session.cluster(),
        session.resolved.settings.state
    ))
    .because(list.join("\n"))
}

/// The hint how to delete a cluster whose state is lost.
pub(super) fn delete_by_id(owner: &Owner) -> String {
    let id = owner.id.as_deref().unwrap_or("none");
    format!("if it is yours and its state is lost, delete it with: hakube down --cluster-id {id}")
}

/// Checks that the provider can carry out the plan from `observed` to `intent`. One error has all findings.
///
/// # Errors
/// There is no such plan, or the provider's findings.
pub(super) async fn made(intent: &Intent, observed: &Observed, means: &Means) -> Result<()> {
    check_ranges(&intent.spec)?;
    let demand = plan(intent, observed)?.demand();
    let findings = looked(means.timeout, async || {
        Ok(means.provider.preflight(&demand).await?)
    });
    report(findings.await?)
}

/// Checks that the nodes that the plan from `observed` to `intent` drains can be drained now.
///
/// # Errors
/// There is no such plan; refused: the pods that can't be evicted.
pub(super) async fn drainable(intent: &Intent, observed: &Observed, means: &Means) -> Result<()> {
    let nodes: Vec<String> = plan(intent, observed)?
        .steps
        .into_iter()
        .flat_map(|step| match step.action {
            Action::DrainNodes { nodes } => nodes,
            Action::UpgradeNode(machine) => vec![machine.name],
            Action::RecreateNode { node, .. } => vec![node],
            _ => Vec::new(),
        })
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

/// Checks that no host's address is in the range of pods or services. Packets to it would never arrive.
///
/// # Errors
/// Bad input: all such hosts.
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
    for (setting, user, range) in ranges {
        let inside = all.iter().filter(|(_, address)| range.contains(address));
        let inside: Vec<String> = inside
            .map(|(what, address)| format!("{what} ({address})"))
            .collect();
        if !inside.is_empty() {
            let inside = inside.join(", ");
            found.push(format!(
                "{} ({range}), the range of {user}, contains the address of {inside}",
                setting.key
            ));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::bad_input("the cluster's address ranges overlap the hosts' network")
        .because(found.join("\n"))
        .hint("choose ranges outside the hosts' network: CLUSTER_IP_RANGE, SERVICE_CLUSTER_IP_RANGE"))
}

/// Combines all findings, and their hints, into one error.
fn report(findings: Vec<ProviderError>) -> Result<()> {
    let count = findings.len();
    let mut findings = findings.into_iter().peekable();
    let Some(first) = findings.peek().cloned().map(Error::from) else {
        return Ok(());
    };
    if count == 1 {
        return Err(first);
    }
    let message = format!("found {count} problems; nothing was created");
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
/// The provider can't be reached.
pub(super) async fn zones(means: &Means) -> Result<Vec<String>> {
    looked(means.timeout, async || Ok(means.provider.zones().await?)).await
}

/// The hosts that can become replicas, if the provider has existing hosts.
///
/// # Errors
/// The provider can't be reached.
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
            "{} has no region {}; an example of a zone: europe-west1-b",
            intent.spec.provider.name(),
            zone.region()
        ))
    } else {
        error.hint(format!("zones of {}: {}", zone.region(), known.join(", ")))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use hakube_model::Hosts;
    use hakube_provider::ErrorKind;
    use hakube_testing::fixtures;

    fn finding(kind: ErrorKind, resource: &str, hint: &str) -> ProviderError {
        ProviderError::new(kind, "use", resource, "it doesn't exist").with_hint(hint)
    }

    #[test]
    fn ranges_that_contain_a_host_or_the_endpoint_are_refused() {
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
                "CLUSTER_IP_RANGE (10.64.0.0/14), the range of pods, contains the address of host h1 (10.64.3.1)\n\
                 SERVICE_CLUSTER_IP_RANGE (10.0.0.0/16), the range of services, contains the address of the endpoint (10.0.0.9)"
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
    fn findings_are_one_error_without_duplicate_hints() {
        assert!(report(Vec::new()).is_ok());
        let one = finding(ErrorKind::Quota, "quota CPUS", "ask for more");
        let error = report(vec![one.clone()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not use quota CPUS: it doesn't exist"
        );
        let other = finding(ErrorKind::Invalid, "image debian-99", "ask for more");
        let error = report(vec![one, other]).unwrap_err();
        assert_eq!(error.causes.len(), 2, "{error}");
        assert!(error.causes[1].contains("image debian-99"), "{error}");
        assert_eq!(error.hints, ["ask for more"]);
    }
}
