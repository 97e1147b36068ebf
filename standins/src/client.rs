//! Clients of the API server, for the components that need one.

use std::path::Path;
use std::time::Duration;

use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::Result;

/// client-go's timeout for leader election: half of the renew deadline. It suits all requests here.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client for the current context of a kubeconfig. Components connect again after each failure, because
/// their certificate may have been renewed.
pub async fn connect(path: &Path) -> Result<kube::Client> {
    let unusable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| unusable(&error))?;
    // A control plane's own traffic must not use the environment's proxy.
    config.proxy_url = None;
    config.connect_timeout = Some(TIMEOUT);
    config.read_timeout = Some(TIMEOUT);
    config.default_retry = false;
    kube::Client::try_from(config).map_err(|error| unusable(&error))
}

/// The result of requests, with a timeout and the reason of a failure.
pub async fn in_time<T>(requests: impl Future<Output = kube::Result<T>>) -> Result<T> {
    match tokio::time::timeout(2 * TIMEOUT, requests).await {
        Ok(answer) => answer.map_err(|error| causes(&error)),
        Err(_) => Err("the API server doesn't respond".to_owned()),
    }
}

/// An error's message, and those of its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let messages: Vec<String> = causes.map(ToString::to_string).collect();
    messages.join(": ")
}

/// Whether the API server has no such object or resource.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
