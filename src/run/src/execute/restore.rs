//! Restores etcd's data from a backup.

use super::Execution;
use super::trust::Starts;
use crate::backup::Backup;
use crate::{trust, wait};
use hakube_error::Result;
use hakube_etcd::{CLIENT_PORT, peer_url};
use hakube_machine::{self as machine, ClusterState, TrustPart};
use hakube_model::{MarkView, Restoring};
use hakube_provider::MachineRef;
use hakube_secret::SecretFile;

impl Execution<'_> {
    /// Stops the replica's etcd until it joins the restored one. Its API server restarts without the former data.
    pub(super) async fn hold_etcd(&self, machine: &MachineRef) -> Result<()> {
        let hold = machine::hold_env(&self.intent.spec.mark());
        if self.starts(machine).await? == Starts::Yet {
            return Ok(());
        }
        // What restarts reads the current authorities, so that it is right to say so.
        self.deliver_secrets(machine).await?;
        self.restart_with(machine, hold, "held").await?;
        let door = self.door(machine, CLIENT_PORT).await?;
        let means = self.means;
        let what = format!("etcd on {} to stop", machine.name);
        wait::until(&what, means.timeout, means.pace, async || {
            match means.etcd.learner_status(&door).await {
                Ok(_) => Err("it still responds".to_owned()),
                Err(_) => Ok(()),
            }
        })
        .await
    }

    /// Starts the first member of an etcd with the backup's data.
    pub(super) async fn restore_etcd(&self, machine: &MachineRef, from: &Restoring) -> Result<()> {
        let spec = &self.intent.spec;
        let url = peer_url(self.own_address(machine).await?);
        let membership = machine::first_membership(&spec.mark(), from.attempt);
        if !self.is_restored(machine, &membership, &url).await {
            self.deliver(machine, from).await?;
            let join = machine::join_env(
                &spec.mark(),
                &membership,
                &[(machine.name.clone(), url.clone())],
                ClusterState::Restored {
                    sha256: from.sha256.clone(),
                    revision: from.revision,
                },
            );
            match self.starts(machine).await? {
                Starts::Yet => {
                    let files = [machine::gate(), join];
                    self.means.channel.put(machine, &files).await?;
                }
                Starts::Done => self.restart_with(machine, join, &membership).await?,
            }
            self.await_restored(machine, &membership, &url).await?;
        }
        self.ledger.etcd_is_formed().await
    }

    /// Puts the snapshot on the machine, in parts.
    async fn deliver(&self, machine: &MachineRef, from: &Restoring) -> Result<()> {
        let cluster = &self.intent.spec.cluster;
        let backups = self.means.backups.elsewhere(&from.location)?;
        let (_, snapshot) = Backup::load(&backups, cluster, &from.backup).await?;
        let parts = machine::snapshot_parts(&snapshot, &from.sha256);
        for part in parts {
            self.means.channel.put(machine, &[part]).await?;
        }
        Ok(())
    }

    /// Delivers a join file, and restarts etcd and the control plane once.
    async fn restart_with(&self, machine: &MachineRef, join: SecretFile, why: &str) -> Result<()> {
        let means = self.means;
        let mark = means.authorities.mark();
        // Programs restart if the mark differs from the one in force.
        let other = format!("{mark} {why}");
        let files = [
            machine::gate(),
            machine::restarter(),
            join,
            TrustPart::ControlPlane.told(&other),
        ];
        means.channel.put(machine, &files).await?;
        let what = format!("etcd and the control plane on {} to restart", machine.name);
        let restarted =
            wait::until(
                &what,
                means.timeout,
                means.pace,
                async || match trust::in_force(machine, TrustPart::ControlPlane, means).await {
                    MarkView::InForce(found) if found == other => Ok(()),
                    MarkView::InForce(_) => Err("it hasn't restarted yet".to_owned()),
                    MarkView::Fixed => Err("its version of hakube can't restart it".to_owned()),
                    MarkView::Unknown { why } => Err(why),
                },
            );
        if let Err(error) = restarted.await {
            return Err(self.with_console(error, machine).await);
        }
        let part = TrustPart::ControlPlane;
        let marks = [part.found(&mark), part.told(&mark)];
        means.channel.put(machine, &marks).await
    }

    async fn await_restored(
        &self,
        machine: &MachineRef,
        membership: &str,
        url: &str,
    ) -> Result<()> {
        let means = self.means;
        let what = format!("etcd on {} with the backup's data", machine.name);
        let restored = wait::until(&what, means.timeout, means.pace, async || {
            if self.is_restored(machine, membership, url).await {
                return Ok(());
            }
            match means.channel.read(machine, machine::ETCD_CONDITION).await {
                Ok(Some(condition)) => Err(String::from_utf8_lossy(&condition)
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .to_owned()),
                _ => Err("it doesn't respond".to_owned()),
            }
        });
        match restored.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.with_console(error, machine).await),
        }
    }

    /// Whether this machine's etcd has started with the restored data, and is its only member.
    async fn is_restored(&self, machine: &MachineRef, membership: &str, url: &str) -> bool {
        let started = self
            .means
            .channel
            .read(machine, machine::ETCD_STARTED)
            .await;
        let Ok(Some(started)) = started else {
            return false;
        };
        if String::from_utf8_lossy(&started).trim() != membership {
            return false;
        }
        let Ok(door) = self.door(machine, CLIENT_PORT).await else {
            return false;
        };
        let members = self.means.etcd.members(&[door]).await;
        members.is_ok_and(|members| match members.as_slice() {
            [one] => one.peer_urls.iter().any(|peer| peer == url),
            _ => false,
        })
    }
}
