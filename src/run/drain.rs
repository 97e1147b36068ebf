//! Draining: pods leave a node before its machine goes, as far as PodDisruptionBudgets allow it.

use super::Means;
use crate::error::{Error, Result};
use crate::kubernetes::{Evicted, Eviction, PodOnNode};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// How patiently nodes are drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// How long pods may take to leave, all together.
    pub timeout: Duration,
    /// Whether pods go that a budget keeps, or that nothing recreates.
    pub force: bool,
}

impl Drain {
    /// With patience, and without force.
    pub fn within(timeout: Duration) -> Self {
        Self {
            timeout,
            force: false,
        }
    }
}

/// Whether these nodes could be drained now. Changes nothing.
///
/// # Errors
/// Refused: the pods that can't leave, each with what keeps it. Or the API can't be asked.
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

/// Drains these nodes together: none of them takes what leaves another. `tell` hears how many pods have left, of how
/// many.
///
/// # Errors
/// Pods that are still there at the end, each with what keeps it. The nodes take pods again then.
pub async fn drain(
    means: &Means,
    endpoint: SocketAddr,
    nodes: &[String],
    mut tell: impl FnMut(usize, usize),
) -> Result<()> {
    for node in nodes {
        means.kubernetes.cordon(endpoint, node, true).await?;
    }
    let drained = empty(means, endpoint, nodes, &mut tell).await;
    if drained.is_err() {
        for node in nodes {
            // The failure to tell of is the other one.
            let _ = means.kubernetes.cordon(endpoint, node, false).await;
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
    let mut told = None;
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
        if told != Some(left) {
            told = Some(left);
            tell(most - left, most);
        }
        if left == 0 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            if means.drain.force {
                // They have been deleted, and end with their machine.
                return Ok(());
            }
            let what = format!(
                "{} not drained within {} s: pods left are {left}",
                names(nodes),
                means.drain.timeout.as_secs()
            );
            return Err(explain(Error::failed(what), kept));
        }
        tokio::time::sleep(means.pace).await;
    }
}

/// Makes all that are there leave. How many there are, and what keeps those that stay.
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

/// With the pods that stay, the first ten by name, and the ways out.
fn explain(mut error: Error, mut kept: Vec<String>) -> Error {
    const SHOWN: usize = 10;
    let more = kept.len().saturating_sub(SHOWN);
    kept.truncate(SHOWN);
    error.causes.extend(kept);
    if more > 0 {
        error.causes.push(format!("{more} more pods"));
    }
    error
        .hint("see what a budget needs: kubectl get poddisruptionbudgets --all-namespaces; then run this again")
        .hint("to delete these pods all the same: the same command with --force")
}
