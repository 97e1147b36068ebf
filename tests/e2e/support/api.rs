//! The Kubernetes API for a user of the kubeconfig.

use super::Home;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Secret};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const CONTEXT: &str = "hakube-kubernetes";

/// A client at the endpoint, with the context that hakube wrote.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    /// The endpoint, as in the kubeconfig.
    pub server: String,
}

impl Api {
    /// With the kubeconfig of a home.
    pub async fn of(home: &Home) -> Self {
        Self::with(Kubeconfig::read_from(home.kubeconfig()).unwrap()).await
    }

    /// With this kubeconfig.
    pub async fn with(kubeconfig: Kubeconfig) -> Self {
        let options = KubeConfigOptions {
            context: Some(CONTEXT.to_owned()),
            ..Default::default()
        };
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .unwrap();
        config.proxy_url = None;
        // A connection that is cut when the address moves should be noticed soon.
        config.connect_timeout = Some(Duration::from_secs(1));
        config.read_timeout = Some(Duration::from_secs(5));
        let server = config.cluster_url.to_string();
        Self {
            client: kube::Client::try_from(config).unwrap(),
            server,
        }
    }

    fn config_maps(&self) -> kube::Api<ConfigMap> {
        kube::Api::namespaced(self.client.clone(), "default")
    }

    /// Creates a ConfigMap that contains its own name.
    pub async fn write(&self, name: &str) -> kube::Result<()> {
        self.create(name).await.map(drop)
    }

    /// Creates one, and returns its etcd revision.
    pub async fn create(&self, name: &str) -> kube::Result<i64> {
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([("name".to_owned(), name.to_owned())])),
            ..ConfigMap::default()
        };
        let (maps, parameters) = (self.config_maps(), PostParams::default());
        Ok(revision(&maps.create(&parameters, &map).await?))
    }

    /// Whether the ConfigMap exists and contains its name.
    pub async fn has(&self, name: &str) -> kube::Result<bool> {
        Ok(self
            .config_maps()
            .get_opt(name)
            .await?
            .as_ref()
            .is_some_and(is_whole))
    }

    /// All ConfigMaps that contain their names.
    pub async fn written(&self) -> BTreeSet<String> {
        let list = self
            .config_maps()
            .list(&ListParams::default())
            .await
            .unwrap();
        list.items
            .into_iter()
            .filter(is_whole)
            .filter_map(|map| map.metadata.name)
            .collect()
    }

    /// The revision of each ConfigMap that contains its name, listed in pages.
    pub async fn revisions(&self) -> BTreeMap<String, i64> {
        let mut all = BTreeMap::new();
        let mut page = ListParams::default().limit(500);
        loop {
            let list = self.config_maps().list(&page).await.unwrap();
            let whole = list.items.into_iter().filter(is_whole);
            all.extend(whole.map(|map| (map.metadata.name.clone().unwrap(), revision(&map))));
            match list.metadata.continue_ {
                Some(next) if !next.is_empty() => page = page.continue_token(&next),
                _ => return all,
            }
        }
    }

    /// Expires the tokens with which nodes join.
    pub async fn expire_tokens(&self) {
        let secrets: kube::Api<Secret> = kube::Api::namespaced(self.client.clone(), "kube-system");
        let end = k8s_openapi::ByteString(b"2026-01-01T00:00:00Z".to_vec());
        let patch = serde_json::json!({"data": {"expiration": end}});
        for name in tokens(&secrets).await {
            let patch = Patch::Merge(&patch);
            let parameters = PatchParams::default();
            secrets.patch(&name, &parameters, &patch).await.unwrap();
        }
    }

    /// Deletes the tokens with which nodes join.
    pub async fn delete_tokens(&self) {
        let secrets: kube::Api<Secret> = kube::Api::namespaced(self.client.clone(), "kube-system");
        for name in tokens(&secrets).await {
            let parameters = DeleteParams::default();
            secrets.delete(&name, &parameters).await.unwrap();
        }
    }

    pub async fn forget_node(&self, name: &str) {
        let nodes: kube::Api<Node> = kube::Api::all(self.client.clone());
        let parameters = DeleteParams::default();
        nodes.delete(name, &parameters).await.unwrap();
    }

    /// The nodes that are ready.
    pub async fn ready_nodes(&self) -> BTreeSet<String> {
        let nodes: kube::Api<Node> = kube::Api::all(self.client.clone());
        let list = nodes.list(&ListParams::default()).await.unwrap();
        list.items
            .into_iter()
            .filter(is_ready)
            .filter_map(|node| node.metadata.name)
            .collect()
    }

    /// The leader among a component's instances.
    pub async fn leader(&self, component: &str) -> Option<String> {
        let leases: kube::Api<Lease> = kube::Api::namespaced(self.client.clone(), "kube-system");
        let lease = leases.get_opt(component).await.unwrap()?;
        lease.spec?.holder_identity
    }

    /// Each node's capacity of pods.
    pub async fn pods_at_most(&self) -> Vec<String> {
        let nodes: kube::Api<Node> = kube::Api::all(self.client.clone());
        let list = nodes.list(&ListParams::default()).await.unwrap();
        let statuses = list.items.into_iter().filter_map(|node| node.status);
        statuses
            .filter_map(|status| Some(status.capacity?.get("pods")?.0.clone()))
            .collect()
    }
}

fn revision(map: &ConfigMap) -> i64 {
    let version = map.metadata.resource_version.as_ref().unwrap();
    version.parse().unwrap()
}

fn is_whole(map: &ConfigMap) -> bool {
    let said = map.data.as_ref().and_then(|data| data.get("name"));
    said.is_some() && said == map.metadata.name.as_ref()
}

fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

async fn tokens(secrets: &kube::Api<Secret>) -> Vec<String> {
    let list = secrets.list(&ListParams::default()).await.unwrap();
    let names = list
        .items
        .into_iter()
        .filter_map(|secret| secret.metadata.name);
    names
        .filter(|name| name.starts_with("bootstrap-token-"))
        .collect()
}
