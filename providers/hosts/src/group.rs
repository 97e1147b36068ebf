//! Groups of hosts: as many as were asked for, of those that may be nodes.

use crate::config::Role;
use crate::lease::{Held, Kind};
use crate::remote::Remote;
use crate::{Found, Hosts, all_done};
use futures::future::join_all;
use hakube_provider::{
    Attempt, ErrorKind, NodeGroupSpec, ProviderError, ResourceId, Result, Scope,
};
use std::collections::BTreeMap;

/// The hosts of a zone, as a group sees them.
#[derive(Default)]
pub(crate) struct Members<'a> {
    /// Those that are its machines.
    pub(crate) own: Vec<(&'a Remote, Held)>,
    /// Those that may become one, the first to be taken first: those that can be nothing else, in the inventory's order.
    pub(crate) free: Vec<&'a Remote>,
    /// Those that may be one, and can't be asked.
    away: Vec<&'a str>,
    /// Those of other zones that may become one, by zone.
    elsewhere: BTreeMap<&'a str, Vec<&'a str>>,
}

impl Hosts {
    /// The hosts of the group's zone. Those named as machines by themselves aren't free.
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
                Found::Unreachable(_) if may_be => members.away.push(&host.name),
                Found::Free | Found::Unreachable(_) => {}
            }
        }
        members
            .free
            .sort_by_key(|remote| remote.host.role != Role::Node);
        members
    }

    pub(crate) async fn group_exists(&self, spec: &NodeGroupSpec) -> Result<()> {
        let mut members = self.members(spec, &[]).await;
        if let Some(error) = members.lack(spec) {
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
        // One that is a node already stays what it is: the new document's token isn't for it.
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
    /// What is wrong if there are fewer than the group wants.
    pub(crate) fn lack(&self, spec: &NodeGroupSpec) -> Option<ProviderError> {
        let size = usize::try_from(spec.size).unwrap_or(usize::MAX);
        let missing = size.saturating_sub(self.own.len());
        if missing <= self.free.len() {
            return None;
        }
        let zone = &spec.machine.machine.zone;
        let free: Vec<&str> = self.free.iter().map(|remote| &*remote.host.name).collect();
        let mut message = format!(
            "{} needed in {zone}, and free for nodes there: {}",
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
        if !self.away.is_empty() {
            message = format!("{message}; can't be asked: {}", self.away.join(", "));
        }
        let elsewhere = self.elsewhere.iter();
        let elsewhere: Vec<String> = elsewhere
            .map(|(zone, names)| format!("{zone} ({})", names.join(", ")))
            .collect();
        if !elsewhere.is_empty() {
            message = format!("{message}; free elsewhere: {}", elsewhere.join("; "));
        }
        Some(
            Attempt::new("make", format!("node group {} in {zone}", spec.name))
                .error(ErrorKind::NoCapacity, message)
                .with_hint(format!(
                    "add hosts of zone {zone} with the role node or any to the inventory, and name it: --hosts FILE; or ask for fewer nodes"
                )),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config::Host;
    use hakube_provider::{ExternalAddress, MachineRef, MachineSpec, SshServer};
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
        Remote::new(host, Vec::new(), Arc::default())
    }

    fn group(size: u32) -> NodeGroupSpec {
        NodeGroupSpec {
            name: "g".to_owned(),
            template: "t".to_owned(),
            size,
            leaving: Vec::new(),
            machine: MachineSpec {
                cluster: "one".to_owned(),
                machine: MachineRef {
                    name: "g".to_owned(),
                    zone: "rack-a".to_owned(),
                },
                machine_type: "host".to_owned(),
                image: "host".to_owned(),
                image_sha256: None,
                boot_disk_gb: 20,
                boot_disk_kind: "host".to_owned(),
                data_disk: None,
                network: "hosts".to_owned(),
                subnetwork: None,
                external: ExternalAddress::None,
                alias: None,
                tags: Vec::new(),
                labels: BTreeMap::new(),
                preemptible: false,
                min_cpu_platform: None,
                service_account: None,
                scopes: Vec::new(),
                user_data: String::new(),
                login: None,
            },
        }
    }

    #[test]
    fn a_shortage_names_what_is_free_there_and_in_which_zones_others_are() {
        let one = remote("h1");
        let members = Members {
            free: vec![&one],
            away: vec!["h2"],
            elsewhere: BTreeMap::from([("rack-b", vec!["h3", "h4"]), ("rack-c", vec!["h5"])]),
            ..Members::default()
        };
        assert!(members.lack(&group(1)).is_none());
        let error = members.lack(&group(3)).unwrap();
        assert_eq!(
            error.message,
            "3 more hosts are needed in rack-a, and free for nodes there: h1; can't be asked: h2; \
             free elsewhere: rack-b (h3, h4); rack-c (h5)"
        );
        assert!(error.hint.unwrap().contains("--hosts FILE"));
    }
}
