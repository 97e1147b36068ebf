//! What `hakube status` tells. The fields are a contract that others script against.

use super::{ClockStatus, ExpiryStatus, Table};
use crate::cluster::{Backend, Quorum};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A cluster at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Its name.
    pub cluster: String,
    /// Where its machines are.
    pub provider: String,
    /// Its version of Kubernetes.
    pub version: String,
    /// Its one stable address.
    pub endpoint: EndpointStatus,
    /// etcd's quorum; `None` while etcd can't be asked.
    pub quorum: Option<QuorumStatus>,
    /// ENABLE_ETCD_QUORUM_READ, as recorded.
    pub etcd_quorum_reads: bool,
    /// The control-plane machines.
    pub replicas: Vec<ReplicaStatus>,
    /// The workers that have registered.
    pub nodes: Vec<NodeStatus>,
    /// What runs in the cluster besides the control plane.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<AddonStatus>,
    /// Whether nobody waits for the addons' pods, since no node runs any.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hollow_nodes: bool,
    /// Kubelets' requests for serving certificates that are left to the administrator.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub serving_requests: Vec<ServingStatus>,
    /// When certificates end.
    pub certificates: ExpiryStatus,
    /// Replicas whose clocks differ from that of this host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clocks: Vec<ClockStatus>,
    /// What was begun and not finished.
    pub unfinished: Option<UnfinishedStatus>,
    /// What is running right now, and who runs it.
    pub running: Option<String>,
    /// The zones that couldn't be asked, and why not: what is in them isn't known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unreachable: BTreeMap<String, String>,
    /// What is wrong with parts of the cluster, each with what puts it right.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConditionStatus>,
    /// What differs from what was asked for, as what would be done about it.
    pub drift: Vec<String>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConditionStatus {
    /// `etcd-data-gone`, `etcd-data-foreign`, `etcd-data-damaged`, `etcd-data-inconsistent`, `etcd-member-removed`,
    /// `etcd-alarm-corrupt` or `etcd-alarm-nospace`.
    pub kind: &'static str,
    /// The replica that it is about.
    pub replica: String,
    /// What it is, in words.
    pub message: String,
    /// What puts it right: commands, or sentences where it takes a choice.
    pub fix: Vec<String>,
}

/// The endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointStatus {
    /// Its address; `None` before it is reserved.
    pub address: Option<String>,
    /// Its port.
    pub port: u16,
    /// `direct` (on the one replica's machine), `load-balanced` (by the provider), `shared` (among the replicas) or
    /// `external` (a balancer of the user's own).
    pub mode: &'static str,
    /// Whether it answers.
    pub ready: bool,
    /// The backends that it should have, where it is a balancer of the user's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
}

/// etcd's quorum, with the arithmetic done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QuorumStatus {
    /// Members that vote.
    pub voters: usize,
    /// Voters that are healthy.
    pub healthy: usize,
    /// Votes that a write needs.
    pub needed: usize,
    /// Further failures that writes survive.
    pub survives: usize,
}

impl From<Quorum> for QuorumStatus {
    fn from(quorum: Quorum) -> Self {
        Self {
            voters: quorum.voters,
            healthy: quorum.healthy,
            needed: quorum.needed(),
            survives: quorum.survives(),
        }
    }
}

/// A control-plane machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplicaStatus {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Its own address.
    pub address: Option<String>,
    /// `leader`, `voter`, `learner` or `unknown`.
    pub role: &'static str,
    /// Whether its member of etcd is healthy.
    pub etcd_healthy: bool,
    /// Whether its API server is ready.
    pub api_ready: bool,
    /// What the provider says of its machine; `missing` when there is none, `unknown` when its zone can't be asked.
    pub machine: String,
    /// Whether its API server is a stand-in; `None` when it doesn't answer.
    pub stand_in: Option<bool>,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether its kubelet is a stand-in, which runs no pods.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hollow: bool,
}

/// An addon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddonStatus {
    /// Its name.
    pub name: String,
    /// `ready`, `applied` (where no pods run), `not ready`, `missing`, `differs`, `not wanted` or `unknown`.
    pub state: &'static str,
    /// Why, where that isn't as it should be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// A kubelet's request for a serving certificate that isn't for what is its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServingStatus {
    /// Its name.
    pub name: String,
    /// Who asks.
    pub by: String,
    /// Why it isn't approved.
    pub why: String,
}

/// An operation that was begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnfinishedStatus {
    /// The command.
    pub operation: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// Who ran it.
    pub by: String,
}

impl Status {
    /// For people: what matters first.
    pub fn render(&self) -> String {
        let mut text = format!(
            "cluster {} on {}, Kubernetes {}\n",
            self.cluster, self.provider, self.version
        );
        let _ = writeln!(text, "{}", self.endpoint_line());
        for backend in &self.endpoint.backends {
            let _ = writeln!(text, "  backend {backend}");
        }
        let _ = writeln!(text, "{}", self.quorum_line());
        text.push_str(&self.certificates.render());
        text.extend(self.clocks.iter().map(ClockStatus::render));
        if let Some(running) = &self.running {
            let _ = writeln!(text, "running now: {running}");
        } else if let Some(unfinished) = &self.unfinished {
            let _ = writeln!(
                text,
                "unfinished: {}, begun {} by {}; to finish it: hakube reconcile",
                unfinished.operation, unfinished.started, unfinished.by
            );
        }
        for (zone, why) in &self.unreachable {
            let _ = writeln!(
                text,
                "zone {zone} can't be asked, so what is there is UNKNOWN: {why}"
            );
        }
        let mut conditions = self.conditions.iter().peekable();
        while let Some(condition) = conditions.next() {
            let _ = writeln!(text, "{}: {}", condition.replica, condition.message);
            // One fix for several is told once.
            let is_told_later = conditions
                .peek()
                .is_some_and(|next| next.fix == condition.fix);
            for fix in condition.fix.iter().filter(|_| !is_told_later) {
                let _ = writeln!(text, "  to fix it: {fix}");
            }
        }
        if !self.drift.is_empty() {
            let _ = writeln!(
                text,
                "this differs from what was asked for; hakube repair would:"
            );
        }
        for drift in &self.drift {
            let _ = writeln!(text, "  - {drift}");
        }
        let mut replicas = Table::new(&["REPLICA", "ZONE", "ADDRESS", "ETCD", "API", "MACHINE"]);
        for replica in &self.replicas {
            replicas.row([
                replica.name.clone(),
                replica.zone.clone(),
                replica.address.clone().unwrap_or_else(|| "-".into()),
                etcd_cell(replica),
                api_cell(replica),
                replica.machine.clone(),
            ]);
        }
        let _ = write!(text, "\n{}", replicas.render());
        if !self.nodes.is_empty() {
            let mut nodes = Table::new(&["NODE", "ZONE", "STATUS"]);
            for node in &self.nodes {
                let ready = if node.ready { "ready" } else { "not ready" };
                let hollow = if node.hollow { " (hollow)" } else { "" };
                nodes.row([
                    node.name.clone(),
                    node.zone.clone(),
                    format!("{ready}{hollow}"),
                ]);
            }
            let _ = write!(text, "\n{}", nodes.render());
            if self.nodes.iter().any(|node| node.hollow) {
                text.push_str("\nHollow nodes have hakube's stand-in for a kubelet: pods are placed on them and never run.\n");
            }
        }
        text.push_str(&self.addons_text());
        if self
            .replicas
            .iter()
            .any(|replica| replica.stand_in == Some(true))
        {
            text.push_str(
                "\nThe API servers are hakube's stand-ins, not Kubernetes; etcd is real.\n",
            );
        }
        text
    }

    fn addons_text(&self) -> String {
        let mut text = String::new();
        if !self.addons.is_empty() {
            let mut addons = Table::new(&["ADDON", "STATUS"]);
            for AddonStatus { name, state, why } in &self.addons {
                let state = match why.as_slice() {
                    [] => (*state).to_owned(),
                    [one] => format!("{state}: {one}"),
                    [first, others @ ..] => format!("{state}: {first}, and {} more", others.len()),
                };
                addons.row([name.clone(), state]);
            }
            let _ = write!(text, "\n{}", addons.render());
            if self.hollow_nodes {
                text.push_str("\nNo node runs pods, so addons are applied and their pods aren't waited for.\n");
            }
        }
        for ServingStatus { name, by, why } in &self.serving_requests {
            let _ = writeln!(
                text,
                "\ncertificate request {name} by {by} isn't approved: {why}\n  \
                 if it is right all the same: kubectl certificate approve {name}"
            );
        }
        text
    }

    fn endpoint_line(&self) -> String {
        let EndpointStatus {
            address,
            port,
            mode,
            ready,
            ..
        } = &self.endpoint;
        let ready = if *ready { "ready" } else { "NOT READY" };
        match address {
            Some(address) => format!("endpoint https://{address}:{port}, {mode}, {ready}"),
            None => "endpoint: no address is reserved".to_owned(),
        }
    }

    fn quorum_line(&self) -> String {
        let Some(quorum) = self.quorum else {
            return "etcd: UNKNOWN, no member could be asked".to_owned();
        };
        let QuorumStatus {
            voters,
            healthy,
            needed,
            survives,
        } = quorum;
        let margin = if healthy < needed {
            "QUORUM IS LOST".to_owned()
        } else {
            format!(
                "survives {survives} {}",
                if survives == 1 { "failure" } else { "failures" }
            )
        };
        format!("etcd: {healthy} of {voters} voters healthy, {needed} needed; {margin}")
    }
}

fn etcd_cell(replica: &ReplicaStatus) -> String {
    match (replica.role, replica.etcd_healthy) {
        ("unknown", _) => "unknown".into(),
        (role, true) => role.into(),
        (role, false) => format!("{role}, DOWN"),
    }
}

fn api_cell(replica: &ReplicaStatus) -> String {
    let ready = if replica.api_ready {
        "ready"
    } else {
        "NOT READY"
    };
    match replica.stand_in {
        Some(true) => format!("{ready} (stand-in)"),
        Some(false) | None => ready.into(),
    }
}
