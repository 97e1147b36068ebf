//! Replaces nodes of groups, which hakube doesn't log in on.

use super::Execution;
use crate::means::Turnover;
use crate::wait;
use hakube_error::Result;
use hakube_model::kubelet_version;
use hakube_plan::Step;
use hakube_provider::{MachineRef, NodeGroupSpec};
use std::collections::BTreeSet;

impl Execution<'_> {
    /// Replaces the node by one from the group's present template. Its pods are evicted first.
    pub(super) async fn recreate_node(
        &self,
        step: &Step,
        group: &NodeGroupSpec,
        node: &str,
    ) -> Result<()> {
        let before = self.machines_of(group).await?;
        if !before.contains(node) {
            return Ok(());
        }
        match self.means.turnover {
            Turnover::Surge => {
                let grown = self.resize(group, group.size + 1, &[]).await;
                grown.map_err(|error| {
                    error.hint("if there is no room for another machine: hakube upgrade --no-surge")
                })?;
                self.await_successor(group, &before).await?;
                self.drain_nodes(step, &[node.to_owned()]).await?;
                self.resize(group, group.size, &[node.to_owned()]).await?;
            }
            Turnover::NoSurge => {
                self.drain_nodes(step, &[node.to_owned()]).await?;
                let fewer = group.size.saturating_sub(1);
                self.resize(group, fewer, &[node.to_owned()]).await?;
                self.resize(group, group.size, &[]).await?;
                self.await_successor(group, &before).await?;
            }
        }
        self.forget_nodes(&[MachineRef {
            name: node.to_owned(),
            zone: group.machine.machine.zone.clone(),
        }])
        .await
    }

    async fn resize(&self, group: &NodeGroupSpec, size: u32, leaving: &[String]) -> Result<()> {
        let spec = NodeGroupSpec {
            size,
            leaving: leaving.to_vec(),
            ..group.clone()
        };
        self.ensure_node_group(&spec).await
    }

    async fn machines_of(&self, group: &NodeGroupSpec) -> Result<BTreeSet<String>> {
        let provider = &self.means.provider;
        let inventory = provider.inspect(&self.intent.spec.mark()).await?;
        let groups = inventory.node_groups.into_iter();
        let found = groups.filter(|found| found.name == group.name);
        Ok(found.flat_map(|found| found.machines).collect())
    }

    /// Waits until a machine that the group didn't have before serves as a node. If it doesn't, removes it again.
    async fn await_successor(
        &self,
        group: &NodeGroupSpec,
        before: &BTreeSet<String>,
    ) -> Result<()> {
        let Err(error) = self.until_succeeded(group, before).await else {
            return Ok(());
        };
        let error =
            error.hint("fix the cause, then: hakube upgrade; or to give up: hakube abandon");
        // Without surge, the group would have too few either way.
        let machines = self.machines_of(group).await?;
        let new: Vec<String> = machines.difference(before).cloned().collect();
        if machines.len() <= group.size as usize || new.is_empty() {
            return Err(error);
        }
        Err(match self.resize(group, group.size, &new).await {
            Ok(()) => error.because(format!("{} was deleted again", new.join(", "))),
            Err(failed) => error.because(format!(
                "{} could not be deleted again: {failed}",
                new.join(", ")
            )),
        })
    }

    async fn until_succeeded(
        &self,
        group: &NodeGroupSpec,
        before: &BTreeSet<String>,
    ) -> Result<()> {
        let means = self.means;
        let endpoint = self.endpoint()?;
        let spec = &self.intent.spec;
        let version = &spec.versions.kubernetes;
        let becomes_ready = spec.programs.pods.is_none() || spec.nodes_become_ready();
        let what = format!("a new node of {} with Kubernetes v{version}", group.name);
        wait::until(&what, means.nodes_timeout, means.pace * 2, async || {
            self.approve_quietly().await;
            let machines = self.machines_of(group).await;
            let machines = machines.map_err(|error| error.to_string())?;
            let nodes = means.kubernetes.nodes(endpoint).await;
            let nodes = nodes.map_err(|error| error.to_string())?;
            let mut new = machines.difference(before).peekable();
            if new.peek().is_none() {
                return Err("its machine isn't there yet".to_owned());
            }
            for name in new {
                let node = nodes.iter().find(|node| node.name == *name);
                let node = node.ok_or_else(|| format!("{name} isn't registered"))?;
                if let Some(runs) = kubelet_version(node)
                    && !runs.cmp_precedence(version).is_eq()
                {
                    return Err(format!("{name} has kubelet v{runs}"));
                }
                if becomes_ready && !node.ready {
                    return Err(format!("{name} isn't ready"));
                }
            }
            Ok(())
        })
        .await
    }
}
