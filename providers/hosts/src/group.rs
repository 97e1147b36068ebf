//! Groups of hosts: as many as requested, from those that may be nodes.

use crate::config::Role;
use crate::lease::{Held, Kind};
use crate::remote::Remote;
use crate::{Found, Hosts, all_done};
use futures::future::join_all;
use hakube_provider::{
    Attempt, ErrorKind, NodeGroupSpec, ProviderError, ResourceId, Result, Scope,
};
use std::collections::BTreeMap;

/// The hosts of a zone with respect to a group.
#[derive(Default)]
pub(crate) struct Members<'a> {
    /// Hosts that are the group's machines.
    pub(crate) own: Vec<(&'a Remote, Held)>,
    /// Hosts that may join the group, in the order to take them: first those that can only be
    /// nodes, in the inventory's order.
    pub(crate) free: Vec<&'a Remote>,
    /// Hosts that may be in the group but are unreachable.
    unreachable: Vec<&'a str>,
    /// Free hosts of other zones that may be nodes, by zone.
    elsewhere: BTreeMap<&'a str, Vec<&'a str>>,
}

impl Hosts {
    /// The hosts of the group's zone. Hosts in `taken`, named as individual machines, aren't free.
    pub(crate) async fn members(&self, spec: &NodeGroupSpec, taken: &[&str]) -> Members<'_> {
        let mut members = Members::default();
        for (remote, found) in self.look().await {
            let host = &remote.host;
            let may_be = host.role != Role::Replica && !taken.contains(&host.name.as_str());
            if host.zone != spec.machine.machine.zone {
                if may_be && matches!(found, Found::Free) {
                    members
                        .elsewhere
                        .entry(&host.zone)
                        .or_default()
                        .push(&host.name);
                }
                continue;
            }
            match found {
                Found::Held(held) => {
                    let is_own = held.lease.cluster == spec.machine.cluster
                        && held.lease.group() == Some(&spec.name);
                    if is_own {
                        members.own.push((remote, held));
                    }
                }
                Found::Free if may_be => members.free.push(remote),
                Found::Unreachable(_) if may_be => members.unreachable.push(&host.name),
                Found::Free | Found::Unreachable(_) => {}
            }
        }
        members
            .free
            .sort_by_key(|remote| remote.host.role != Role::Node);
        members
    }

    pub(crate) async fn ensure_group(&self, spec: &NodeGroupSpec) -> Result<()> {
        let mut members = self.members(spec, &[]).await;
        if let Some(error) = members.shortage(spec) {
            return Err(error);
        }
        let size = usize::try_from(spec.size).unwrap_or(usize::MAX);
        members
            .own
            .sort_by_key(|(remote, _)| spec.leaving.contains(&remote.host.name));
        let leaving = members.own.split_off(size.min(members.own.len()));
        members.free.truncate(size - members.own.len());
        let kind = Kind::Node {
            group: spec.name.clone(),
            template: spec.template.clone(),
        };
        // An existing node keeps its document: the new document's join token isn't for it.
        let staying = members.own.iter().map(async |(remote, held)| {
            if held.carried_out.is_none() {
                return remote.take(&spec.machine, kind.clone()).await.map(drop);
            }
            if held.lease.kind == kind {
                return Ok(());
            }
            let mut lease = held.lease.clone();
            lease.kind = kind.clone();
            remote.relabel(&lease).await
        });
        let coming = members
            .free
            .iter()
            .map(async |remote| remote.take(&spec.machine, kind.clone()).await.map(drop));
        let cluster = &spec.machine.cluster;
        let leaving = leaving
            .iter()
            .map(|(remote, _)| remote.give_back(cluster, None));
        let (staying, coming, leaving) =
            futures::join!(join_all(staying), join_all(coming), join_all(leaving));
        all_done(staying.into_iter().chain(coming).chain(leaving))
    }

    pub(crate) async fn group_is_gone(&self, cluster: &str, resource: &ResourceId) -> Result<()> {
        let look = self.look().await.into_iter();
        let own = look.filter_map(|(remote, found)| {
            let Found::Held(held) = found else {
                return None;
            };
            let is_here = resource.scope == Scope::Zone(remote.host.zone.clone());
            let is_own =
                held.lease.cluster == cluster && held.lease.group() == Some(&resource.name);
            (is_here && is_own).then_some(remote)
        });
        let given_back = own.map(|remote| remote.give_back(cluster, None));
        all_done(join_all(given_back).await)
    }
}

impl Members<'_> {
    /// The error if there are fewer hosts than the group needs.
    pub(crate) fn shortage(&self, spec: &NodeGroupSpec) -> Option<ProviderError> {
        let size = usize::try_from(spec.size).unwrap_or(usize::MAX);
        let missing = size.saturating_sub(self.own.len());
        if missing <= self.free.len() {
            return None;
        }
        let zone = &spec.machine.machine.zone;
        let free: Vec<&str> = self.free.iter().map(|remote| &*remote.host.name).collect();
        let mut message = format!(
            "{} needed in {zone}; available there: {}",
            match missing {
                1 => "1 more host is".to_owned(),
                _ => format!("{missing} more hosts are"),
            },
            if free.is_empty() {
                "none".to_owned()
            } else {
                free.join(", ")
            }
        );
        if !self.unreachable.is_empty() {
            message = format!("{message}; unreachable: {}", self.unreachable.join(", "));
        }
        let elsewhere = self.elsewhere.iter();
        let elsewhere: Vec<String> = elsewhere
            .map(|(zone, names)| format!("{zone} ({})", names.join(", ")))
            .collect();
        if !elsewhere.is_empty() {
            message = format!("{message}; available elsewhere: {}", elsewhere.join("; "));
        }
        Some(
            Attempt::new("create", format!("node group {} in {zone}", spec.name))
                .error(ErrorKind::NoCapacity, message)
                .with_hint(format!(
                    "add hosts in zone {zone} with role node or any to the inventory, and pass it with --hosts FILE; or request fewer nodes"
                )),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config::Host;
    use hakube_contract::{group_spec, machine_spec};
    use hakube_provider::SshServer;
    use hakube_ssh::{Key, Login};
    use std::sync::Arc;

    fn remote(name: &str) -> Remote {
        let host = Host {
            name: name.to_owned(),
            address: "10.0.0.1".parse().unwrap(),
            zone: "rack-a".to_owned(),
            role: Role::Any,
            labels: BTreeMap::new(),
            server: SshServer {
                address: "10.0.0.1".parse().unwrap(),
                port: 22,
                host_keys: Vec::new(),
            },
            login: Login {
                user: "root".to_owned(),
                key: Key::Agent,
            },
            through: None,
        };
        Remote::new(host, Vec::new(), std::time::Duration::MAX, Arc::default())
    }

    fn group(size: u32) -> NodeGroupSpec {
        group_spec(machine_spec("one", "g", "rack-a"), "t", size)
    }

    #[test]
    fn a_shortage_names_the_available_hosts_of_all_zones() {
        let one = remote("h1");
        let members = Members {
            free: vec![&one],
            unreachable: vec!["h2"],
            elsewhere: BTreeMap::from([("rack-b", vec!["h3", "h4"]), ("rack-c", vec!["h5"])]),
            ..Members::default()
        };
        assert!(members.shortage(&group(1)).is_none());
        let error = members.shortage(&group(3)).unwrap();
        assert_eq!(
            error.message,
            "3 more hosts are needed in rack-a; available there: h1; unreachable: h2; \
             available elsewhere: rack-b (h3, h4); rack-c (h5)"
        );
        assert!(error.hint.unwrap().contains("--hosts FILE"));
    }
}
