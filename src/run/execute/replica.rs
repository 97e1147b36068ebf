//! A replica's secrets, and its control plane.

use super::Execution;
use crate::cluster::Endpoint;
use crate::error::{Error, Result};
use crate::machine::{self, ReplicaFacts};
use crate::pki::{self, ReplicaIdentity};
use crate::run::wait;
use hakube_provider::MachineRef;

impl Execution<'_> {
    /// Certificates and keys, then who it is. The replica waits for more before it starts anything.
    pub(super) async fn deliver_secrets(&self, machine: &MachineRef) -> Result<()> {
        let spec = &self.intent.spec;
        let address = self.own_address(machine).await?;
        let identity = ReplicaIdentity {
            name: machine.name.clone(),
            addresses: vec![address],
            endpoint: self.endpoint()?.ip(),
            api_port: spec.api.port,
            service_ip: spec.network.service_address(),
            dns_domain: spec.network.dns_domain.clone(),
            node: spec.replicas_are_nodes().then_some(machine::NODE_FILES),
            extra_sans: spec.api.extra_sans.clone(),
        };
        let now = self.means.clock.now();
        let mut files = pki::replica_files(&self.means.authorities, &identity, spec.pki, now)
            .map_err(|error| {
                Error::failed(format!(
                    "could not sign the certificates of {}",
                    machine.name
                ))
                .because(error)
            })?;
        files.push(machine::replica_env(&ReplicaFacts {
            name: machine.name.clone(),
            zone: machine.zone.clone(),
            address,
            bind: match spec.endpoint {
                // haproxy listens beside it, on the endpoint's.
                Endpoint::Machines => address,
                Endpoint::Provider | Endpoint::External(_) => self.means.bind_address(address),
            },
        }));
        let what = format!("machine {} to boot and take its files", machine.name);
        let mut hints = Vec::new();
        let booted = wait::until(
            &what,
            self.means.timeout,
            self.means.pace,
            async || match self.means.channel.put(machine, &files).await {
                Err(error) if error.transient => {
                    hints.clone_from(&error.hints);
                    Err(error.to_string())
                }
                answer => Ok(answer),
            },
        );
        match booted.await {
            Ok(answer) => answer,
            Err(mut error) => {
                error.hints.extend(hints);
                Err(self.with_console(error, machine).await)
            }
        }
    }

    /// Its API server, controller manager and scheduler start; `/readyz` is the proof.
    pub(super) async fn start_control_plane(&self, machine: &MachineRef) -> Result<()> {
        self.means
            .channel
            .put(machine, &[machine::start_marker()])
            .await?;
        let door = self.door(machine, self.intent.spec.api.port).await?;
        let what = format!("the API server of {door}");
        let ready = wait::until(&what, self.means.timeout, self.means.pace, async || {
            if self.means.kubernetes.probe(&door).await.ready {
                return Ok(Ok(()));
            }
            // Without its etcd it never will be.
            match self.etcd_condition(machine).await {
                Some(condition) if condition.kind.is_loss() => Ok(Err(condition.why)),
                _ => Err("/readyz doesn't answer 200".to_owned()),
            }
        });
        match ready.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(
                Error::failed(format!("etcd on {} doesn't run", machine.name))
                    .because(why)
                    .hint("hakube repair"),
            ),
            Err(error) => Err(self.with_console(error, machine).await),
        }
    }

    /// The last lines of the machine's console say most about why nothing answers.
    pub(super) async fn with_console(&self, error: Error, machine: &MachineRef) -> Error {
        const LINES: usize = 8;
        match self.means.provider.console(machine).await {
            Ok(console) if !console.trim().is_empty() => {
                let lines: Vec<&str> = console.trim_end().lines().collect();
                let last = lines
                    .split_at(lines.len().saturating_sub(LINES))
                    .1
                    .join("\n");
                error.because(format!(
                    "the console of {} ends with:\n{last}",
                    machine.name
                ))
            }
            _ => error,
        }
    }
}
