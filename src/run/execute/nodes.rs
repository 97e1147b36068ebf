//! Nodes: let in, made, waited for.

use super::Execution;
use crate::cluster::TOKEN_LIFETIME;
use crate::error::Result;
use crate::kubeconfig::{self, Access, Credentials};
use crate::kubernetes::BootstrapToken;
use crate::machine::{BOOTSTRAP_KUBECONFIG, KUBELET_CLIENT_CA};
use crate::output::Event;
use crate::pki::Secret;
use crate::plan::Step;
use crate::run::drain::drain;
use crate::run::wait;
use base64::Engine as _;
use hakube_provider::{MachineRef, NodeGroupSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A node that was ready before and comes back takes no longer.
const SICK: Duration = Duration::from_secs(60);

/// How long nodes are waited for that needn't be ready: kube-up's CLUSTER_READY_ADDITIONAL_TIME_SECONDS.
const LATECOMERS: Duration = Duration::from_secs(30);

impl Execution<'_> {
    /// A token that expires is the one secret that a node boots with. That of a template which is in use may be gone, as
    /// Kubernetes deletes expired ones: it is the same again.
    pub(super) async fn admit_nodes(&self, templates: &[String]) -> Result<()> {
        let endpoint = self.endpoint()?;
        for template in templates {
            let token = self.token_of(template);
            self.means.kubernetes.admit_nodes(endpoint, &token).await?;
        }
        Ok(())
    }

    /// The token in a template, derived from the authority's key: nobody has to keep it.
    fn token_of(&self, template: &str) -> BootstrapToken {
        let (id, secret) = self
            .means
            .authorities
            .bootstrap_token(&self.intent.spec.cluster, template);
        BootstrapToken {
            id,
            secret,
            template: template.to_owned(),
            expires: self.means.clock.now() + TOKEN_LIFETIME,
        }
    }

    /// Machines that a group makes later join with the token in its template: it lives on while the group may.
    pub(super) async fn extend_tokens(&self, tokens: &[String]) -> Result<()> {
        let endpoint = self.endpoint()?;
        let until = self.means.clock.now() + TOKEN_LIFETIME;
        for id in tokens {
            self.means
                .kubernetes
                .extend_token(endpoint, id, until)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn ensure_node_group(&self, spec: &NodeGroupSpec) -> Result<()> {
        let kubeconfig = self.bootstrap_kubeconfig(&spec.template)?;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let mut spec = spec.clone();
        spec.machine.user_data = spec
            .machine
            .user_data
            .replace(BOOTSTRAP_KUBECONFIG, &encode(kubeconfig.expose()))
            .replace(
                KUBELET_CLIENT_CA,
                &encode(self.means.authorities.kubernetes_ca()),
            );
        Ok(self.means.provider.ensure_node_group(&spec).await?)
    }

    fn bootstrap_kubeconfig(&self, template: &str) -> Result<Secret> {
        let token = self.token_of(template);
        Ok(kubeconfig::render(&Access {
            cluster: self.intent.spec.cluster.clone(),
            user: "kubelet-bootstrap".to_owned(),
            context: "bootstrap".to_owned(),
            server: kubeconfig::server_url(self.endpoint()?),
            ca: self.means.authorities.kubernetes_ca().to_owned(),
            credentials: Credentials::Token(Secret::new(format!(
                "{}.{}",
                token.id,
                token.secret.expose()
            ))),
        }))
    }

    /// How long nodes are waited for: those that have yet to register, or only those that are sick.
    pub(super) fn nodes_patience(&self, registered: bool) -> Duration {
        let patience = self.means.nodes_timeout;
        if registered {
            patience.min(SICK)
        } else {
            patience
        }
    }

    /// Waits for those that are needed, and less long for the others: these need only be told of.
    pub(super) async fn await_nodes(
        &self,
        step: &Step,
        count: u32,
        needed: u32,
        patience: Duration,
    ) -> Result<()> {
        self.until_ready(step, needed, count, patience).await?;
        if needed == count {
            return Ok(());
        }
        let late = self.until_ready(step, count, count, LATECOMERS).await;
        if let Err(late) = late {
            let reasons = late.causes.join("; ");
            self.reporter.event(&Event::warning(format!(
                "not all {count} nodes are ready ({reasons}), which ALLOWED_NOTREADY_NODES allows"
            )));
        }
        Ok(())
    }

    async fn until_ready(
        &self,
        step: &Step,
        needed: u32,
        count: u32,
        timeout: Duration,
    ) -> Result<()> {
        let endpoint = self.endpoint()?;
        let what = format!("{needed} nodes to be ready");
        let mut told = None;
        let pace = self.means.pace * 4;
        wait::until(&what, timeout, pace, async || {
            self.approve_quietly().await;
            let nodes = self
                .means
                .kubernetes
                .nodes(endpoint)
                .await
                .map_err(|error| error.to_string())?;
            let workers = nodes.iter().filter(|node| !node.control_plane);
            let ready = workers.filter(|node| node.ready).count();
            if told != Some(ready) {
                told = Some(ready);
                self.reporter
                    .event(&Event::progress(step, ready as u64, count.into()));
            }
            if ready as u64 >= u64::from(needed) {
                Ok(())
            } else {
                Err(format!("{ready} of {count} are"))
            }
        })
        .await
    }

    /// Its kubelet registers it; a kubelet may not label itself as the control plane's.
    pub(super) async fn register_replica(&self, machine: &MachineRef) -> Result<()> {
        let endpoint = self.endpoint()?;
        let name = &machine.name;
        let what = format!("the kubelet of {name} to register");
        let registered = wait::until(&what, self.means.timeout, self.means.pace, async || {
            let labelled = self.means.kubernetes.label_replica(endpoint, name).await;
            match labelled {
                Ok(true) => Ok(()),
                Ok(false) => Err(format!("there is no node {name} yet")),
                Err(error) => Err(error.to_string()),
            }
        });
        registered.await.map_err(|error| {
            error.hint(format!(
                "see its log on {name}: journalctl --unit kubelet --unit containerd --unit artifacts"
            ))
        })
    }

    /// The pod network has reached them.
    pub(super) async fn await_replica_nodes(&self, replicas: &[MachineRef]) -> Result<()> {
        let endpoint = self.endpoint()?;
        let patience = self.means.nodes_timeout;
        let pace = self.means.pace * 2;
        wait::until(
            "the replicas' nodes to be ready",
            patience,
            pace,
            async || {
                self.approve_quietly().await;
                let nodes = self.means.kubernetes.nodes(endpoint).await;
                let nodes = nodes.map_err(|error| error.to_string())?;
                let is_ready =
                    |name: &str| nodes.iter().any(|node| node.name == name && node.ready);
                let names = replicas.iter().map(|replica| replica.name.as_str());
                let late: Vec<&str> = names.filter(|name| !is_ready(name)).collect();
                if late.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{} not ready", late.join(", ")))
                }
            },
        )
        .await
    }

    pub(super) async fn drain_nodes(&self, step: &Step, nodes: &[String]) -> Result<()> {
        let tell = |left: usize, all: usize| {
            let event = Event::progress(step, left as u64, all as u64);
            self.reporter.event(&event);
        };
        drain(self.means, self.endpoint()?, nodes, tell).await
    }

    /// Nodes whose machines are there are waited for until they have registered. One that doesn't is told of: the next
    /// look finds that it has no labels.
    pub(super) async fn label_nodes(
        &self,
        nodes: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<()> {
        let endpoint = self.endpoint()?;
        let means = self.means;
        let inventory = means.provider.inspect(&self.intent.spec.cluster).await?;
        let groups = inventory.node_groups.iter();
        let of_groups: BTreeSet<&String> = groups.flat_map(|group| &group.machines).collect();
        let is_there =
            |name: &String| of_groups.contains(name) || inventory.machine(name).is_some();
        let mut pending: Vec<&String> = nodes.keys().filter(|name| is_there(name)).collect();
        let mut failed = None;
        let labelled = wait::until(
            "nodes to register",
            means.timeout,
            means.pace * 2,
            async || {
                let mut late = Vec::new();
                failed = None;
                for name in pending.drain(..) {
                    match means
                        .kubernetes
                        .label_node(endpoint, name, &nodes[name])
                        .await
                    {
                        Ok(true) => {}
                        Ok(false) => late.push(name),
                        Err(error) => {
                            late.push(name);
                            failed = Some(error);
                        }
                    }
                }
                pending = late;
                if pending.is_empty() {
                    Ok(())
                } else {
                    Err(String::new())
                }
            },
        );
        match (labelled.await, failed) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(error)) => Err(error),
            (Err(_), None) => {
                let names: Vec<&str> = pending.iter().map(|name| name.as_str()).collect();
                self.reporter.event(&Event::warning(format!(
                    "{} hasn't registered as a node, so it has no labels of the inventory yet; once it has: hakube repair",
                    names.join(", ")
                )));
                Ok(())
            }
        }
    }

    /// A node whose machine came back, or isn't seen by the plan yet, stays.
    pub(super) async fn forget_nodes(&self, nodes: &[MachineRef]) -> Result<()> {
        let endpoint = self.endpoint()?;
        for node in nodes {
            if self.means.provider.machine(node).await?.is_none() {
                let kubernetes = &self.means.kubernetes;
                kubernetes.forget_node(endpoint, &node.name).await?;
            }
        }
        Ok(())
    }
}
