//! Brings machines to the cluster's release of programs, and back to the one before if they don't serve with it.

use super::Execution;
use crate::{releases, wait};
use hakube_error::{Error, Result};
use hakube_kubernetes::Cordon;
use hakube_machine::{Release, Role, node_release, replica_release, units_to_restart};
use hakube_model::{ClusterSpec, MarkView, Upgrade, kubelet_version};
use hakube_output::Event;
use hakube_plan::Step;
use hakube_provider::MachineRef;
use semver::Version;

/// A machine's way from one release to another.
struct Way {
    from: Box<ClusterSpec>,
    to: Box<ClusterSpec>,
    role: Role,
}

impl Way {
    fn release(&self, machine: &MachineRef) -> Release {
        match self.role {
            Role::Replica => replica_release(&self.to),
            Role::Node => node_release(&self.to, &machine.zone),
        }
    }

    fn units(&self) -> Vec<&'static str> {
        units_to_restart(&self.from, &self.to, self.role)
    }

    fn back(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            role: self.role,
        }
    }

    fn version(&self) -> &Version {
        &self.to.versions.kubernetes
    }
}

impl Execution<'_> {
    /// Upgrades the replica. If it doesn't serve then, brings it back to the earlier release, and fails.
    pub(super) async fn upgrade_replica(&self, machine: &MachineRef) -> Result<()> {
        let Some(upgrade) = &self.intent.upgrade else {
            return Ok(());
        };
        // Without a leader, writes stop for about a second. The restart goes ahead even if no other member can lead.
        if self.intent.replicas.len() > 1
            && let Err(error) = self.hand_leadership(&machine.name).await
        {
            tracing::debug!(%error, machine = machine.name, "could not move leadership");
        }
        self.go(machine, self.way(upgrade, Role::Replica)).await
    }

    /// Drains the node, upgrades it, and lets pods return.
    pub(super) async fn upgrade_node(&self, step: &Step, machine: &MachineRef) -> Result<()> {
        let Some(upgrade) = &self.intent.upgrade else {
            return Ok(());
        };
        let endpoint = self.endpoint()?;
        let nodes = self.means.kubernetes.nodes(endpoint).await?;
        let name = &machine.name;
        // The pods of a kubelet that doesn't respond can't be evicted.
        if nodes.iter().any(|node| node.name == *name && node.ready) {
            self.drain_nodes(step, std::slice::from_ref(name)).await?;
        }
        let gone = self.go(machine, self.way(upgrade, Role::Node)).await;
        if !upgrade.cordoned.contains(name) {
            let kubernetes = &self.means.kubernetes;
            kubernetes.cordon(endpoint, name, Cordon::Open).await?;
        }
        gone
    }

    fn way(&self, upgrade: &Upgrade, role: Role) -> Way {
        let to = Box::new(self.intent.spec.clone());
        let mut from = to.clone();
        from.versions.clone_from(&upgrade.from);
        from.programs.clone_from(&upgrade.programs);
        Way { from, to, role }
    }

    async fn go(&self, machine: &MachineRef, way: Way) -> Result<()> {
        self.deliver_release(machine, &way).await?;
        let Err(error) = self.await_release(machine, &way).await else {
            return Ok(());
        };
        let error = self.with_console(error, machine).await;
        let name = &machine.name;
        let back = way.back();
        self.reporter.event(&Event::warning(format!(
            "{name} doesn't serve with the new programs: going back to Kubernetes v{}",
            back.version()
        )));
        let returned = match self.deliver_release(machine, &back).await {
            Ok(()) => self.await_release(machine, &back).await,
            failed => failed,
        };
        Err(match returned {
            Ok(()) => error
                .because(format!("{name} runs Kubernetes v{} again", back.version()))
                .hint("fix the cause, then: hakube upgrade; or to give up: hakube abandon"),
            Err(failed) => error
                .because(format!("going back failed too: {failed}"))
                .hint(format!(
                    "check the logs on {name}: journalctl --unit release --unit kube-apiserver; to give up: hakube abandon"
                )),
        })
    }

    async fn deliver_release(&self, machine: &MachineRef, way: &Way) -> Result<()> {
        let release = way.release(machine);
        if releases::in_force(machine, self.means).await == MarkView::Fixed {
            let error = Error::refused(format!("{} can't be upgraded in place", machine.name));
            return Err(error
                .because("an earlier version of hakube created it")
                .hint(format!("replace it: hakube replace {}", machine.name)));
        }
        let files = release.delivery(&way.units());
        self.means.channel.put(machine, &files).await
    }

    /// Waits until the machine has the release, and serves with it.
    async fn await_release(&self, machine: &MachineRef, way: &Way) -> Result<()> {
        let mark = way.release(machine).mark;
        let means = self.means;
        let what = format!(
            "{} to serve with Kubernetes v{}",
            machine.name,
            way.version()
        );
        let patience = means.nodes_timeout.max(means.timeout);
        wait::until(&what, patience, means.pace, async || {
            match releases::in_force(machine, means).await {
                MarkView::InForce(has) if has == mark => {}
                MarkView::InForce(_) | MarkView::Fixed => {
                    return Err("it is still downloading or restarting its programs".to_owned());
                }
                MarkView::Unknown { why } => return Err(why),
            }
            match way.role {
                Role::Replica => self.replica_serves(machine, way.version()).await,
                Role::Node => self.node_serves(machine, way.version()).await,
            }
        })
        .await
    }

    async fn replica_serves(&self, machine: &MachineRef, version: &Version) -> Result<(), String> {
        self.reads_etcd(machine).await?;
        let door = self.door(machine, self.intent.spec.api.port).await;
        let door = door.map_err(|error| error.to_string())?;
        let api = self.means.kubernetes.probe(&door).await;
        if !api.ready {
            return Err("/readyz doesn't return 200".to_owned());
        }
        let runs = api.version.unwrap_or_default();
        match Version::parse(runs.trim_start_matches('v')) {
            Ok(runs) if !runs.cmp_precedence(version).is_eq() => {
                Err(format!("its API server is still v{runs}"))
            }
            _ => Ok(()),
        }
    }

    async fn node_serves(&self, machine: &MachineRef, version: &Version) -> Result<(), String> {
        self.approve_quietly().await;
        let endpoint = self.endpoint().map_err(|error| error.to_string())?;
        let nodes = self.means.kubernetes.nodes(endpoint).await;
        let nodes = nodes.map_err(|error| error.to_string())?;
        let node = nodes.iter().find(|node| node.name == machine.name);
        let node = node.ok_or("it isn't registered as a node")?;
        match kubelet_version(node) {
            Some(runs) if !runs.cmp_precedence(version).is_eq() => {
                Err(format!("its kubelet is still v{runs}"))
            }
            _ if !node.ready => Err("its node isn't ready".to_owned()),
            _ => Ok(()),
        }
    }
}
