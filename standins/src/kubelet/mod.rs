//! A hollow kubelet: a node that is there, is ready, and runs nothing.

mod bootstrap;
mod config;
mod node;

use std::time::Duration;

use serde_json::{Value, json};

use self::config::KubeletConfiguration;
pub use self::node::HOLLOW_LABEL;
use self::node::NodeDescription;
use crate::client::{ApiClient, ClientError};
use crate::error::Result;
use crate::flags::Flags;
use crate::leader_election::micro_time;
use crate::version::Version;

const NODES: &str = "/api/v1/nodes";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

/// The longest pause while the API server is away.
const MAX_BACKOFF: Duration = Duration::from_secs(7);

/// Registers the node and keeps its lease, for ever.
pub async fn run(flags: &Flags, version: Version) -> Result<()> {
    let config = KubeletConfiguration::of(flags)?;
    let description = NodeDescription::new(flags, &config, &version)?;
    let mut credentials = bootstrap::credentials(flags, description.name()).await?;
    // As the real kubelet: a quarter of the lease, so that three renewals may fail.
    let renewal = Duration::from_secs(config.node_lease_duration_seconds).div_f64(4.0);
    let mut backoff = Duration::from_millis(200);
    loop {
        credentials.renew().await;
        let client = &credentials.client;
        match beat(client, &description, &config, flags.bool("register-node")).await {
            Ok(()) => {
                backoff = Duration::from_millis(200);
                tokio::time::sleep(renewal).await;
            }
            Err(error) => {
                tracing::warn!(%error, server = client.server(), "node {}: trying again", description.name());
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(MAX_BACKOFF);
            }
        }
    }
}

/// What is due every ten seconds: the node exists and is ready, the lease is renewed.
async fn beat(
    client: &ApiClient,
    description: &NodeDescription,
    config: &KubeletConfiguration,
    register: bool,
) -> Result<(), ClientError> {
    let name = description.name();
    let path = format!("{NODES}/{name}");
    let node = match client.get(&path).await {
        Ok(node) => node,
        Err(error) if error.is_not_found() && register => {
            let node = client.create(NODES, &description.object()).await?;
            tracing::info!("registered node {name}");
            node
        }
        Err(error) => return Err(error),
    };
    if !node::is_up_to_date(&node, &description.object()) {
        client
            .patch(
                &format!("{path}/status"),
                &json!({"status": description.status()}),
            )
            .await?;
        tracing::info!("node {name}: status updated");
    }
    renew_lease(client, name, &node, config.node_lease_duration_seconds).await
}

async fn renew_lease(
    client: &ApiClient,
    name: &str,
    node: &Value,
    seconds: u64,
) -> Result<(), ClientError> {
    let path = format!("{LEASES}/{name}");
    match client.get(&path).await {
        Ok(mut lease) => {
            lease["spec"]["renewTime"] = micro_time().into();
            client.replace(&path, &lease).await.map(drop)
        }
        Err(error) if error.is_not_found() => {
            let lease = json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease", "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]},
                ]},
                "spec": {"holderIdentity": name, "leaseDurationSeconds": seconds, "renewTime": micro_time()},
            });
            client.create(LEASES, &lease).await.map(drop)
        }
        Err(error) => Err(error),
    }
}
