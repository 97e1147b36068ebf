//! Delivers the cluster's current authorities to machines, and waits until they are in force.

use super::Execution;
use crate::{trust, wait};
use futures::future::join_all;
use hakube_error::{Error, Result};
use hakube_machine::{self as machine, TrustPart};
use hakube_model::MarkView;
use hakube_provider::MachineRef;
use hakube_secret::{Secret, SecretFile};
use std::collections::BTreeMap;

impl Execution<'_> {
    /// Restarts the replica's etcd and control plane with the current files, and waits until they serve.
    pub(super) async fn follow_authorities(&self, machine: &MachineRef) -> Result<()> {
        // Without a leader, writes stop for about a second. The restart goes ahead even if no other member can lead.
        if self.intent.replicas.len() > 1
            && let Err(error) = self.hand_leadership(&machine.name).await
        {
            tracing::debug!(%error, machine = machine.name, "could not move leadership");
        }
        self.deliver_secrets(machine).await?;
        let what = format!("{} to restart with the new authorities", machine.name);
        let means = self.means;
        let followed = wait::until(&what, means.timeout, means.pace, async || {
            self.follows(machine, TrustPart::ControlPlane).await
        });
        if let Err(error) = followed.await {
            return Err(self.with_console(error, machine).await);
        }
        // The next replica may restart then.
        self.await_serving(std::slice::from_ref(machine)).await
    }

    /// Restarts kubelets with certificates of the current authorities, and waits until their nodes are ready.
    pub(super) async fn follow_authorities_on_nodes(
        &self,
        replicas: &[MachineRef],
        nodes: &BTreeMap<String, Vec<MachineRef>>,
    ) -> Result<()> {
        let marker = TrustPart::Kubelet.told(&self.means.authorities.mark());
        let mut deliveries: Vec<(&MachineRef, Vec<SecretFile>)> = replicas
            .iter()
            .map(|machine| (machine, vec![marker.clone()]))
            .collect();
        for (template, machines) in nodes {
            // They rejoin, and their token may have expired.
            self.admit_nodes(std::slice::from_ref(template)).await?;
            let kubeconfig = self.bootstrap_kubeconfig(template)?;
            let ca = Secret::new(self.means.authorities.kubernetes_ca().to_owned());
            for machine in machines {
                let files = [
                    (machine::NODE_CLIENT_CA, 0o644, ca.clone()),
                    (machine::NODE_BOOTSTRAP, 0o600, kubeconfig.clone()),
                ];
                let files = files.map(|(path, mode, content)| SecretFile {
                    path: path.to_owned(),
                    mode,
                    content,
                });
                let files = files.into_iter().chain([marker.clone()]);
                deliveries.push((machine, files.collect()));
            }
        }
        let machines: Vec<MachineRef> = deliveries.iter().map(|(one, _)| (*one).clone()).collect();
        let sent = deliveries
            .iter()
            .map(async |(machine, files)| self.means.channel.put(machine, files).await);
        // An unreachable machine is reported with those that don't follow.
        let sent = join_all(sent).await;
        if let Some(error) = sent.into_iter().find_map(Result::err) {
            tracing::debug!(%error, "could not notify a kubelet");
        }
        self.await_kubelets(&machines).await
    }

    async fn await_kubelets(&self, machines: &[MachineRef]) -> Result<()> {
        let endpoint = self.endpoint()?;
        let means = self.means;
        let mut late = Vec::new();
        let what = "all kubelets to restart with the new authorities";
        let followed = wait::until(what, means.nodes_timeout, means.pace * 2, async || {
            self.approve_quietly().await;
            let nodes = means.kubernetes.nodes(endpoint).await;
            let nodes = nodes.map_err(|error| error.to_string())?;
            late.clear();
            let asked = join_all(machines.iter().map(async |machine| {
                let why = match self.follows(machine, TrustPart::Kubelet).await {
                    Err(why) => why,
                    Ok(())
                        if nodes
                            .iter()
                            .any(|node| node.name == machine.name && node.ready) =>
                    {
                        return None;
                    }
                    Ok(()) => "its node isn't ready".to_owned(),
                };
                Some(format!("{}: {why}", machine.name))
            }));
            late.extend(asked.await.into_iter().flatten());
            if late.is_empty() {
                Ok(())
            } else {
                Err(late.join("; "))
            }
        });
        followed.await.map_err(|error| {
            error
                .hint("bring those machines back, or remove them: hakube nodes scale, hakube replace")
                .hint("the other machines work, and still trust the old authorities; then run this again")
        })
    }

    async fn follows(&self, machine: &MachineRef, part: TrustPart) -> Result<(), String> {
        let wanted = self.means.authorities.mark();
        match trust::in_force(machine, part, self.means).await {
            MarkView::InForce(mark) if mark == wanted => Ok(()),
            MarkView::InForce(_) => Err("it hasn't restarted yet".to_owned()),
            MarkView::Fixed => {
                Err("a version of hakube that couldn't change authorities created it".to_owned())
            }
            MarkView::Unknown { why } => Err(why),
        }
    }
}

/// The marker files that end a delivery. Programs that haven't started read the new files when they start. Running
/// ones are restarted if the mark has changed.
pub(super) fn marks(mark: &str, starts: Starts) -> Vec<SecretFile> {
    let control_plane = TrustPart::ControlPlane.told(mark);
    match starts {
        Starts::Yet => {
            let parts = [TrustPart::ControlPlane, TrustPart::Kubelet];
            let found = parts.map(|part| part.found(mark));
            let kubelet = TrustPart::Kubelet.told(mark);
            found.into_iter().chain([kubelet, control_plane]).collect()
        }
        Starts::Done => vec![control_plane],
    }
}

/// Whether a machine's programs have been started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Starts {
    /// They haven't been started.
    Yet,
    /// They have been started.
    Done,
}

impl Execution<'_> {
    /// Whether the machine's etcd has been started.
    pub(super) async fn starts(&self, machine: &MachineRef) -> Result<Starts, Error> {
        let join = self.means.channel.read(machine, machine::JOIN_ENV).await?;
        Ok(match join {
            Some(_) => Starts::Done,
            None => Starts::Yet,
        })
    }
}
