//! A hollow kubelet: its node is ready, but runs nothing.

mod bootstrap;
mod node;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

use self::bootstrap::Credentials;
pub use self::node::HOLLOW_LABEL;
use self::node::{Configuration, described, is_up_to_date};
use crate::Result;
use crate::client::{connect, in_time};
use crate::flags::Flags;
use crate::version::Version;

const MIN_BACKOFF: Duration = Duration::from_millis(200);
/// The longest pause while the API server is unreachable.
const MAX_BACKOFF: Duration = Duration::from_secs(7);

/// Registers the node and keeps its lease, for ever.
pub async fn run(flags: &Flags, version: &Version) -> Result<()> {
    let configuration = Configuration::read(flags)?;
    let name = flags.required("hostname-override")?;
    let seconds = configuration.node_lease_duration_seconds;
    let credentials = Credentials::get(flags, name).await?;
    let mut client = connect(&credentials.kubeconfig).await?;
    let mut backoff = MIN_BACKOFF;
    loop {
        if credentials.renew(&client, name).await {
            client = connect(&credentials.kubeconfig).await?;
        }
        let node = described(flags, &configuration, version)?;
        match in_time(beat(&client, &node, seconds)).await {
            Ok(()) => {
                backoff = MIN_BACKOFF;
                // As in the real kubelet: a quarter of the lease, so three renewals may fail.
                tokio::time::sleep(Duration::from_secs(u64::from(seconds)) / 4).await;
            }
            Err(error) => {
                tracing::warn!(error, "node {name}: retrying");
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(MAX_BACKOFF);
                if let Ok(renewed) = connect(&credentials.kubeconfig).await {
                    client = renewed;
                }
            }
        }
    }
}

/// Ensures that the node exists and is ready, and renews its lease.
async fn beat(client: &kube::Client, described: &Node, seconds: u32) -> kube::Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let name = described.metadata.name.as_deref().unwrap_or_default();
    let node = match nodes.get_opt(name).await? {
        Some(node) => node,
        None => {
            let node = nodes.create(&PostParams::default(), described).await?;
            tracing::info!("registered node {name}");
            node
        }
    };
    if !is_up_to_date(&node, described) {
        let patch = Patch::Merge(json!({"status": described.status}));
        nodes
            .patch_status(name, &PatchParams::default(), &patch)
            .await?;
        tracing::info!("node {name}: status updated");
    }

    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let mut lease = leases.get_opt(name).await?.unwrap_or_default();
    let is_new = lease.metadata.name.is_none();
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(name.to_owned()),
        lease_duration_seconds: i32::try_from(seconds).ok(),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..LeaseSpec::default()
    });
    if is_new {
        lease.metadata.name = Some(name.to_owned());
        lease.metadata.owner_references = Some(vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: name.to_owned(),
            uid: node.metadata.uid.unwrap_or_default(),
            ..OwnerReference::default()
        }]);
        leases.create(&PostParams::default(), &lease).await?;
    } else {
        leases.replace(name, &PostParams::default(), &lease).await?;
    }
    Ok(())
}
