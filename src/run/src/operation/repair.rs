//! `repair`: fixes drift, once or continuously.

use super::belief::believe;
use super::status::look;
use super::{Operation, conduct};
use crate::{NewAddress, Session};
use hakube_error::Result;
use hakube_output::Event;
use hakube_plan::plan;
use std::time::Duration;

/// The longest pause between repairs of a recurring problem.
const SLOWEST: Duration = Duration::from_secs(300);

/// Fixes drift: a missing or stopped machine, a backend missing from the balancer, the address on the wrong machine or
/// not reserved, a member without a machine, a learner left behind, a full etcd.
///
/// # Errors
/// There is no such cluster; an unknown state blocks it; a step failed.
pub async fn repair(session: &Session, new_address: NewAddress) -> Result<()> {
    conduct(session, "repair", async |operation| {
        once(session, operation, new_address).await
    })
    .await
}

async fn once(
    session: &Session,
    operation: &mut Operation<'_>,
    new_address: NewAddress,
) -> Result<()> {
    let mut stored = session.present().await?;
    operation.tell_unfinished(&stored);
    let mut means = operation.connect_existing(&stored).await?;
    means.new_address = new_address;
    operation.converge(&mut stored, &means).await
}

/// Checks every `pace`, and repairs drift. It doesn't act while the state is unknown or another operation holds the
/// lock, and slows down while repairs don't help.
///
/// # Errors
/// There is no such cluster. Later failures are reported and retried.
pub async fn watch(session: &Session, new_address: NewAddress, pace: Duration) -> Result<()> {
    session.present().await?;
    let mut wait = pace;
    let mut reported = String::new();
    while !session.stop.is_cancelled() {
        wait = match differs(session).await {
            Ok(false) => pace,
            Ok(true) => {
                // The failure is reported already, and the next check shows whether it persists.
                let _ = repair(session, new_address).await;
                (wait * 2).min(SLOWEST)
            }
            Err(error) => {
                let text = error.to_string();
                if text != reported {
                    session.reporter.event(&Event::warning(text.clone()));
                    reported = text;
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
    believe(session, &stored.intent, &observed).await?;
    Ok(!plan(&stored.intent, &observed)?.is_empty())
}
