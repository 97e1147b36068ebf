//! Nodes: tokens, groups, registration, drains.

use super::Execution;
use crate::drain::drain;
use crate::wait;
use base64::Engine as _;
use hakube_error::Result;
use hakube_kubeconfig::{self as kubeconfig, Access, Credentials};
use hakube_kubernetes::BootstrapToken;
use hakube_machine::{BOOTSTRAP_KUBECONFIG, KUBELET_CLIENT_CA};
use hakube_model::TOKEN_LIFETIME;
use hakube_output::Event;
use hakube_plan::Step;
use hakube_provider::{MachineRef, NodeGroupSpec};
use hakube_secret::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A registered node that recovers takes no longer.
const UNHEALTHY: Duration = Duration::from_secs(60);

/// How long to wait for nodes that may be unready: kube-up's CLUSTER_READY_ADDITIONAL_TIME_SECONDS.
const LATECOMERS: Duration = Duration::from_secs(30);

impl Execution<'_> {
    /// Creates the bootstrap tokens of these templates. The token is the only secret a node boots with, and it expires.
    /// Kubernetes deletes expired tokens, so this recreates a missing one with the same value.
    pub(super) async fn admit_nodes(&self, templates: &[String]) -> Result<()> {
        let endpoint = self.endpoint()?;
        for template in templates {
            let token = self.token_of(template);
            self.means.kubernetes.admit_nodes(endpoint, &token).await?;
        }
        Ok(())
    }

    /// The template's token. It is derived from the authority's key, so it isn't stored.
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

    /// Extends these tokens. A group's later machines join with the token in its template.
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

    pub(super) fn bootstrap_kubeconfig(&self, template: &str) -> Result<Secret> {
        let token = self.token_of(template);
        Ok(kubeconfig::render(&Access {
            cluster: self.intent.spec.cluster.clone(),
            user: "kubelet-bootstrap".to_owned(),
            context: "bootstrap".to_owned(),
            id: None,
            server: kubeconfig::server_url(self.endpoint()?),
            ca: self.means.authorities.kubernetes_ca().to_owned(),
            credentials: Credentials::Token(Secret::new(format!(
                "{}.{}",
                token.id,
                token.secret.expose()
            ))),
        }))
    }

    /// How long to wait for nodes: shorter if all are registered and some are unhealthy.
    pub(super) fn nodes_patience(&self, registered: bool) -> Duration {
        let patience = self.means.nodes_timeout;
        if registered {
            patience.min(UNHEALTHY)
        } else {
            patience
        }
    }

    /// Waits for the nodes that are needed, then briefly for the others. It only warns about the latter.
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
                "not all {count} nodes are ready ({reasons}); ALLOWED_NOTREADY_NODES allows this"
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
        let mut reported = None;
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
            if reported != Some(ready) {
                reported = Some(ready);
                self.reporter
                    .event(&Event::progress(step, ready as u64, count.into()));
            }
            if ready as u64 >= u64::from(needed) {
                Ok(())
            } else {
                Err(format!("{ready} of {count} are ready"))
            }
        })
        .await
    }

    /// Waits for the kubelet to register the node, then labels it. A kubelet may not set control-plane labels itself.
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
                "check the logs on {name}: journalctl --unit kubelet --unit containerd --unit artifacts"
            ))
        })
    }

    /// Waits until the nodes are ready, which needs the pod network.
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

    /// Labels nodes, and waits for those with a machine to register. It only warns about one that doesn't: the next
    /// plan finds the labels missing.
    pub(super) async fn label_nodes(
        &self,
        nodes: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<()> {
        let endpoint = self.endpoint()?;
        let means = self.means;
        let inventory = means.provider.inspect(&self.intent.spec.mark()).await?;
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
                    "{} hasn't registered as a node, so the inventory's labels aren't set; once it has: hakube repair",
                    names.join(", ")
                )));
                Ok(())
            }
        }
    }

    /// Deletes node objects, except those whose machine exists again.
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
