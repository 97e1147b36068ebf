//! A replica's secrets, and its control plane.

use super::Execution;
use super::trust::marks;
use crate::wait;
use hakube_error::{Error, Result};
use hakube_machine::{self as machine, ReplicaFacts};
use hakube_model::Endpoint;
use hakube_pki::{self as pki, ReplicaIdentity};
use hakube_provider::MachineRef;
use hakube_secret::{Secret, SecretFile};

impl Execution<'_> {
    /// Writes certificates and keys, then the replica's facts. Nothing starts on the machine yet.
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
        if spec.endpoint == Endpoint::Machines {
            files.push(SecretFile {
                path: machine::ENDPOINT_CA.to_owned(),
                mode: 0o644,
                content: Secret::new(self.means.authorities.kubernetes_ca().to_owned()),
            });
        }
        let env = machine::replica_env(&ReplicaFacts {
            name: machine.name.clone(),
            zone: machine.zone.clone(),
            address,
            bind: match spec.endpoint {
                // haproxy listens next to it, on the endpoint's address.
                Endpoint::Machines => address,
                Endpoint::Provider | Endpoint::External(_) => self.means.bind_address(address),
            },
        });
        let mark = self.means.authorities.mark();
        let what = format!("machine {} to boot and accept its files", machine.name);
        let mut hints = Vec::new();
        let booted = wait::until(&what, self.means.timeout, self.means.pace, async || {
            let put = async {
                let starts = self.starts(machine).await?;
                let marks = marks(&mark, starts);
                let files: Vec<SecretFile> = files
                    .iter()
                    .cloned()
                    .chain(marks)
                    .chain([env.clone()])
                    .collect();
                self.means.channel.put(machine, &files).await
            };
            match put.await {
                Err(error) if error.transient => {
                    hints.clone_from(&error.hints);
                    Err(error.to_string())
                }
                answer => Ok(answer),
            }
        });
        match booted.await {
            Ok(answer) => answer,
            Err(mut error) => {
                error.hints.extend(hints);
                Err(self.with_console(error, machine).await)
            }
        }
    }

    /// Starts the API server, controller manager and scheduler, and waits for `/readyz`.
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
            // Without etcd it never becomes ready.
            match self.etcd_condition(machine).await {
                Some(condition) if condition.kind.is_loss() => Ok(Err(condition.why)),
                _ => Err("/readyz doesn't return 200".to_owned()),
            }
        });
        match ready.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(
                Error::failed(format!("etcd on {} isn't running", machine.name))
                    .because(why)
                    .hint("hakube repair"),
            ),
            Err(error) => Err(self.with_console(error, machine).await),
        }
    }

    /// Adds the last lines of the machine's console to the error.
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
