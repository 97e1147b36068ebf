//! kube-controller-manager and kube-scheduler: they hold their leases. The leading controller manager marks
//! nodes `Unknown` when their kubelets stop responding, like Kubernetes' node lifecycle controller, but
//! without taints and evictions.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::Instant;

use crate::Result;
use crate::client::{connect, in_time, is_not_found};
use crate::flags::Flags;

/// Leads, if elected, and marks unresponsive nodes.
pub async fn controller_manager(flags: &Flags) -> Result<()> {
    let grace = flags.span("node-monitor-grace-period", 40);
    lead(flags, "kube-controller-manager", Some(grace)).await
}

/// Leads, if elected; schedules nothing.
pub async fn scheduler(flags: &Flags) -> Result<()> {
    lead(flags, "kube-scheduler", None).await
}

/// A lease's time, and when it was first seen, by this machine's clock: the holder's may be wrong.
type Seen = Option<(Option<MicroTime>, Instant)>;

/// Tries to hold the lease, and to mark nodes that are silent for `grace` while it does, for ever.
async fn lead(flags: &Flags, name: &'static str, grace: Option<Duration>) -> Result<()> {
    let kubeconfig = flags.path("kubeconfig")?;
    let duration = flags.span("leader-elect-lease-duration", 15);
    let host = nix::unistd::gethostname().map_err(|error| format!("no host name: {error}"))?;
    let mut candidate = Candidate {
        name,
        identity: format!("{}_{}", host.to_string_lossy(), uuid::Uuid::new_v4()),
        duration,
        seen: None,
    };
    let mut nodes = HashMap::new();
    let mut client = connect(&kubeconfig).await?;
    let mut leads = false;
    loop {
        let round = in_time(async {
            let held = candidate.hold(&client).await?;
            if let (true, Some(grace)) = (held, grace) {
                mark_silent(&client, &mut nodes, grace).await?;
            }
            Ok(held)
        });
        match round.await {
            Ok(held) => {
                if held != leads {
                    tracing::info!("{} the lease {name}", if held { "holds" } else { "lost" });
                }
                leads = held;
            }
            Err(error) => {
                tracing::warn!(error, "lease {name}");
                match connect(&kubeconfig).await {
                    Ok(renewed) => client = renewed,
                    Err(error) => tracing::warn!(error, "keeping the existing credentials"),
                }
            }
        }
        // client-go's default: 2 s for a lease of 15 s.
        tokio::time::sleep(duration.mul_f64(2.0 / 15.0)).await;
    }
}

struct Candidate {
    name: &'static str,
    identity: String,
    duration: Duration,
    seen: Seen,
}

impl Candidate {
    /// Acquires or renews the lease. False if another candidate holds it.
    async fn hold(&mut self, client: &kube::Client) -> kube::Result<bool> {
        let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-system");
        let current = leases.get_opt(self.name).await?;
        let spec = current.as_ref().and_then(|lease| lease.spec.as_ref());
        let Some(spec) = self.next(spec, Instant::now()) else {
            return Ok(false);
        };
        let mut lease = current.unwrap_or_default();
        lease.spec = Some(spec);
        let params = PostParams::default();
        let written = match lease.metadata.name.clone() {
            Some(name) => leases.replace(&name, &params, &lease).await,
            None => {
                lease.metadata.name = Some(self.name.to_owned());
                leases.create(&params, &lease).await
            }
        };
        match written {
            // Another candidate was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            written => written.map(|_| true),
        }
    }

    /// The lease to write now; `None` if another candidate holds it.
    fn next(&mut self, current: Option<&LeaseSpec>, now: Instant) -> Option<LeaseSpec> {
        let current = current.cloned().unwrap_or_default();
        let is_mine = current.holder_identity.as_ref() == Some(&self.identity);
        let changed = last_change(&mut self.seen, current.renew_time.as_ref(), now);
        let is_held = current.holder_identity.is_some() && now < changed + self.duration;
        if is_held && !is_mine {
            return None;
        }
        let time = Some(MicroTime(Timestamp::now()));
        Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
            acquire_time: if is_mine {
                current.acquire_time
            } else {
                time.clone()
            },
            lease_transitions: match (is_mine, current.holder_identity.is_some()) {
                (false, true) => Some(current.lease_transitions.unwrap_or(0) + 1),
                _ => current.lease_transitions.or(Some(0)),
            },
            renew_time: time,
            ..current
        })
    }
}

/// When `renewed` was first seen.
fn last_change(seen: &mut Seen, renewed: Option<&MicroTime>, now: Instant) -> Instant {
    match seen {
        Some((known, since)) if known.as_ref() == renewed => *since,
        _ => seen.insert((renewed.cloned(), now)).1,
    }
}

async fn mark_silent(
    client: &kube::Client,
    seen: &mut HashMap<String, Seen>,
    grace: Duration,
) -> kube::Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let all = nodes.list(&ListParams::default()).await?.items;
    let renewals = leases.list(&ListParams::default()).await?.items;
    for mut node in silent(all, &renewals, seen, Instant::now(), grace) {
        let name = node.metadata.name.take().unwrap_or_default();
        tracing::info!("node {name} is silent for {} s: NotReady", grace.as_secs());
        let mut conditions = node.status.and_then(|status| status.conditions);
        for condition in conditions.iter_mut().flatten() {
            if condition.type_ == "Ready" {
                "Unknown".clone_into(&mut condition.status);
                condition.reason = Some("NodeStatusUnknown".to_owned());
                condition.message = Some("Kubelet stopped posting node status.".to_owned());
                condition.last_transition_time = Some(Time(Timestamp::now()));
            }
        }
        let patch = Patch::Merge(json!({"status": {"conditions": conditions}}));
        let patched = nodes
            .patch_status(&name, &PatchParams::default(), &patch)
            .await;
        match patched {
            Err(error) if !is_not_found(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The nodes to mark now.
fn silent(
    nodes: Vec<Node>,
    leases: &[Lease],
    seen: &mut HashMap<String, Seen>,
    now: Instant,
    grace: Duration,
) -> Vec<Node> {
    let mut silent = nodes;
    silent.retain(|node| {
        let lease = leases
            .iter()
            .find(|lease| lease.metadata.name == node.metadata.name);
        let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref());
        let name = node.metadata.name.clone().unwrap_or_default();
        let changed = last_change(seen.entry(name).or_default(), renewed, now);
        let conditions = node.status.iter().flat_map(|status| &status.conditions);
        let is_ready = conditions
            .flatten()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True");
        is_ready && now >= changed + grace
    });
    silent
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn time(second: i64) -> Option<MicroTime> {
        Some(MicroTime(Timestamp::from_second(second).unwrap()))
    }

    #[test]
    fn another_holders_lease_expires_by_our_clock() {
        let mut me = Candidate {
            name: "x",
            identity: "me".to_owned(),
            duration: Duration::from_secs(15),
            seen: None,
        };
        let start = Instant::now();
        let mut next = |holder: Option<&str>, renewed, after| {
            let spec = LeaseSpec {
                holder_identity: holder.map(str::to_owned),
                acquire_time: time(0),
                renew_time: time(renewed),
                lease_transitions: Some(3),
                ..LeaseSpec::default()
            };
            me.next(Some(&spec), start + Duration::from_secs(after))
        };
        assert_eq!(next(Some("you"), 1, 0), None);
        assert_eq!(next(Some("you"), 1, 14), None);
        assert_eq!(next(Some("you"), 2, 14), None, "a renewal restarts it");
        assert_eq!(next(Some("you"), 2, 28), None);
        let taken = next(Some("you"), 2, 29).unwrap();
        assert_eq!(taken.holder_identity.as_deref(), Some("me"));
        assert_eq!(taken.lease_transitions, Some(4));
        assert_ne!(taken.acquire_time, time(0));

        let renewed = next(Some("me"), 3, 30).unwrap();
        assert_eq!(renewed.lease_transitions, Some(3));
        assert_eq!(renewed.acquire_time, time(0));
        assert!(next(None, 4, 31).is_some(), "a released lease is free");
    }

    #[test]
    fn a_node_is_silent_when_its_lease_is_not_renewed_for_the_grace_period() {
        let (mut seen, start, grace) = (HashMap::new(), Instant::now(), Duration::from_secs(40));
        let mut at = |seconds, renewed, ready: &str| {
            let node = json!({"metadata": {"name": "n"}, "status": {"conditions": [{"type": "Ready", "status": ready}]}});
            let mut lease = Lease::default();
            lease.metadata.name = Some("n".to_owned());
            lease.spec = Some(LeaseSpec {
                renew_time: time(renewed),
                ..LeaseSpec::default()
            });
            let nodes = vec![serde_json::from_value(node).unwrap()];
            let now = start + Duration::from_secs(seconds);
            silent(nodes, &[lease], &mut seen, now, grace).len()
        };
        assert_eq!(at(0, 1, "True"), 0);
        assert_eq!(at(39, 1, "True"), 0);
        assert_eq!(at(40, 2, "True"), 0, "a renewal restarts the grace period");
        assert_eq!(at(80, 2, "True"), 1);
        assert_eq!(at(81, 2, "Unknown"), 0, "marked once");
    }
}
