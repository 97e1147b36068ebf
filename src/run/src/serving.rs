//! Kubelets' requests for serving certificates. Those for the kubelet's own name and addresses are approved.

use super::Means;
use futures::future::join_all;
use hakube_error::Result;
use hakube_kubernetes::{Machines, ServingRequest, decide_serving};
use hakube_model::ServingView;
use hakube_provider::{Machine, MachineRef, NodeGroup};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// The requests, each with the reason not to approve it.
///
/// # Errors
/// The API server or the provider can't be reached.
async fn decided(
    endpoint: SocketAddr,
    means: &Means,
    cluster: &str,
) -> Result<Vec<(ServingRequest, Option<String>)>> {
    let requests = means.kubernetes.serving_requests(endpoint).await?;
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let machines = machines(means, cluster, &requests).await?;
    let decide = |request: ServingRequest| {
        let refused = decide_serving(&request, &machines).err();
        (request, refused)
    };
    Ok(requests.into_iter().map(decide).collect())
}

/// The addresses of the cluster's machines, from the provider. What a node claims isn't trusted.
async fn machines(means: &Means, cluster: &str, requests: &[ServingRequest]) -> Result<Machines> {
    let inventory = means.provider.inspect(cluster).await?;
    let mut machines: Machines = inventory.machines.iter().map(with_addresses).collect();
    let asking: BTreeSet<&str> = requests.iter().filter_map(ServingRequest::node).collect();
    let groups = inventory.node_groups.iter();
    let of_groups = groups.flat_map(NodeGroup::machine_refs);
    let asking: Vec<MachineRef> = of_groups
        .filter(|machine| asking.contains(machine.name.as_str()))
        .collect();
    let found = join_all(asking.iter().map(|machine| means.provider.machine(machine))).await;
    let found: Vec<Option<Machine>> = found.into_iter().collect::<Result<_, _>>()?;
    machines.extend(found.iter().flatten().map(with_addresses));
    Ok(machines)
}

fn with_addresses(machine: &Machine) -> (String, BTreeSet<IpAddr>) {
    let addresses = machine.internal_address.into_iter();
    (machine.name.clone(), addresses.collect())
}

/// The pending requests, and the decision about each.
///
/// # Errors
/// The API server or the provider can't be reached.
pub async fn look(endpoint: SocketAddr, means: &Means, cluster: &str) -> Result<Vec<ServingView>> {
    let decided = decided(endpoint, means, cluster).await?;
    let view = |(request, refused): (ServingRequest, Option<String>)| ServingView {
        request: request.name,
        by: request.username,
        refused,
    };
    Ok(decided.into_iter().map(view).collect())
}

/// Approves the requests that may be approved.
///
/// # Errors
/// The API server or the provider can't be reached.
pub async fn approve(endpoint: SocketAddr, means: &Means, cluster: &str) -> Result<()> {
    for (request, refused) in decided(endpoint, means, cluster).await? {
        match refused {
            None => means.kubernetes.approve_serving(endpoint, &request).await?,
            Some(why) => tracing::debug!(request = request.name, why, "left to the administrator"),
        }
    }
    Ok(())
}
