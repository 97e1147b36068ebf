//! The namespaces that are there from the start, and can't be deleted.

use std::time::Duration;

use serde_json::json;

use super::object;
use super::resources::NAMESPACES;
use super::storage::Store;
use super::strategy;

/// Created at start.
pub const BUILT_IN: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// May not be deleted. kube-node-lease may, as in reality.
pub const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Between tries. Short: a new replica is ready as soon as its etcd is.
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// Creates what is missing, for as long as it takes etcd to come.
pub async fn ensure_built_in(store: &Store) {
    let mut pause = Duration::from_millis(50);
    let mut told = String::new();
    for name in BUILT_IN {
        while let Err(error) = ensure(store, name).await {
            let trouble = error.to_string();
            if trouble != told {
                tracing::warn!("waiting for etcd: {trouble}");
                told = trouble;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
    tracing::info!("built-in namespaces exist: ready");
}

async fn ensure(store: &Store, name: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut namespace = json!({"metadata": {"name": name}});
    NAMESPACES.stamp(&mut namespace);
    object::initialise(&mut namespace);
    strategy::prepare_create(&NAMESPACES, &mut namespace)?;
    // Lost means that another replica, or an earlier run, was here before.
    store
        .create(&store.key(&[NAMESPACES.plural, name]), &namespace, None)
        .await?;
    Ok(())
}
