//! What keeps hosts from being what a cluster needs: all of it, of all hosts, in one report. What only makes a cluster
//! worse is a warning in the log.

use crate::facts::{Asked, Facts, Finding, Wanted, shared_identities};
use crate::remote::{Patience, QUICK, Remote};
use crate::scripts::{FACTS, PROBE};
use crate::{Found, Hosts, vxlan};
use futures::future::join_all;
use hakube_provider::{ErrorKind, PreflightSpec, ProviderError};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) const WHAT: &str = "use";
/// What to do where one host isn't reached from another.
pub(crate) const REACH_HINT: &str = "let the hosts reach each other on TCP 2379, 2380, 6443, 10250 and UDP 8472: see their packet filters, and those between them";
/// API server, etcd twice, kubelet.
const PORTS: [&str; 4] = ["6443", "2379", "2380", "10250"];
/// Nine writes on a slow disk, and a few seconds of waiting for others.
pub(crate) const FACTS_PATIENCE: Patience = Patience {
    limit: Duration::from_secs(60),
    ..QUICK
};

impl Hosts {
    /// Looks at the hosts that will be leased. Of others it is asked only who has them.
    pub(crate) async fn findings(&self, spec: &PreflightSpec) -> Vec<ProviderError> {
        let mut findings = Vec::new();
        let mut named: Vec<&str> = Vec::new();
        let mut wanted: Vec<&Remote> = Vec::new();
        let mut clusters: BTreeSet<&str> = BTreeSet::new();
        for machine in &spec.machines {
            clusters.insert(&machine.cluster);
            named.push(&machine.machine.name);
            match self.known(WHAT, &machine.machine) {
                Ok(remote) => wanted.push(remote),
                Err(error) => findings.push(error),
            }
        }
        for group in &spec.node_groups {
            clusters.insert(&group.machine.cluster);
            let mut taken = named.clone();
            taken.extend(wanted.iter().map(|remote| &*remote.host.name));
            let members = self.members(group, &taken).await;
            if let Some(error) = members.lack(group) {
                findings.push(error);
            }
            let size = usize::try_from(group.size).unwrap_or(usize::MAX);
            let missing = size.saturating_sub(members.own.len());
            wanted.extend(members.free.into_iter().take(missing));
        }
        // Whether the cluster has something already, and where.
        let mut own: Vec<&Remote> = Vec::new();
        for (remote, found) in self.look().await {
            let name = &remote.host.name;
            let is_wanted = wanted.iter().any(|other| other.host.name == *name);
            match found {
                Found::Free => continue,
                Found::Unreachable(mut error) if is_wanted => {
                    WHAT.clone_into(&mut error.action);
                    findings.push(error);
                }
                Found::Unreachable(_) => {}
                Found::Held(held) if clusters.contains(held.lease.cluster.as_str()) => {
                    own.push(remote);
                }
                Found::Held(held) if is_wanted => {
                    findings.push(held.lease.conflict(remote, WHAT));
                }
                Found::Held(_) => {}
            }
            // One that is away says nothing more; what another has is that cluster's.
            wanted.retain(|other| other.host.name != *name);
        }
        let (asked, network, pods, downloads) = futures::join!(
            ask(&wanted),
            self.reached(&wanted, &own, !spec.addresses.is_empty()),
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

    /// Whether hosts reach each other, and nobody has the endpoint's address yet.
    async fn reached(
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
        let answers = join_all(wanted.iter().zip(0..).map(async |(remote, number)| {
            let others = all.iter().map(|other| other.host.address);
            let others = others.filter(|address| *address != remote.host.address);
            let mut arguments: Vec<String> = others.map(|address| address.to_string()).collect();
            arguments.insert(0, arguments.len().to_string());
            // It is enough that one looks for it.
            let endpoint = endpoint.filter(|_| number == 0);
            arguments.extend(endpoint.map(|address| address.to_string()));
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let answer = remote
                .run(WHAT, PROBE, &arguments, b"", FACTS_PATIENCE)
                .await;
            (*remote, answer)
        }));
        let mut findings = Vec::new();
        for (remote, answer) in answers.await {
            // One that can't be asked is told of already.
            let Ok((_, said)) = answer else { continue };
            let mut closed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for line in said.lines() {
                match line.split_once(' ') {
                    Some(("taken", address)) => findings.push(taken(remote, address)),
                    Some(("own", address)) => {
                        let what = format!(
                            "it has the endpoint's address {address} already, which replicas share"
                        );
                        let hint = "take it off the host, or name another one in the inventory, that nobody has";
                        findings.push(invalid(
                            remote,
                            Finding {
                                what,
                                hint: hint.to_owned(),
                            },
                        ));
                    }
                    Some((address, port)) => closed.entry(address).or_default().push(port),
                    None => {}
                }
            }
            for (address, ports) in closed {
                let name = names.get(address).copied().unwrap_or_default();
                let what = format!(
                    "from it, {name} ({address}) isn't reached on TCP {}",
                    ports.join(", ")
                );
                let hint = REACH_HINT.to_owned();
                findings.push(invalid(remote, Finding { what, hint }));
            }
        }
        findings
    }
}

fn taken(remote: &Remote, address: &str) -> ProviderError {
    let message = format!(
        "somebody on the network of {} answers to it already",
        remote.host.name
    );
    ProviderError::new(
        ErrorKind::Conflict,
        WHAT,
        format!("the endpoint's address {address}"),
        message,
    )
    .with_hint(format!(
        "name another one in the inventory, that nobody has; who has it: ssh {} ip neigh show to {address}",
        remote.host.address
    ))
}

fn invalid(remote: &Remote, Finding { what, hint }: Finding) -> ProviderError {
    remote.error(WHAT, ErrorKind::Invalid, what).with_hint(hint)
}

/// All at once.
async fn ask<'a>(
    wanted: &[&'a Remote],
) -> Vec<(&'a Remote, Asked, hakube_provider::Result<String>)> {
    join_all(wanted.iter().map(async |remote| {
        let from = now();
        let answer = remote.run(WHAT, FACTS, &PORTS, b"", FACTS_PATIENCE).await;
        let until = now();
        (*remote, Asked { from, until }, answer.map(|(_, text)| text))
    }))
    .await
}

/// In seconds since 1970.
fn now() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}
