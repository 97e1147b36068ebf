//! The real connections.

use super::connect::{Backend, Clients, Connect, Purpose};
use super::{backend, programs};
use async_trait::async_trait;
use hakube_error::Result;
use hakube_etcd::EtcdClient;
use hakube_kubernetes::KubeClient;
use hakube_model::{ClusterSpec, Lifetimes, Programs};
use hakube_output::Reporter;
use hakube_pki::{self as pki, Authorities};
use hakube_settings::Settings;
use jiff::Timestamp;
use std::sync::Arc;

/// The real provider and programs.
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
