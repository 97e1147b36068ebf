//! What clients and objects in a cluster have against its upgrade.

use super::call::{Problem, call};
use hakube_error::Result;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ServiceReference, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams};
use std::collections::BTreeSet;

/// The metric of API servers that counts clients' requests for APIs that will be removed.
/// <https://kubernetes.io/docs/reference/using-api/deprecation-policy/>
const METRIC: &str = "apiserver_requested_deprecated_apis{";

/// An API that clients have requested, and that a later version of Kubernetes doesn't serve.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeprecatedApi {
    /// The resource: `flowschemas.v1beta3.flowcontrol.apiserver.k8s.io`.
    pub name: String,
    /// The major and minor version that doesn't serve it.
    pub removed: (u64, u64),
}

/// Something that the API server asks before it accepts objects, whose Service has no ready endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadWebhook {
    /// Its object: `validatingwebhookconfiguration/policy`.
    pub object: String,
    /// Its Service: `namespace/name`.
    pub service: String,
}

/// The deprecated APIs in an API server's metrics. Those without a version that removes them are left out.
pub(super) fn deprecated(metrics: &str) -> Vec<DeprecatedApi> {
    let lines = metrics.lines().filter_map(|line| {
        let (labels, count) = line.strip_prefix(METRIC)?.split_once('}')?;
        let is_requested = count.trim().parse::<f64>().is_ok_and(|count| count > 0.0);
        let label = |name: &str| {
            labels.split(',').find_map(|label| {
                let (key, value) = label.split_once('=')?;
                (key == name).then(|| value.trim_matches('"'))
            })
        };
        let (major, minor) = label("removed_release")?.split_once('.')?;
        let removed = (major.parse().ok()?, minor.parse().ok()?);
        let parts = ["resource", "version", "group"].map(|name| label(name).unwrap_or_default());
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let name = parts.collect::<Vec<_>>().join(".");
        is_requested.then_some(DeprecatedApi { name, removed })
    });
    let found: BTreeSet<DeprecatedApi> = lines.collect();
    found.into_iter().collect()
}

/// A webhook's object, and the Service behind it.
type Target = (String, ServiceReference);

/// Lists the webhooks that must answer and can't.
pub(super) async fn dead_webhooks(client: kube::Client) -> Result<Vec<DeadWebhook>> {
    let found = async {
        let mut dead = Vec::new();
        for (object, service) in targets(&client).await? {
            let ServiceReference {
                namespace, name, ..
            } = service;
            if !has_endpoint(&client, &namespace, &name).await? {
                let service = format!("{namespace}/{name}");
                dead.push(DeadWebhook { object, service });
            }
        }
        dead.sort();
        dead.dedup();
        Ok(dead)
    };
    let found: Result<_, Problem> = found.await;
    found.map_err(|problem| problem.into_error("could not check the cluster's webhooks".to_owned()))
}

/// All webhooks with a Service that may not fail.
async fn targets(client: &kube::Client) -> Result<Vec<Target>, Problem> {
    let all = ListParams::default();
    let mut targets: Vec<Target> = Vec::new();
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    for found in call(async { validating.list(&all).await }).await? {
        let hooks = found.webhooks.into_iter().flatten();
        let hooks = hooks.map(|hook| (hook.failure_policy, hook.client_config.service));
        let name = found.metadata.name;
        targets.extend(required("validatingwebhookconfiguration", name, hooks));
    }
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    for found in call(async { mutating.list(&all).await }).await? {
        let hooks = found.webhooks.into_iter().flatten();
        let hooks = hooks.map(|hook| (hook.failure_policy, hook.client_config.service));
        let name = found.metadata.name;
        targets.extend(required("mutatingwebhookconfiguration", name, hooks));
    }
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for found in call(async { definitions.list(&all).await }).await? {
        let webhook = found.spec.conversion.and_then(|how| how.webhook);
        let service = webhook.and_then(|webhook| webhook.client_config?.service);
        // The two APIs have types of their own for the same reference.
        let service = service.map(|service| ServiceReference {
            name: service.name,
            namespace: service.namespace,
            path: service.path,
            port: service.port,
        });
        // A conversion has no policy: it must answer.
        let hook = [(None, service)].into_iter();
        let name = found.metadata.name;
        targets.extend(required("customresourcedefinition", name, hook));
    }
    Ok(targets)
}

/// Those of an object's webhooks, each with its failure policy, that have a Service and may not fail.
fn required(
    kind: &str,
    name: Option<String>,
    hooks: impl Iterator<Item = (Option<String>, Option<ServiceReference>)>,
) -> impl Iterator<Item = Target> {
    let object = format!("{kind}/{}", name.unwrap_or_default());
    hooks.filter_map(move |(policy, service)| {
        // Anything else than Ignore means Fail.
        let may_fail = policy.as_deref() == Some("Ignore");
        service
            .filter(|_| !may_fail)
            .map(|service| (object.clone(), service))
    })
}

async fn has_endpoint(client: &kube::Client, namespace: &str, name: &str) -> Result<bool, Problem> {
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let slices = call(async { slices.list(&of_service).await }).await?;
    let endpoints = slices.items.into_iter().filter_map(|slice| slice.endpoints);
    let mut endpoints = endpoints.flatten();
    // Unknown counts as ready, as for clients.
    Ok(endpoints.any(|endpoint| {
        let conditions = endpoint.conditions;
        conditions.and_then(|all| all.ready).unwrap_or(true)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a kube-apiserver 1.36, with the group of an API that 1.32 removed.
    #[test]
    fn requested_apis_are_read_from_the_metrics() {
        let metrics = r#"# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested.
# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",resource="flowschemas",subresource="",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",resource="flowschemas",subresource="status",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="",removed_release="1.40",resource="componentstatuses",subresource="",version="v1"} 0
apiserver_request_total{code="200",group="",resource="pods"} 12
"#;
        assert_eq!(
            deprecated(metrics),
            [DeprecatedApi {
                name: "flowschemas.v1beta3.flowcontrol.apiserver.k8s.io".to_owned(),
                removed: (1, 32),
            }]
        );
    }
}
