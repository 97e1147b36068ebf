//! Marks nodes `Unknown` when their kubelets fall silent, as Kubernetes' node lifecycle controller does;
//! without its taints and evictions.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::{ApiClient, ClientError};

/// When each node's lease was last seen to change, on this machine's clock.
type Seen = HashMap<String, (Value, Instant)>;

/// Looks every `period`, for ever; a node may be silent for `grace`.
pub async fn run(client: ApiClient, period: Duration, grace: Duration) {
    let mut seen = Seen::new();
    loop {
        if let Err(error) = check(&client, &mut seen, grace).await {
            tracing::warn!(%error, "can't check the nodes");
        }
        tokio::time::sleep(period).await;
    }
}

async fn check(client: &ApiClient, seen: &mut Seen, grace: Duration) -> Result<(), ClientError> {
    let nodes = client.get("/api/v1/nodes").await?;
    let leases = client
        .get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")
        .await?;
    for name in silent(&nodes, &leases, seen, Instant::now(), grace) {
        tracing::info!(
            "node {name} has not renewed its lease for {} s: NotReady",
            grace.as_secs()
        );
        let now = jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string();
        let patch = json!({"status": {"conditions": [{
            "type": "Ready",
            "status": "Unknown",
            "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.",
            "lastTransitionTime": now,
        }]}});
        match client
            .patch(&format!("/api/v1/nodes/{name}/status"), &patch)
            .await
        {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The nodes that are to be marked now.
fn silent(
    nodes: &Value,
    leases: &Value,
    seen: &mut Seen,
    now: Instant,
    grace: Duration,
) -> Vec<String> {
    let items = |list: &Value| list["items"].as_array().cloned().unwrap_or_default();
    let name = |object: &Value| {
        object["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let renewals: HashMap<String, Value> = items(leases)
        .iter()
        .map(|lease| (name(lease), lease["spec"]["renewTime"].clone()))
        .collect();
    let nodes = items(nodes);
    seen.retain(|known, _| nodes.iter().any(|node| name(node) == *known));

    let mut silent = Vec::new();
    for node in &nodes {
        let renewed = renewals.get(&name(node)).cloned().unwrap_or_default();
        let last = seen
            .entry(name(node))
            .or_insert_with(|| (renewed.clone(), now));
        if last.0 != renewed {
            *last = (renewed, now);
        }
        let conditions = node["status"]["conditions"].as_array();
        let known = conditions.is_some_and(|all| {
            all.iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] != "Unknown")
        });
        if known && now >= last.1 + grace {
            silent.push(name(node));
        }
    }
    silent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_silent_when_its_lease_stands_still_for_the_grace_period() {
        let nodes = |status: &str| json!({"items": [{"metadata": {"name": "n"}, "status": {"conditions": [{"type": "Ready", "status": status}]}}]});
        let leases = |renewed: &str| json!({"items": [{"metadata": {"name": "n"}, "spec": {"renewTime": renewed}}]});
        let (mut seen, start, grace) = (Seen::new(), Instant::now(), Duration::from_secs(40));
        let mut at = |seconds: u64, renewed: &str, status: &str| {
            silent(
                &nodes(status),
                &leases(renewed),
                &mut seen,
                start + Duration::from_secs(seconds),
                grace,
            )
        };
        assert!(at(0, "a", "True").is_empty());
        assert!(at(39, "a", "True").is_empty());
        assert!(
            at(40, "b", "True").is_empty(),
            "a renewal starts the time anew"
        );
        assert_eq!(at(80, "b", "True"), ["n"]);
        assert!(at(81, "b", "Unknown").is_empty(), "marked once");
    }
}
