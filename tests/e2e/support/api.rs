//! The Kubernetes API as a user of the kubeconfig sees it.

use super::Home;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::api::{ListParams, ObjectMeta, PostParams};
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
        // A connection that was cut while the address moved should be noticed soon.
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

    /// Creates a ConfigMap that says its own name.
    pub async fn write(&self, name: &str) -> kube::Result<()> {
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            data: Some(BTreeMap::from([("name".to_owned(), name.to_owned())])),
            ..ConfigMap::default()
        };
        self.config_maps()
            .create(&PostParams::default(), &map)
            .await
            .map(drop)
    }

    /// Whether the ConfigMap is there and says its name.
    pub async fn has(&self, name: &str) -> kube::Result<bool> {
        Ok(self
            .config_maps()
            .get_opt(name)
            .await?
            .as_ref()
            .is_some_and(is_whole))
    }

    /// All ConfigMaps that say their names.
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
