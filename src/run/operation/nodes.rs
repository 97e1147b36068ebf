//! `nodes`: more workers, or fewer.

use super::{Operation, conduct, preflight};
use crate::cluster::{Intent, Zones, add_nodes, scale_nodes};
use crate::error::Result;
use crate::output::Event;
use crate::run::{Means, Session, Stored};

/// What `nodes` was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodesRequest {
    /// So many, in this zone or in all together.
    Scale {
        /// How many.
        count: u32,
        /// The zone that was named.
        zone: Option<String>,
        /// Whether pods go that a budget keeps, or that nothing recreates.
        force: bool,
    },
    /// So many in a zone that has none.
    Add {
        /// How many.
        count: u32,
        /// The zone that was named; else the cluster's own.
        zone: Option<String>,
    },
}

impl NodesRequest {
    /// The same words for the same request.
    fn words(&self) -> String {
        let (verb, count, zone) = match self {
            Self::Scale { count, zone, .. } => ("scale to", count, zone),
            Self::Add { count, zone } => ("add", count, zone),
        };
        let zone = zone.as_deref().unwrap_or("the cluster's zones");
        format!("{verb} {count} in {zone}")
    }

    fn edit(&self, intent: &Intent, up: Vec<String>) -> Result<Intent> {
        let (Self::Scale { zone, .. } | Self::Add { zone, .. }) = self;
        let zones = Zones {
            asked: zone.clone(),
            up,
            free: None,
        };
        match self {
            Self::Scale { count, .. } => scale_nodes(intent, &zones, *count),
            Self::Add { count, .. } => add_nodes(intent, &zones, *count),
        }
    }
}

/// Changes the number of nodes.
///
/// # Errors
/// A zone that won't do, more nodes than the cluster has addresses for; a step failed.
pub async fn nodes(session: &Session, request: &NodesRequest) -> Result<()> {
    conduct(session, "nodes", async |operation| {
        run(session, operation, request).await
    })
    .await
}

async fn run(
    session: &Session,
    operation: &mut Operation<'_>,
    request: &NodesRequest,
) -> Result<()> {
    let stored = session.present().await?;
    let mut means = operation.connect_existing(&stored).await?;
    means.drain.force = matches!(request, NodesRequest::Scale { force: true, .. });
    let mut edited = edit(operation, &stored, request, &means).await?;
    operation.converge(&mut edited, &means).await?;
    if !session.dry_run {
        let zones: Vec<String> = edited
            .intent
            .nodes
            .iter()
            .map(|group| format!("{} in {}", group.size, group.zone))
            .collect();
        let zones = if zones.is_empty() {
            "no nodes".to_owned()
        } else {
            format!("nodes: {}", zones.join(", "))
        };
        let text = format!("cluster {} has {zones}", session.cluster());
        session.reporter.event(&Event::note(text));
    }
    Ok(())
}

/// The same request, begun and not finished, goes on.
async fn edit(
    operation: &Operation<'_>,
    stored: &Stored,
    request: &NodesRequest,
    means: &Means,
) -> Result<Stored> {
    let words = request.words();
    if operation.goes_on(stored, &words)? {
        return Ok(stored.clone());
    }
    let intent = request.edit(&stored.intent, preflight::zones(means).await?)?;
    let observed = operation.observe(&stored.intent, means).await?;
    preflight::made(&intent, &observed, means).await?;
    preflight::drainable(&intent, &observed, means).await?;
    operation.store(&intent, &words, Some(&stored.intent)).await
}
