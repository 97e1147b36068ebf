//! What one invocation works with: its settings, the store, and whom it reports to.

use super::backend::Backend;
use super::connect::{Clients, Connect};
use super::drain::Drain;
use super::{Means, Stored};
use crate::clock::Clock;
use crate::cluster::{ClusterSpec, Phase};
use crate::error::{Error, Result};
use crate::kubeconfig;
use crate::output::Reporter;
use crate::pki::{Authorities, AuthorityDocuments};
use crate::settings::Resolved;
use crate::state::Store;
use hakube_provider::OperationKey;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a provider is connected to for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To change things, for this operation. The local cloud is started if it doesn't run.
    Change(OperationKey),
    /// Only to look: the local cloud runs, or the command says that it doesn't.
    Look,
}

/// One invocation.
pub struct Session {
    /// The settings, with their origins.
    pub resolved: Resolved,
    /// What is kept.
    pub store: Store,
    /// Who is told.
    pub reporter: Arc<dyn Reporter>,
    /// Cancelled by the first Ctrl-C.
    pub stop: CancellationToken,
    /// Whether plans are shown and not run.
    pub dry_run: bool,
    /// How it gets at providers and clusters.
    pub connect: Arc<dyn Connect>,
    /// The search path for programs.
    pub path: String,
    /// What its operations are dated by.
    pub clock: Clock,
    /// When it began.
    pub started: Instant,
}

impl Session {
    /// The name of the cluster that it is about.
    pub fn cluster(&self) -> &str {
        &self.resolved.settings.cluster
    }

    /// What is stored of the cluster.
    ///
    /// # Errors
    /// The store can't be read, or is of a newer version; what it has is another cluster's.
    pub async fn stored(&self) -> Result<Option<Stored>> {
        let stored: Option<Stored> = self.store.read(self.cluster()).await?;
        match &stored {
            Some(Stored { intent, .. }) if intent.spec.cluster != self.cluster() => {
                Err(Error::bad_input(format!(
                    "what is stored as cluster {} is the intent of cluster {}",
                    self.cluster(),
                    intent.spec.cluster
                ))
                .hint("a copy that was put in the wrong place? put back the one that belongs there")
                .hint(format!(
                    "or name the cluster: --cluster {}",
                    intent.spec.cluster
                )))
            }
            // Hosts that this operator names are from here on the cluster's: whatever is written has them.
            _ => Ok(stored.map(|stored| Stored {
                intent: stored.intent.with_hosts(
                    &self.resolved.settings.hypervisors,
                    self.resolved.settings.hosts.as_ref(),
                ),
                ..stored
            })),
        }
    }

    /// What is stored of a cluster that must exist.
    ///
    /// # Errors
    /// There is none of that name: which there are.
    pub async fn existing(&self) -> Result<Stored> {
        if let Some(stored) = self.stored().await? {
            return Ok(stored);
        }
        let error = Error::bad_input(format!("there is no cluster {}", self.cluster()));
        let known = self.store.clusters().await?;
        Err(if known.is_empty() {
            error.hint("to make it: hakube up")
        } else {
            error.hint(format!(
                "the clusters in {} are: {}",
                self.resolved.settings.state,
                known.join(", ")
            ))
        })
    }

    /// What is stored of a cluster that exists and isn't being deleted.
    ///
    /// # Errors
    /// There is none, or its deletion is unfinished.
    pub async fn present(&self) -> Result<Stored> {
        let stored = self.existing().await?;
        if stored.intent.phase == Phase::Absent {
            return Err(
                Error::refused(format!("cluster {} is being deleted", self.cluster()))
                    .hint("to finish that: hakube down"),
            );
        }
        Ok(stored)
    }

    /// The cluster's authorities; `None` before they are made.
    ///
    /// # Errors
    /// They can't be read.
    pub async fn authorities(&self) -> Result<Option<Authorities>> {
        let documents: Option<AuthorityDocuments> = self.store.read(self.cluster()).await?;
        Ok(documents
            .as_ref()
            .map(Authorities::from_documents)
            .transpose()?)
    }

    /// The authorities of a cluster that must have them.
    ///
    /// # Errors
    /// They aren't in the store, or can't be read.
    pub async fn existing_authorities(&self) -> Result<Authorities> {
        self.authorities().await?.ok_or_else(|| {
            Error::failed(format!(
                "the keys of cluster {} aren't in the store",
                self.cluster()
            ))
            .hint("an up that was stopped early makes them when it is run again: hakube up")
        })
    }

    /// Connects to the provider of a cluster.
    ///
    /// # Errors
    /// It can't be reached.
    pub async fn backend(
        &self,
        spec: &ClusterSpec,
        authorities: &Authorities,
        purpose: Purpose,
    ) -> Result<Backend> {
        self.connect
            .backend(&self.resolved.settings, spec, authorities, purpose)
            .await
    }

    /// Everything that acts on a cluster.
    ///
    /// # Errors
    /// The cluster's keys can't be used.
    pub fn means(
        &self,
        spec: &ClusterSpec,
        backend: Backend,
        authorities: Authorities,
    ) -> Result<Means> {
        let Clients { etcd, kubernetes } = self.connect.clients(&authorities, spec.pki)?;
        let settings = &self.resolved.settings;
        Ok(Means {
            provider: backend.provider,
            etcd,
            kubernetes,
            channel: backend.channel,
            login: backend.login,
            authorities: Arc::new(authorities),
            shared_loopback: backend.shared_loopback,
            kubeconfig: kubeconfig::Paths::new(&settings.kubeconfig),
            context: settings.kube_context.clone(),
            clock: self.clock,
            timeout: settings.timeout,
            nodes_timeout: settings.nodes_timeout,
            drain: Drain::within(settings.drain_timeout),
            pace: backend.pace,
        })
    }
}
