//! `clusters`: what the state store says about each cluster. No provider is asked.

use crate::{Session, Stored};
use hakube_error::Result;
use hakube_output::{ClusterLine, ClusterList};
use hakube_state::StateError;

/// Lists the clusters of the session's state store.
///
/// # Errors
/// The store can't be listed. A cluster whose intent can't be read is listed with the reason.
pub async fn clusters(session: &Session) -> Result<ClusterList> {
    let found = session.store.every::<Stored>().await?;
    Ok(ClusterList {
        state: session.resolved.settings.state.to_string(),
        clusters: found
            .into_iter()
            .map(|(name, stored)| line(name, stored))
            .collect(),
    })
}

fn line(name: String, stored: Result<Stored, StateError>) -> ClusterLine {
    let Stored { intent, unfinished } = match stored {
        Ok(stored) => stored,
        Err(error) => {
            return ClusterLine {
                name,
                error: Some(error.to_string()),
                ..ClusterLine::default()
            };
        }
    };
    let mut zones = Vec::new();
    for replica in &intent.replicas {
        if !zones.contains(&replica.zone) {
            zones.push(replica.zone.clone());
        }
    }
    ClusterLine {
        name,
        id: intent
            .spec
            .identity
            .as_ref()
            .map(|identity| identity.id.clone()),
        provider: Some(intent.spec.provider.to_string()),
        zones,
        replicas: Some(intent.replicas.len()),
        nodes: Some(intent.nodes.iter().map(|group| group.size).sum()),
        kubernetes: Some(format!("v{}", intent.spec.versions.kubernetes)),
        unfinished: unfinished.map(|unfinished| unfinished.operation),
        error: None,
    }
}
