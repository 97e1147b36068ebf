//! Finds, applies and deletes objects of any kind.

use super::call::{Problem, call};
use hakube_addons::MANAGER;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::discovery::{Scope, oneshot};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;

/// A kind of objects: `apps/v1`, `Deployment`.
pub(super) type Kind = (String, String);

/// Kinds that hakube's own addons consist of, whose names in URLs needn't be discovered. `true`
/// means namespaced.
const KNOWN: [(&str, &str, &str, bool); 14] = [
    ("v1", "Namespace", "namespaces", false),
    ("v1", "ServiceAccount", "serviceaccounts", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Secret", "secrets", true),
    ("v1", "Service", "services", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "DaemonSet", "daemonsets", true),
    ("apps/v1", "StatefulSet", "statefulsets", true),
    (
        "policy/v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        true,
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        "clusterroles",
        false,
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        false,
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "rolebindings",
        true,
    ),
    (
        "apiregistration.k8s.io/v1",
        "APIService",
        "apiservices",
        false,
    ),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        false,
    ),
];

/// A kind's name in URLs, and whether it is namespaced.
type Resource = (ApiResource, bool);

/// The maximum number of concurrent calls: an API server handles a few hundred, and must serve
/// other clients too.
const AT_ONCE: usize = 16;

/// An API server's objects.
pub(super) struct Objects {
    client: kube::Client,
    turns: Semaphore,
    /// Kinds that were already discovered.
    discovered: Mutex<BTreeMap<Kind, Resource>>,
}

impl Objects {
    pub(super) fn new(client: kube::Client) -> Self {
        Self {
            client,
            turns: Semaphore::new(AT_ONCE),
            discovered: Mutex::default(),
        }
    }

    /// Makes a call, within the limit of concurrent ones.
    async fn call<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, Problem> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|error| Problem::Passing(error.to_string()))?;
        call(request).await
    }

    async fn resource(&self, kind: &Kind) -> Result<Resource, Problem> {
        let (api_version, name) = kind;
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, name);
        let known = KNOWN
            .iter()
            .find(|known| (known.0, known.1) == (api_version, name));
        if let Some((_, _, plural, namespaced)) = known {
            return Ok((ApiResource::from_gvk_with_plural(&gvk, plural), *namespaced));
        }
        let discovered = |discovered: &Mutex<BTreeMap<Kind, Resource>>| {
            let discovered = discovered.lock().unwrap_or_else(PoisonError::into_inner);
            discovered.get(kind).cloned()
        };
        if let Some(resource) = discovered(&self.discovered) {
            return Ok(resource);
        }
        let unknown = || {
            Problem::Missing(format!(
                "the API server doesn't know kind {name} of {api_version}"
            ))
        };
        let found = self.call(async {
            match oneshot::pinned_kind(&self.client, &gvk).await {
                Err(kube::Error::Discovery(_)) => Ok(None),
                answer => answer.map(Some),
            }
        });
        let (resource, capabilities) = match found.await {
            Ok(Some(found)) => found,
            Ok(None) | Err(Problem::Missing(_)) => return Err(unknown()),
            Err(problem) => return Err(problem),
        };
        let resource = (resource, capabilities.scope == Scope::Namespaced);
        let mut discovered = self
            .discovered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        discovered.insert(kind.clone(), resource.clone());
        Ok(resource)
    }

    fn api(
        &self,
        (resource, namespaced): &Resource,
        namespace: Option<&str>,
    ) -> Api<DynamicObject> {
        let client = self.client.clone();
        if *namespaced {
            Api::namespaced_with(client, namespace.unwrap_or("default"), resource)
        } else {
            Api::all_with(client, resource)
        }
    }

    /// Objects of a kind with the label, in all namespaces. Empty if the kind is unknown.
    pub(super) async fn labelled(
        &self,
        kind: &Kind,
        selector: &str,
    ) -> Result<Vec<Value>, Problem> {
        let (resource, _) = match self.resource(kind).await {
            Err(Problem::Missing(_)) => return Ok(Vec::new()),
            resource => resource?,
        };
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let listed = self.call(async { api.list(&ListParams::default().labels(selector)).await });
        let listed = match listed.await {
            Err(Problem::Missing(_)) => return Ok(Vec::new()),
            listed => listed?,
        };
        let values = listed.items.iter().filter_map(|item| {
            let mut value = serde_json::to_value(item).ok()?;
            // Items of a list have no kind of their own.
            value["apiVersion"] = kind.0.clone().into();
            value["kind"] = kind.1.clone().into();
            Some(value)
        });
        Ok(values.collect())
    }

    /// Applies the object with hakube as its manager, overriding conflicts.
    pub(super) async fn apply(&self, object: &Value) -> Result<Value, Problem> {
        self.patch(object, PatchParams::apply(MANAGER).force())
            .await
    }

    /// What the object would be after [`Self::apply`].
    pub(super) async fn applied(&self, object: &Value) -> Result<Value, Problem> {
        self.patch(object, PatchParams::apply(MANAGER).force().dry_run())
            .await
    }

    async fn patch(&self, object: &Value, params: PatchParams) -> Result<Value, Problem> {
        let metadata = &object["metadata"];
        let api = self.api(
            &self.resource(&kind_of(object)).await?,
            metadata["namespace"].as_str(),
        );
        let name = metadata["name"].as_str().unwrap_or_default();
        let applied = self.call(async { api.patch(name, &params, &Patch::Apply(object)).await });
        let applied = applied.await?;
        serde_json::to_value(&applied).map_err(|error| Problem::Passing(error.to_string()))
    }

    /// Returns the object.
    pub(super) async fn get(&self, object: &Value) -> Result<Value, Problem> {
        let metadata = &object["metadata"];
        let api = self.api(
            &self.resource(&kind_of(object)).await?,
            metadata["namespace"].as_str(),
        );
        let name = metadata["name"].as_str().unwrap_or_default();
        let found = self.call(async { api.get(name).await }).await?;
        serde_json::to_value(&found).map_err(|error| Problem::Passing(error.to_string()))
    }

    /// Deletes the object and, after it, what it owns.
    pub(super) async fn delete(&self, object: &Value) -> Result<(), Problem> {
        let metadata = &object["metadata"];
        let api = self.api(
            &self.resource(&kind_of(object)).await?,
            metadata["namespace"].as_str(),
        );
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let name = metadata["name"].as_str().unwrap_or_default();
        match self.call(async { api.delete(name, &params).await }).await {
            Ok(_) | Err(Problem::Missing(_)) => Ok(()),
            Err(problem) => Err(problem),
        }
    }
}

/// The object's kind.
pub(super) fn kind_of(object: &Value) -> Kind {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    (text("apiVersion"), text("kind"))
}
