//! The clusters in `hakube clusters`. The fields are a contract.

use super::Table;
use serde::Serialize;

/// A cluster, as its stored intent describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClusterLine {
    /// Its name.
    pub name: String,
    /// Its id; `None` if it was created before clusters had ids, or if the intent can't be read.
    pub id: Option<String>,
    /// The provider of its machines; `None`, like the others, if the intent can't be read.
    pub provider: Option<String>,
    /// The zones of its replicas, in order, each once.
    pub zones: Vec<String>,
    /// The number of its replicas.
    pub replicas: Option<usize>,
    /// The number of its nodes, without replicas.
    pub nodes: Option<u32>,
    /// The version of Kubernetes, with a leading `v`.
    pub kubernetes: Option<String>,
    /// The operation that is running or unfinished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
    /// Why the intent can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The clusters of a state store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterList {
    /// The store's location.
    pub state: String,
    /// By name.
    pub clusters: Vec<ClusterLine>,
}

impl ClusterList {
    /// Renders text for people.
    pub fn render(&self) -> String {
        if self.clusters.is_empty() {
            return format!(
                "there is no cluster in {}; to create one: hakube up\n",
                self.state
            );
        }
        let mut table = Table::new(&[
            "CLUSTER",
            "PROVIDER",
            "ZONES",
            "REPLICAS",
            "NODES",
            "KUBERNETES",
            "UNFINISHED",
        ]);
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        for cluster in &self.clusters {
            let last = match &cluster.error {
                Some(why) => format!("unreadable: {why}"),
                None => shown(cluster.unfinished.clone()),
            };
            table.row([
                cluster.name.clone(),
                shown(cluster.provider.clone()),
                shown((!cluster.zones.is_empty()).then(|| cluster.zones.join(","))),
                shown(cluster.replicas.map(|count| count.to_string())),
                shown(cluster.nodes.map(|count| count.to_string())),
                shown(cluster.kubernetes.clone()),
                last,
            ]);
        }
        table.render()
    }
}
