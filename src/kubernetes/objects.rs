//! Objects of any kind: found, applied, deleted.

use super::client::CALL;
use crate::addons::MANAGER;
use crate::error::Error;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PropagationPolicy};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::discovery::{Scope, oneshot};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Why a call didn't do what it should.
#[derive(Debug, Clone)]
pub(super) enum Problem {
    /// There is no such object, kind or namespace.
    Missing(String),
    /// It isn't allowed, or isn't right.
    Refused(String),
    /// It may pass.
    Passing(String),
}

impl Problem {
    /// What the API server said.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Missing(why) | Self::Refused(why) | Self::Passing(why) => why,
        }
    }

    /// As the failure of what was to be done.
    pub(super) fn into_error(self, what: String) -> Error {
        let error = Error::failed(what).because(self.why());
        match self {
            Self::Passing(_) => error.transient(),
            Self::Missing(_) | Self::Refused(_) => error,
        }
    }
}

impl From<kube::Error> for Problem {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Api(status) = &error else {
            return Self::Passing(error.to_string());
        };
        let why = status.message.clone();
        match status.code {
            404 => Self::Missing(why),
            403 if why.contains("being terminated") => Self::Passing(why),
            400 | 401 | 403 | 405 | 406 | 413 | 415 | 422 => Self::Refused(why),
            _ => Self::Passing(why),
        }
    }
}

/// A call's answer in time.
pub(super) async fn call<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Problem> {
    match tokio::time::timeout(CALL, call).await {
        Ok(answer) => answer.map_err(Problem::from),
        Err(_) => Err(Problem::Passing(format!(
            "the API server didn't answer within {} s",
            CALL.as_secs()
        ))),
    }
}

/// A kind of objects: `apps/v1`, `Deployment`.
pub(super) type Kind = (String, String);

/// Kinds that hakube's own addons are made of: nobody needs to be asked what they are called in URLs. Those with
/// `true` are in namespaces.
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

/// What a kind is called in URLs, and whether its objects are in namespaces.
type Resource = (ApiResource, bool);

/// How many calls are under way at once: an API server serves a few hundred, and others want some.
const AT_ONCE: usize = 16;

/// An API server's objects.
pub(super) struct Objects {
    client: kube::Client,
    turns: Semaphore,
    /// What was asked already.
    asked: Mutex<BTreeMap<Kind, Resource>>,
}

impl Objects {
    pub(super) fn new(client: kube::Client) -> Self {
        Self {
            client,
            turns: Semaphore::new(AT_ONCE),
            asked: Mutex::default(),
        }
    }

    /// A call when it is its turn.
    async fn call<T>(&self, asked: impl Future<Output = kube::Result<T>>) -> Result<T, Problem> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|error| Problem::Passing(error.to_string()))?;
        call(asked).await
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
        let asked = |asked: &Mutex<BTreeMap<Kind, Resource>>| {
            let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.get(kind).cloned()
        };
        if let Some(resource) = asked(&self.asked) {
            return Ok(resource);
        }
        let unknown = || {
            Problem::Missing(format!(
                "the API server knows no kind {name} of {api_version}"
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
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(kind.clone(), resource.clone());
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

    /// Objects of a kind, in all namespaces, that have the label. None where the kind isn't known.
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
            // Items of a list don't say what they are.
            value["apiVersion"] = kind.0.clone().into();
            value["kind"] = kind.1.clone().into();
            Some(value)
        });
        Ok(values.collect())
    }

    /// Applies it as hakube's, whoever changed it before; or says what it would be.
    pub(super) async fn apply(&self, object: &Value, dry_run: bool) -> Result<Value, Problem> {
        let metadata = &object["metadata"];
        let api = self.api(
            &self.resource(&kind_of(object)).await?,
            metadata["namespace"].as_str(),
        );
        let params = PatchParams {
            dry_run,
            ..PatchParams::apply(MANAGER).force()
        };
        let name = metadata["name"].as_str().unwrap_or_default();
        let applied = self.call(async { api.patch(name, &params, &Patch::Apply(object)).await });
        let applied = applied.await?;
        serde_json::to_value(&applied).map_err(|error| Problem::Passing(error.to_string()))
    }

    /// The object as it is.
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

    /// The object is gone, or goes. What it owns goes after it.
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

/// What kind of object it is.
pub(super) fn kind_of(object: &Value) -> Kind {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    (text("apiVersion"), text("kind"))
}
