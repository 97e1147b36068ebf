//! Hosts that are there already, in the words of their provider.

use super::{Backend, PACE};
use crate::channel::{Accesses, Advice, SshChannel};
use crate::cluster::ClusterSpec;
use crate::error::{Error, Result};
use crate::settings::{Host, HostRole, HostSsh, PodNetwork};
use hakube_hosts::{Downloads, Hosts, HostsConfig, Role};
use hakube_provider::{MachineRef, Provider, SshServer};
use hakube_ssh::{Hop, Key, Login};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

const ADVICE: Advice = Advice {
    refused: "see ssh.user and ssh.key in the inventory, and the host's authorized_keys",
    unreachable: "see whether the host is up, and reached from here",
};

/// Who logs in on which host, and through which other one.
struct Doors(BTreeMap<String, (Login, Option<Hop>)>);

impl Accesses for Doors {
    fn access(&self, machine: &MachineRef) -> Result<(Login, Option<Hop>)> {
        self.0.get(&machine.name).cloned().ok_or_else(|| {
            Error::failed(format!("no host {} is in the inventory", machine.name))
                .hint("name the file that has it: --hosts FILE")
        })
    }
}

/// Connects to none of the hosts yet: one that is away is told of by what needs it.
///
/// # Errors
/// The inventory isn't known, or the key of a host can't be read.
pub(super) fn connect(spec: &ClusterSpec) -> Result<Backend> {
    let inventory = spec.hosts.as_ref().ok_or_else(|| {
        Error::bad_input(format!(
            "the hosts of cluster {} aren't known",
            spec.cluster
        ))
        .hint("name the inventory: --hosts FILE")
    })?;
    let mut keys = Keys::default();
    let mut hosts = Vec::new();
    let mut doors = BTreeMap::new();
    for host in &inventory.hosts {
        let host = known(host, &mut keys)?;
        doors.insert(
            host.name.clone(),
            (host.login.clone(), host.through.clone()),
        );
        hosts.push(host);
    }
    let provider: Arc<dyn Provider> = Arc::new(Hosts::new(HostsConfig {
        hosts,
        endpoint: inventory.endpoint,
        offered: spec.programs.on_loopback().into_iter().collect(),
        architecture: spec.arch.kernel_name(),
        downloads: Downloads {
            replica: spec.programs.downloads(spec.replicas_are_nodes()),
            node: spec.programs.node_downloads(),
        },
        vxlan: spec.programs.pods.is_some() && spec.addons.pod_network == PodNetwork::Flannel,
    }));
    Ok(Backend {
        channel: Arc::new(SshChannel::with_access(
            Doors(doors),
            Arc::clone(&provider),
            PACE,
            ADVICE,
        )),
        // Hosts let in whom they let in already.
        login: None,
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
                            "could not use {}, the key that logs in on host {host}",
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
    use crate::cluster::fixtures;

    #[test]
    fn a_key_that_cannot_be_used_is_named_with_its_host_before_anything_is_asked() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("id_ed25519");
        let mut host = fixtures::host("h1", "10.77.0.11");
        host.ssh.key = Some(file.clone());
        let mut spec = fixtures::intent(&[]).spec;
        spec.hosts = Some(crate::settings::Hosts {
            hosts: vec![host],
            endpoint: None,
        });
        for content in [None, Some("no key")] {
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let error = connect(&spec).err().unwrap();
            assert!(error.message.contains(&*file.to_string_lossy()), "{error}");
            assert!(error.message.contains("host h1"), "{error}");
            assert_eq!(error.causes.len(), 1, "{error:?}");
        }
    }
}
