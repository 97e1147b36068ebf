//! `nodes`: changes the number of workers.

use super::{Operation, conduct, preflight};
use crate::request::Request;
use crate::{Means, Session, Stored, programs};
use hakube_error::Result;
use hakube_model::{Intent, Zones, add_nodes, scale_nodes};
use hakube_output::Event;

/// What `hakube nodes` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodesRequest {
    /// Scale to this many, in this zone or in all zones together.
    Scale {
        /// How many.
        count: u32,
        /// The zone, if one was given.
        zone: Option<String>,
        /// Whether to delete pods that a budget protects or that no controller recreates.
        force: bool,
    },
    /// Add this many in a zone that has none.
    Add {
        /// How many.
        count: u32,
        /// The zone; by default, the cluster's own.
        zone: Option<String>,
    },
}

impl NodesRequest {
    /// As it is stored. What happens to pods isn't part of it.
    fn stored(&self) -> Request {
        match self.clone() {
            Self::Scale { count, zone, .. } => Request::ScaleNodes { count, zone },
            Self::Add { count, zone } => Request::AddNodes { count, zone },
        }
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
/// The zone isn't valid; the cluster has too few addresses; a step failed.
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

/// Resumes the same request if it is unfinished.
async fn edit(
    operation: &Operation<'_>,
    stored: &Stored,
    request: &NodesRequest,
    means: &Means,
) -> Result<Stored> {
    let asked = request.stored();
    if operation.goes_on(stored, &asked)? {
        return Ok(stored.clone());
    }
    let mut intent = request.edit(&stored.intent, preflight::zones(means).await?)?;
    if intent.node_count() > 0 {
        let releases = &operation.session.resolved.settings.releases;
        programs::complete(&mut intent.spec, releases.sums.as_deref())
            .await
            .map_err(|error| {
                error.hint(
                    "the cluster had no nodes so far, so these checksums weren't needed; to use your own list: \
                     HAKUBE_SHA256SUMS=FILE",
                )
            })?;
    }
    let observed = operation.observe(&stored.intent, means).await?;
    preflight::made(&intent, &observed, means).await?;
    preflight::drainable(&intent, &observed, means).await?;
    operation.store(&intent, asked, Some(&stored.intent)).await
}
