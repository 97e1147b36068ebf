//! How an invocation gets at the world: the real one, or a test's own.

use super::backend::{self, Backend};
use super::programs;
use super::session::Purpose;
use crate::cluster::ClusterSpec;
use crate::error::Result;
use crate::etcd::{Etcd, EtcdClient};
use crate::kubernetes::{KubeClient, Kubernetes};
use crate::machine::Programs;
use crate::output::Reporter;
use crate::pki::{self, Authorities, Lifetimes};
use crate::settings::Settings;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;

/// Clients of a cluster's own programs.
pub struct Clients {
    /// etcd's members.
    pub etcd: Arc<dyn Etcd>,
    /// API servers.
    pub kubernetes: Arc<dyn Kubernetes>,
}

/// Connects to what a cluster is made of. The real one is [`Live`]; tests bring a world of their own.
#[async_trait]
pub trait Connect: Send + Sync {
    /// The provider of the cluster's machines, and the way onto them, which wants the key that the
    /// cluster's authorities hold.
    ///
    /// # Errors
    /// It can't be reached.
    async fn backend(
        &self,
        settings: &Settings,
        spec: &ClusterSpec,
        authorities: &Authorities,
        purpose: Purpose,
    ) -> Result<Backend>;

    /// Where a new cluster's programs come from; `path` is the search path for those of this host.
    ///
    /// # Errors
    /// They can't be found, or not verified.
    async fn programs(
        &self,
        settings: &Settings,
        path: &str,
        reporter: &dyn Reporter,
    ) -> Result<Programs>;

    /// Clients whom the cluster's programs let in, because these authorities vouch for them.
    ///
    /// # Errors
    /// The authorities' keys can't be used.
    fn clients(&self, authorities: &Authorities, lifetimes: Lifetimes) -> Result<Clients>;
}

/// The world that everybody lives in.
pub struct Live;

#[async_trait]
impl Connect for Live {
    async fn backend(
        &self,
        settings: &Settings,
        spec: &ClusterSpec,
        authorities: &Authorities,
        purpose: Purpose,
    ) -> Result<Backend> {
        backend::connect(settings, spec, authorities, purpose).await
    }

    async fn programs(
        &self,
        settings: &Settings,
        path: &str,
        reporter: &dyn Reporter,
    ) -> Result<Programs> {
        programs::find(settings, path, reporter).await
    }

    fn clients(&self, authorities: &Authorities, lifetimes: Lifetimes) -> Result<Clients> {
        let now = Timestamp::now();
        let operator = pki::etcd_client_identity(authorities, lifetimes, now)?;
        let admin = pki::admin(authorities, lifetimes, now)?;
        Ok(Clients {
            etcd: Arc::new(EtcdClient::new(&operator)),
            kubernetes: Arc::new(KubeClient::new(authorities, admin)?),
        })
    }
}
