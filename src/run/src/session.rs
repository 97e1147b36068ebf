//! One invocation: its settings, store and reporter.

use super::connect::{Backend, Clients, Connect, Purpose};
use super::drain::Drain;
use super::{Means, NewAddress, Stored, Turnover};
use hakube_error::{Error, Result};
use hakube_kubeconfig as kubeconfig;
use hakube_model::{ClusterSpec, Phase};
use hakube_output::Reporter;
use hakube_pki::{Authorities, AuthorityDocuments};
use hakube_settings::Resolved;
use hakube_state::Clock;
use hakube_state::{INTENT, Store};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// One invocation.
pub struct Session {
    /// The settings, with their origins.
    pub resolved: Resolved,
    /// The stored documents.
    pub store: Store,
    /// Receives events.
    pub reporter: Arc<dyn Reporter>,
    /// Cancelled by the first Ctrl-C.
    pub stop: CancellationToken,
    /// Whether to show plans without running them.
    pub dry_run: bool,
    /// Connects to providers and clusters.
    pub connect: Arc<dyn Connect>,
    /// The search path for programs.
    pub path: String,
    /// The clock that dates its operations.
    pub clock: Clock,
    /// When it started.
    pub started: Instant,
}

impl Session {
    /// The name of its cluster.
    pub fn cluster(&self) -> &str {
        &self.resolved.settings.cluster
    }

    /// The cluster's stored document.
    ///
    /// # Errors
    /// The store can't be read, or has a newer format; the document is another cluster's.
    pub(crate) async fn stored(&self) -> Result<Option<Stored>> {
        let stored: Option<Stored> = self.store.read(self.cluster()).await?;
        match &stored {
            Some(Stored { intent, .. }) if intent.spec.cluster != self.cluster() => {
                Err(Error::bad_input(format!(
                    "the document stored for cluster {} is the intent of cluster {}",
                    self.cluster(),
                    intent.spec.cluster
                ))
                .hint("if it was copied there by mistake, restore the right one")
                .hint(format!(
                    "or select that cluster: --cluster {}",
                    intent.spec.cluster
                )))
            }
            // A new inventory is part of the intent from here on, and is stored with the next write.
            _ => Ok(stored.map(|stored| Stored {
                intent: stored.intent.with_hosts(
                    &self.resolved.settings.hypervisors,
                    self.resolved.settings.hosts.as_ref(),
                ),
                ..stored
            })),
        }
    }

    /// The stored document of a cluster that must exist.
    ///
    /// # Errors
    /// There is no such cluster; the hint lists the others.
    pub async fn existing(&self) -> Result<Stored> {
        if let Some(stored) = self.stored().await? {
            return Ok(stored);
        }
        let error = Error::bad_input(format!("there is no cluster {}", self.cluster()));
        let known = self.store.clusters().await?;
        Err(if known.is_empty() {
            error.hint("to create it: hakube up")
        } else {
            error.hint(format!(
                "clusters in {}: {}",
                self.resolved.settings.state,
                known.join(", ")
            ))
        })
    }

    /// The stored document of a cluster that exists and isn't being deleted.
    ///
    /// # Errors
    /// There is no such cluster, or it is being deleted.
    pub(crate) async fn present(&self) -> Result<Stored> {
        let stored = self.existing().await?;
        if stored.intent.phase == Phase::Absent {
            return Err(
                Error::refused(format!("cluster {} is being deleted", self.cluster()))
                    .hint("to finish the deletion: hakube down"),
            );
        }
        Ok(stored)
    }

    /// The cluster's authorities; `None` before they are created.
    ///
    /// # Errors
    /// They can't be read.
    pub(crate) async fn authorities(&self) -> Result<Option<Authorities>> {
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
    pub(crate) async fn existing_authorities(&self) -> Result<Authorities> {
        self.authorities().await?.ok_or_else(|| {
            Error::failed(format!(
                "the keys of cluster {} are missing from the store",
                self.cluster()
            ))
            .hint("if up was interrupted early, run it again to create them: hakube up")
        })
    }

    /// Connects to the cluster's provider.
    ///
    /// # Errors
    /// It can't be reached. Refused: the cluster is in another local cloud.
    pub(crate) async fn backend(
        &self,
        spec: &ClusterSpec,
        authorities: &Authorities,
        purpose: Purpose,
    ) -> Result<Backend> {
        let settings = &self.resolved.settings;
        let connected = self.connect.backend(settings, spec, authorities, purpose);
        let backend = connected.await?;
        match (&spec.local_cloud, &backend.local_cloud) {
            (Some(known), Some(found)) if known != found => Err(Error::refused(format!(
                "cluster {} is in local cloud {known}, but the one of {} is {found}",
                spec.cluster,
                settings.home.display()
            ))
            .hint("set the directory of its local cloud: HAKUBE_HOME=DIR")
            .hint(format!(
                "if that local cloud was deleted, the cluster is gone too: delete {}/{} in {}",
                self.cluster(),
                INTENT,
                settings.state
            ))),
            _ => Ok(backend),
        }
    }

    /// The interfaces through which to observe and change a cluster.
    ///
    /// # Errors
    /// The cluster's keys can't be used.
    pub(crate) fn means(
        &self,
        spec: &ClusterSpec,
        backend: Backend,
        authorities: Authorities,
    ) -> Result<Means> {
        let Clients { etcd, kubernetes } = self.connect.clients(&authorities, spec.pki)?;
        let settings = &self.resolved.settings;
        let paths = kubeconfig::Paths::new(&settings.kubeconfig);
        let ca = authorities.kubernetes_ca();
        let context = kubeconfig::context_of(&paths, &settings.kube_context, spec.id(), ca);
        Ok(Means {
            provider: backend.provider,
            etcd,
            kubernetes,
            channel: backend.channel,
            login: backend.login,
            authorities: Arc::new(authorities),
            local_cloud: backend.local_cloud,
            shared_loopback: backend.shared_loopback,
            backups: crate::operation::backups(self),
            kubeconfig: paths,
            context,
            new_address: NewAddress::Refused,
            clock: self.clock,
            timeout: settings.timeout,
            nodes_timeout: settings.nodes_timeout,
            drain: Drain::within(settings.drain_timeout),
            turnover: Turnover::default(),
            pace: backend.pace,
        })
    }
}
