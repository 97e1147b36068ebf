//! The backend for existing hosts.

use super::{Backend, PACE};
use hakube_channel::{Accesses, Advice, SshChannel};
use hakube_error::{Error, Result};
use hakube_hosts::{Downloads, Hosts, HostsConfig, Role};
use hakube_model::ClusterSpec;
use hakube_model::{Host, HostRole, HostSsh, PodNetwork};
use hakube_provider::{MachineRef, Provider, SshServer};
use hakube_ssh::{Hop, Key, Login};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const ADVICE: Advice = Advice {
    refused: "check ssh.user and ssh.key in the inventory, and the host's authorized_keys",
    unreachable: "check that the host is up and reachable from here",
};

/// Each host's login and jump host.
struct Logins(BTreeMap<String, (Login, Option<Hop>)>);

impl Accesses for Logins {
    fn access(&self, machine: &MachineRef) -> Result<(Login, Option<Hop>)> {
        self.0.get(&machine.name).cloned().ok_or_else(|| {
            Error::failed(format!("host {} isn't in the inventory", machine.name))
                .hint("pass the inventory that lists it: --hosts FILE")
        })
    }
}

/// Doesn't connect to any host yet. An unreachable host is reported by the first call that needs it.
/// No call takes longer than `limit`.
///
/// # Errors
/// The inventory is missing, or a host's key can't be read.
pub(super) fn connect(spec: &ClusterSpec, limit: Duration) -> Result<Backend> {
    let inventory = spec.hosts.as_ref().ok_or_else(|| {
        Error::bad_input(format!(
            "no inventory for the hosts of cluster {}",
            spec.cluster
        ))
        .hint("pass the inventory: --hosts FILE")
    })?;
    let mut keys = Keys::default();
    let mut hosts = Vec::new();
    let mut logins = BTreeMap::new();
    for host in &inventory.hosts {
        let host = known(host, &mut keys)?;
        logins.insert(
            host.name.clone(),
            (host.login.clone(), host.through.clone()),
        );
        hosts.push(host);
    }
    let provider: Arc<dyn Provider> = Arc::new(Hosts::new(HostsConfig {
        hosts,
        endpoint: inventory.endpoint,
        limit,
        offered: spec.programs.on_loopback().into_iter().collect(),
        architecture: spec.arch.kernel_name(),
        downloads: Downloads {
            replica: spec.programs.downloads(spec.replica_is_node()),
            node: spec.programs.node_downloads(),
        },
        vxlan: spec.programs.pods.is_some() && spec.addons.pod_network == PodNetwork::Flannel,
    }));
    Ok(Backend {
        channel: Arc::new(SshChannel::with_access(
            Logins(logins),
            Arc::clone(&provider),
            PACE,
            ADVICE,
        )),
        // The hosts' authorized_keys stay as they are.
        login: None,
        local_cloud: None,
        shared_loopback: false,
        provider,
        pace: PACE,
    })
}

/// Private keys, each read once.
#[derive(Default)]
struct Keys(BTreeMap<PathBuf, Key>);

impl Keys {
    fn login(&mut self, host: &str, ssh: &HostSsh) -> Result<Login> {
        let key = match &ssh.key {
            None => Key::Agent,
            Some(file) => match self.0.get(file) {
                Some(key) => key.clone(),
                None => {
                    let key = Key::read(file).map_err(|why| {
                        Error::bad_input(format!(
                            "could not use {}, the SSH key for host {host}",
                            file.display()
                        ))
                        .because(why)
                    })?;
                    self.0.insert(file.clone(), key.clone());
                    key
                }
            },
        };
        Ok(Login {
            user: ssh.user.clone(),
            key,
        })
    }
}

fn known(host: &Host, keys: &mut Keys) -> Result<hakube_hosts::Host> {
    let server = |address, ssh: &HostSsh| SshServer {
        address,
        port: ssh.port,
        host_keys: vec![ssh.host_key.clone()],
    };
    let through = match &host.ssh.jump {
        None => None,
        Some(jump) => Some(Hop {
            server: server(jump.address, &jump.ssh),
            login: keys.login(&host.name, &jump.ssh)?,
        }),
    };
    Ok(hakube_hosts::Host {
        name: host.name.clone(),
        address: host.address,
        zone: host.zone.to_string(),
        role: match host.role {
            HostRole::Replica => Role::Replica,
            HostRole::Node => Role::Node,
            HostRole::Any => Role::Any,
        },
        labels: host.labels.clone(),
        server: server(host.address, &host.ssh),
        login: keys.login(&host.name, &host.ssh)?,
        through,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use hakube_testing::fixtures;

    #[test]
    fn an_unusable_key_is_reported_with_its_host() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("id_ed25519");
        let mut host = fixtures::host("h1", "10.77.0.11");
        host.ssh.key = Some(file.clone());
        let mut spec = fixtures::intent(&[]).spec;
        spec.hosts = Some(hakube_model::Hosts {
            hosts: vec![host],
            endpoint: None,
        });
        for content in [None, Some("no key")] {
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let error = connect(&spec, Duration::MAX).err().unwrap();
            assert!(error.message.contains(&*file.to_string_lossy()), "{error}");
            assert!(error.message.contains("host h1"), "{error}");
            assert_eq!(error.causes.len(), 1, "{error:?}");
        }
    }
}
