//! Reports everything that makes hosts unusable for a cluster, of all hosts at once. Minor problems
//! are only logged as warnings.

mod claims;
mod downloads;
mod facts;
mod vxlan;

use crate::remote::{CHECKING, Remote, USE};
use crate::scripts::{FACTS, PROBE};
use crate::{Found, Hosts};
use claims::Claim;
use facts::{Asked, Facts, Finding, REACH_HINT, Wanted, shared_identities};
use futures::future::join_all;
use hakube_provider::{ErrorKind, PreflightSpec, ProviderError};
use std::collections::{BTreeMap, BTreeSet};

/// API server, etcd (two ports), kubelet.
const PORTS: [&str; 4] = ["6443", "2379", "2380", "10250"];

impl Hosts {
    /// Checks the hosts that will be leased. Of other hosts, checks only the lease.
    pub(crate) async fn findings(&self, spec: &PreflightSpec) -> Vec<ProviderError> {
        let mut findings = Vec::new();
        let mut named: Vec<&str> = Vec::new();
        let mut wanted: Vec<&Remote> = Vec::new();
        let mut clusters: BTreeSet<&str> = BTreeSet::new();
        for machine in &spec.machines {
            clusters.insert(&machine.cluster);
            named.push(&machine.machine.name);
            match self.known(USE, &machine.machine) {
                Ok(remote) => wanted.push(remote),
                Err(error) => findings.push(error),
            }
        }
        for group in &spec.node_groups {
            clusters.insert(&group.machine.cluster);
            let mut taken = named.clone();
            taken.extend(wanted.iter().map(|remote| &*remote.host.name));
            let members = self.members(group, &taken).await;
            if let Some(error) = members.shortage(group) {
                findings.push(error);
            }
            let size = usize::try_from(group.size).unwrap_or(usize::MAX);
            let missing = size.saturating_sub(members.own.len());
            wanted.extend(members.free.into_iter().take(missing));
        }
        // The hosts that the cluster already has.
        let mut own: Vec<&Remote> = Vec::new();
        for (remote, found) in self.look().await {
            let name = &remote.host.name;
            let is_wanted = wanted.iter().any(|other| other.host.name == *name);
            match found {
                Found::Free => continue,
                Found::Unreachable(mut error) if is_wanted => {
                    USE.clone_into(&mut error.action);
                    findings.push(error);
                }
                Found::Unreachable(_) => {}
                Found::Held(held) if clusters.contains(held.lease.cluster.as_str()) => {
                    own.push(remote);
                }
                Found::Held(held) if is_wanted => {
                    findings.push(held.lease.conflict(remote, USE));
                }
                Found::Held(_) => {}
            }
            // Unreachable hosts are reported above, and another cluster's hosts aren't inspected.
            wanted.retain(|other| other.host.name != *name);
        }
        let (asked, network, pods, downloads) = futures::join!(
            ask(&wanted),
            self.reachability(&wanted, &own, !spec.addresses.is_empty()),
            async {
                if self.vxlan {
                    vxlan::findings(&wanted, &own).await
                } else {
                    Vec::new()
                }
            },
            self.downloads.findings(&wanted, &named)
        );
        let mut known: Vec<(&Remote, Facts)> = Vec::new();
        for (remote, asked, answer) in asked {
            let facts = match answer {
                Ok(text) => Facts::parse(&text),
                Err(error) => {
                    findings.push(error);
                    continue;
                }
            };
            let is_replica = named.contains(&&*remote.host.name);
            let wanted = Wanted {
                architecture: self.architecture,
                is_replica,
                shares_endpoint: is_replica && self.endpoint.is_some(),
            };
            let judgement = facts.judge(asked, wanted);
            for Finding { what, hint } in judgement.warnings {
                tracing::warn!("host {}: {what}. {hint}", remote.host.name);
            }
            let obstacles = judgement.obstacles.into_iter();
            findings.extend(obstacles.map(|finding| invalid(remote, finding)));
            known.push((remote, facts));
        }
        let identities: Vec<(&str, &Facts)> = known
            .iter()
            .map(|(remote, facts)| (&*remote.host.name, facts))
            .collect();
        for (name, finding) in shared_identities(&identities) {
            findings.extend(self.remote(&name).map(|remote| invalid(remote, finding)));
        }
        findings.extend(network);
        for (name, finding) in pods.into_iter().chain(downloads) {
            findings.extend(self.remote(&name).map(|remote| invalid(remote, finding)));
        }
        findings
    }

    /// Checks that hosts reach each other, and that the endpoint's address is unused before the
    /// cluster takes it.
    async fn reachability(
        &self,
        wanted: &[&Remote],
        own: &[&Remote],
        is_new: bool,
    ) -> Vec<ProviderError> {
        let endpoint = self.endpoint.filter(|_| is_new && own.is_empty());
        let all: Vec<&Remote> = wanted.iter().chain(own).copied().collect();
        let names: BTreeMap<String, &str> = all
            .iter()
            .map(|remote| (remote.host.address.to_string(), &*remote.host.name))
            .collect();
        let answers = join_all(wanted.iter().map(async |remote| {
            let others = all.iter().map(|other| other.host.address);
            let others = others.filter(|address| *address != remote.host.address);
            let mut arguments: Vec<String> = others.map(|address| address.to_string()).collect();
            arguments.insert(0, arguments.len().to_string());
            // Every host probes the address: its user may be on the network of only one of them.
            arguments.extend(endpoint.map(|address| address.to_string()));
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let answer = remote.run(USE, PROBE, &arguments, b"", CHECKING).await;
            (*remote, answer)
        }));
        let mut findings = Vec::new();
        let mut claims: Vec<(&str, Claim)> = Vec::new();
        for (remote, answer) in answers.await {
            // Reported elsewhere.
            let Ok((_, output)) = answer else { continue };
            let mut closed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for line in output.lines() {
                match (Claim::parse(line), line.split_once(' ')) {
                    (Some(claim), _) => claims.push((&remote.host.name, claim)),
                    (None, Some((address, port))) => closed.entry(address).or_default().push(port),
                    (None, None) => {}
                }
            }
            if let (Some(address), Some((_, Claim::Own))) = (endpoint, claims.last()) {
                let what = format!(
                    "it already has the endpoint's address {address}, which replicas share"
                );
                let hint =
                    "remove the address from the host, or choose an unused one in the inventory"
                        .to_owned();
                findings.push(invalid(remote, Finding { what, hint }));
            }
            for (address, ports) in closed {
                let name = names.get(address).copied().unwrap_or_default();
                let what = format!(
                    "it can't reach {name} ({address}) on TCP {}",
                    ports.join(", ")
                );
                let hint = REACH_HINT.to_owned();
                findings.push(invalid(remote, Finding { what, hint }));
            }
        }
        findings.extend(endpoint.and_then(|address| claims::judge(address, &claims, USE)));
        findings
    }
}

fn invalid(remote: &Remote, Finding { what, hint }: Finding) -> ProviderError {
    remote.error(USE, ErrorKind::Invalid, what).with_hint(hint)
}

/// Gathers the facts of all hosts at once.
async fn ask<'a>(
    wanted: &[&'a Remote],
) -> Vec<(&'a Remote, Asked, hakube_provider::Result<String>)> {
    join_all(wanted.iter().map(async |remote| {
        let from = now();
        let answer = remote.run(USE, FACTS, &PORTS, b"", CHECKING).await;
        let until = now();
        (*remote, Asked { from, until }, answer.map(|(_, text)| text))
    }))
    .await
}

/// Seconds since 1970.
fn now() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}
