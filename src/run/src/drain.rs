//! Draining: evicts pods from a node before its machine is deleted, within PodDisruptionBudgets.

use super::Means;
use hakube_error::{Error, Result};
use hakube_kubernetes::{Cordon, Evicted, Eviction, PodOnNode};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// How to drain nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long all pods together may take to leave.
    pub timeout: Duration,
    /// Whether to delete pods that a budget protects or that no controller recreates.
    pub force: bool,
}

impl Drain {
    /// Drains within this time, without force.
    pub fn within(timeout: Duration) -> Self {
        Self {
            timeout,
            force: false,
        }
    }
}

/// Checks that these nodes can be drained now. Changes nothing.
///
/// # Errors
/// Refused: the pods that can't be evicted, each with the reason. Or the API server can't be reached.
pub async fn check(means: &Means, endpoint: SocketAddr, nodes: &[String]) -> Result<()> {
    if means.drain.force {
        return Ok(());
    }
    let mut kept = Vec::new();
    for node in nodes {
        for pod in means.kubernetes.pods_to_move(endpoint, node).await? {
            if pod.terminating {
                continue;
            }
            if !pod.managed {
                kept.push(unmanaged(&pod));
                continue;
            }
            let answer = means.kubernetes.evict(endpoint, &pod, Eviction::Check);
            if let Evicted::Blocked { why } = answer.await? {
                kept.push(blocked(&pod, &why));
            }
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    let what = format!("{} can't be drained, and nothing was changed", names(nodes));
    Err(explain(Error::refused(what), kept))
}

/// Drains these nodes together, so that no pod moves from one to another. `tell` is called with the number of
/// pods gone and the total.
///
/// # Errors
/// The pods left at the timeout, each with the reason. The nodes are uncordoned then.
pub async fn drain(
    means: &Means,
    endpoint: SocketAddr,
    nodes: &[String],
    mut tell: impl FnMut(usize, usize),
) -> Result<()> {
    for node in nodes {
        means
            .kubernetes
            .cordon(endpoint, node, Cordon::Closed)
            .await?;
    }
    let drained = empty(means, endpoint, nodes, &mut tell).await;
    if drained.is_err() {
        for node in nodes {
            // Report the drain's error, not this one.
            let _ = means.kubernetes.cordon(endpoint, node, Cordon::Open).await;
        }
    }
    drained
}

async fn empty(
    means: &Means,
    endpoint: SocketAddr,
    nodes: &[String],
    tell: &mut impl FnMut(usize, usize),
) -> Result<()> {
    let deadline = Instant::now() + means.drain.timeout;
    let mut most = 0;
    let mut reported = None;
    loop {
        let (left, kept) = match round(means, endpoint, nodes).await {
            Ok(round) => round,
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => {
                tokio::time::sleep(means.pace).await;
                continue;
            }
        };
        most = most.max(left);
        if reported != Some(left) {
            reported = Some(left);
            tell(most - left, most);
        }
        if left == 0 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            if means.drain.force {
                // They are deleted already, and end with their machine.
                return Ok(());
            }
            let what = format!(
                "{} not drained within {} s: {left} pods left",
                names(nodes),
                means.drain.timeout.as_secs()
            );
            return Err(explain(Error::failed(what), kept));
        }
        tokio::time::sleep(means.pace).await;
    }
}

/// Evicts all pods once. Returns how many there were, and why the rest remain.
async fn round(
    means: &Means,
    endpoint: SocketAddr,
    nodes: &[String],
) -> Result<(usize, Vec<String>)> {
    let kubernetes = &means.kubernetes;
    let force = means.drain.force;
    let (mut left, mut kept) = (0, Vec::new());
    for node in nodes {
        for pod in kubernetes.pods_to_move(endpoint, node).await? {
            left += 1;
            if pod.terminating {
                kept.push(format!("pod {pod} is still terminating"));
                continue;
            }
            if !pod.managed && !force {
                kept.push(unmanaged(&pod));
                continue;
            }
            match kubernetes.evict(endpoint, &pod, Eviction::Evict).await? {
                Evicted::Leaves => kept.push(format!("pod {pod} is still terminating")),
                Evicted::Blocked { .. } if force => {
                    kubernetes.evict(endpoint, &pod, Eviction::Delete).await?;
                }
                Evicted::Blocked { why } => kept.push(blocked(&pod, &why)),
            }
        }
    }
    Ok((left, kept))
}

fn unmanaged(pod: &PodOnNode) -> String {
    format!("pod {pod} has no controller that would recreate it elsewhere")
}

fn blocked(pod: &PodOnNode, why: &str) -> String {
    format!("pod {pod}: {why}")
}

fn names(nodes: &[String]) -> String {
    match nodes {
        [one] => format!("node {one}"),
        _ => format!("nodes {}", nodes.join(", ")),
    }
}

/// Adds the first ten of the remaining pods, and hints.
fn explain(mut error: Error, mut kept: Vec<String>) -> Error {
    const SHOWN: usize = 10;
    let more = kept.len().saturating_sub(SHOWN);
    kept.truncate(SHOWN);
    error.causes.extend(kept);
    if more > 0 {
        error.causes.push(format!("{more} more pods"));
    }
    error
        .hint("check the budgets: kubectl get poddisruptionbudgets --all-namespaces; then run this again")
        .hint("to delete these pods anyway, run the same command with --force")
}
