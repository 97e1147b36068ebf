//! The output of `hakube status`. The fields are a contract.

use super::{ClockStatus, ExpiryStatus, Table};
use hakube_model::{Backend, ConditionKind, Quorum};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A cluster's status at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Its name.
    pub cluster: String,
    /// Its ID, which distinguishes it from others with the same name; `None` before it is adopted.
    pub id: Option<String>,
    /// The provider of its machines.
    pub provider: String,
    /// The requested version of Kubernetes.
    pub version: String,
    /// The requested versions, and those that run.
    pub versions: VersionsStatus,
    /// Its stable address.
    pub endpoint: EndpointStatus,
    /// etcd's quorum; `None` if etcd doesn't respond.
    pub quorum: Option<QuorumStatus>,
    /// ENABLE_ETCD_QUORUM_READ, as recorded.
    pub etcd_quorum_reads: bool,
    /// The control-plane machines.
    pub replicas: Vec<ReplicaStatus>,
    /// The registered worker nodes.
    pub nodes: Vec<NodeStatus>,
    /// The addons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<AddonStatus>,
    /// Whether addons' pods aren't awaited, since no node runs pods.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hollow_nodes: bool,
    /// Kubelets' requests for serving certificates that the administrator must decide on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub serving_requests: Vec<ServingStatus>,
    /// The expiry of certificates.
    pub certificates: ExpiryStatus,
    /// Replicas whose clocks differ from this host's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clocks: Vec<ClockStatus>,
    /// The unfinished operation.
    pub unfinished: Option<UnfinishedStatus>,
    /// The running operation and its process.
    pub running: Option<String>,
    /// The zones that couldn't be queried, with the cause. Their resources are unknown.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unreachable: BTreeMap<String, String>,
    /// Problems of parts of the cluster, each with its fix.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConditionStatus>,
    /// Drift from the cluster's intent, as the actions that would fix it.
    pub drift: Vec<String>,
}

/// The versions of a cluster's programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionsStatus {
    /// Kubernetes' API servers.
    pub kubernetes: VersionStatus,
    /// The kubelets of nodes.
    pub kubelet: VersionStatus,
    /// etcd.
    pub etcd: VersionStatus,
}

/// The versions of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionStatus {
    /// The requested version; `None` is any.
    pub wanted: Option<String>,
    /// The versions that run, without duplicates; empty if none responds.
    pub running: Vec<String>,
}

impl VersionStatus {
    /// Such as ` (v1.36.3 runs)`, if that isn't the requested version.
    fn differing(&self) -> String {
        let differs = |runs: &&String| match &self.wanted {
            None => false,
            Some(wanted) => runs.split('+').next() != Some(wanted),
        };
        let differing: Vec<&str> = self
            .running
            .iter()
            .filter(differs)
            .map(String::as_str)
            .collect();
        match differing.as_slice() {
            [] => String::new(),
            [one] => format!(" ({one} runs)"),
            many => format!(" ({} run)", many.join(", ")),
        }
    }
}

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConditionStatus {
    /// Its name, which never changes; docs/reliability.md lists all of them.
    pub kind: ConditionKind,
    /// Its subject: the name of a replica, node or member, `endpoint`, `kubeconfig` or `authority`.
    pub about: String,
    /// The replica, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// Its description.
    pub message: String,
    /// Its fix: commands, or sentences if there is a choice.
    pub fix: Vec<String>,
}

impl ConditionStatus {
    /// Replaces the default fix, `hakube repair`.
    #[must_use]
    pub fn fixed_by<const N: usize>(mut self, fix: [String; N]) -> Self {
        self.fix = fix.into();
        self
    }
}

/// The endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointStatus {
    /// Its address; `None` before it is reserved.
    pub address: Option<String>,
    /// Its port.
    pub port: u16,
    /// `direct` (on the only replica's machine), `load-balanced` (by the provider), `shared` (among
    /// the replicas) or `external` (the user's own load balancer).
    pub mode: &'static str,
    /// Whether it responds.
    pub ready: bool,
    /// The backends that it should have, if it is the user's own load balancer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
}

/// etcd's quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QuorumStatus {
    /// The number of voting members.
    pub voters: usize,
    /// The number of healthy voters.
    pub healthy: usize,
    /// The number of votes that a write needs.
    pub needed: usize,
    /// The number of further failures that writes survive.
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
    /// Whether its etcd member is healthy.
    pub etcd_healthy: bool,
    /// Whether its API server is ready.
    pub api_ready: bool,
    /// The machine's status from the provider; `missing` if there is none, `unknown` if its zone
    /// can't be queried.
    pub machine: String,
    /// Whether its API server is a stand-in; `None` if it doesn't respond.
    pub stand_in: Option<bool>,
}

/// A worker node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Whether its kubelet is a stand-in, which doesn't run pods.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hollow: bool,
}

/// An addon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddonStatus {
    /// Its name.
    pub name: String,
    /// `ready`, `applied` (if no node runs pods), `not ready`, `missing`, `differs`, `not wanted`
    /// or `unknown`.
    pub state: &'static str,
    /// The cause, if it isn't as it should be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
}

/// A kubelet's request for a serving certificate with names or addresses that aren't its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServingStatus {
    /// Its name.
    pub name: String,
    /// The requester.
    pub by: String,
    /// Why it isn't approved.
    pub why: String,
}

/// An unfinished operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnfinishedStatus {
    /// The command.
    pub operation: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// The process that ran it.
    pub by: String,
}

impl Status {
    /// Renders text for people, most important lines first.
    pub fn render(&self) -> String {
        let mut text = format!(
            "cluster {} on {}, Kubernetes {}{}\n",
            self.cluster,
            self.provider,
            self.version,
            self.versions.kubernetes.differing()
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
                "unfinished: {}, started {} by {}; to finish it: hakube reconcile",
                unfinished.operation, unfinished.started, unfinished.by
            );
        }
        for (zone, why) in &self.unreachable {
            let _ = writeln!(
                text,
                "zone {zone} can't be queried, so its resources are UNKNOWN: {why}"
            );
        }
        let all = self.conditions.iter();
        let mut conditions = all
            .filter(|condition| !condition.kind.has_own_line())
            .peekable();
        while let Some(condition) = conditions.next() {
            let _ = writeln!(text, "{}: {}", condition.about, condition.message);
            // A fix for several problems is printed once.
            let is_fixed_later = conditions
                .peek()
                .is_some_and(|next| next.fix == condition.fix);
            for fix in condition.fix.iter().filter(|_| !is_fixed_later) {
                let _ = writeln!(text, "  to fix it: {fix}");
            }
        }
        if !self.drift.is_empty() {
            let _ = writeln!(
                text,
                "the cluster differs from its intent; hakube repair would:"
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
                text.push_str("\nHollow nodes have hakube's stand-in for a kubelet: pods are scheduled on them but never run.\n");
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
                text.push_str(
                    "\nNo node runs pods, so addons are applied without waiting for their pods.\n",
                );
            }
        }
        for ServingStatus { name, by, why } in &self.serving_requests {
            let _ = writeln!(
                text,
                "\ncertificate request {name} by {by} isn't approved: {why}\n  \
                 to approve it anyway: kubectl certificate approve {name}"
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
            None => "endpoint: no address reserved".to_owned(),
        }
    }

    fn quorum_line(&self) -> String {
        let Some(quorum) = self.quorum else {
            return "etcd: UNKNOWN, no member responded".to_owned();
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
