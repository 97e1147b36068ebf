//! `repair`: what differs from the intent is put right, once or for as long as it runs.

use super::{Operation, conduct, look};
use crate::error::Result;
use crate::output::Event;
use crate::plan::plan;
use crate::run::Session;
use std::time::Duration;

/// However often what was put right goes wrong again, it is put right no more often than this.
const SLOWEST: Duration = Duration::from_secs(300);

/// Puts right what differs from the intent: a machine that is gone or off, a backend missing from the
/// balancer, the address on the wrong machine, a member without a machine, a stranded learner.
///
/// # Errors
/// There is no such cluster; what isn't known blocks it; a step failed.
pub async fn repair(session: &Session) -> Result<()> {
    conduct(session, "repair", async |operation| {
        once(session, operation).await
    })
    .await
}

async fn once(session: &Session, operation: &mut Operation<'_>) -> Result<()> {
    let mut stored = session.present().await?;
    operation.tell_unfinished(&stored);
    let means = operation.connect_existing(&stored).await?;
    operation.converge(&mut stored, &means).await
}

/// Looks every `pace`, and repairs when something differs. Never on what isn't known, never while
/// another operation holds the lock, and ever more slowly when the same thing keeps going wrong.
///
/// # Errors
/// There is no such cluster. What fails later is told, and tried again.
pub async fn watch(session: &Session, pace: Duration) -> Result<()> {
    session.present().await?;
    let mut wait = pace;
    let mut told = String::new();
    while !session.stop.is_cancelled() {
        wait = match differs(session).await {
            Ok(false) => pace,
            Ok(true) => {
                // It told its own failure, and the next look tells whether it is over.
                let _ = repair(session).await;
                (wait * 2).min(SLOWEST)
            }
            Err(error) => {
                let text = error.to_string();
                if text != told {
                    session.reporter.event(&Event::warning(text.clone()));
                    told = text;
                }
                wait
            }
        };
        tokio::select! {
            () = session.stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    Ok(())
}

async fn differs(session: &Session) -> Result<bool> {
    if session
        .store
        .lock_holder(session.cluster())
        .await?
        .is_some()
    {
        return Ok(false);
    }
    let (stored, observed) = look(session).await?;
    Ok(!plan(&stored.intent, &observed)?.is_empty())
}
