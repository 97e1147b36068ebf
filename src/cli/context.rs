//! From flags and environment to a session.

use super::flags::ClusterFlags;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::output::{Event, Format, Human, JsonLines, Reporter};
use crate::run::{Live, Session};
use crate::settings::{Resolved, Severity, Sources, resolve};
use crate::state::{Location, Store};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The settings of this invocation.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn settings(cluster: &ClusterFlags, more: Vec<(String, String)>) -> Result<Resolved> {
    let mut flags = cluster.pairs();
    flags.extend(more);
    let sources = Sources::of_process(flags, cluster.env_file.clone())
        .map_err(|error| Error::failed("could not read the environment").because(error))?;
    resolve(&sources).map_err(|errors| Error::bad_input(errors.to_string()))
}

/// A session that looks, and prints a document.
///
/// # Errors
/// The state directory can't be used.
pub fn looking(resolved: Resolved) -> Result<Session> {
    session(resolved, Arc::new(Human::default()), false)
}

/// A session that changes something, or with `dry_run` shows what it would change. Ctrl-C stops it
/// after the steps in flight; a second one at once.
///
/// # Errors
/// The state directory can't be used.
pub fn changing(resolved: Resolved, output: Format, dry_run: bool) -> Result<Session> {
    let reporter: Arc<dyn Reporter> = match output {
        Format::Json => Arc::new(JsonLines),
        Format::Text if dry_run => Arc::new(Human::with_plan_as_data()),
        Format::Text => Arc::new(Human::default()),
        Format::Yaml => {
            return Err(
                Error::bad_input("events are written as text or JSON, not YAML").hint("-o json"),
            );
        }
    };
    for warning in &resolved.warnings {
        reporter.event(&match warning.severity {
            Severity::Note => Event::note(warning.message.clone()),
            Severity::Warning => Event::warning(warning.message.clone()),
        });
    }
    if resolved.settings.state == Location::Memory {
        reporter.event(&Event::warning(
            "what is kept in memory:// is forgotten when this command ends: of a cluster that outlives it, \
             the keys are lost; --state file:///directory keeps them",
        ));
    }
    let session = session(resolved, reporter, dry_run)?;
    stop_on_signals(session.stop.clone(), Arc::clone(&session.reporter));
    Ok(session)
}

fn session(resolved: Resolved, reporter: Arc<dyn Reporter>, dry_run: bool) -> Result<Session> {
    let settings = &resolved.settings;
    let store = Store::open(&settings.state)?.sealed(settings.seal.clone());
    Ok(Session {
        store,
        reporter,
        stop: CancellationToken::new(),
        dry_run,
        connect: Arc::new(Live),
        path: std::env::var("PATH").unwrap_or_default(),
        clock: Clock::default(),
        started: Instant::now(),
        resolved,
    })
}

fn stop_on_signals(stop: CancellationToken, reporter: Arc<dyn Reporter>) {
    /// 128 + SIGINT, as shells report it.
    const INTERRUPTED: i32 = 130;
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        stop.cancel();
        reporter.event(&Event::note(
            "stopping after the steps in flight; once more stops at once",
        ));
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(INTERRUPTED);
        }
    });
}
