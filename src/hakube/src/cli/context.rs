//! Builds a session from flags and environment.

use hakube_error::{Error, Result};
use hakube_output::{Event, Format, Human, JsonLines, Reporter};
use hakube_run::{Live, Session};
use hakube_settings::Location;
use hakube_settings::{Resolved, Severity, Sources, resolve};
use hakube_state::Clock;
use hakube_state::Store;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The settings of this invocation. What an existing cluster was created with goes before defaults.
///
/// # Errors
/// Reports all invalid settings at once.
pub fn settings(
    flags: Vec<(String, String)>,
    env_file: Option<PathBuf>,
    cluster: BTreeMap<String, String>,
) -> Result<Resolved> {
    let sources = Sources::of_process(flags, env_file)
        .map_err(|error| Error::failed("could not read the environment").because(error))?;
    let sources = Sources { cluster, ..sources };
    resolve(&sources).map_err(|errors| Error::bad_input(errors.to_string()))
}

/// A read-only session, for commands that print a document.
///
/// # Errors
/// The state directory can't be used.
pub fn looking(resolved: Resolved) -> Result<Session> {
    session(resolved, Arc::new(Human::default()), false)
}

/// A session that changes the cluster, or with `dry_run` shows what it would change. The first
/// Ctrl-C stops it after the steps in flight, the second immediately.
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
            "state in memory:// is lost when this command exits, including the keys of a cluster that \
             outlives it; to keep it: --state file:///directory",
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
        path: search_path(),
        clock: Clock::default(),
        started: Instant::now(),
        resolved,
    })
}

/// PATH without entries that aren't UTF-8.
fn search_path() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let entries: Vec<String> = std::env::split_paths(&path)
        .filter_map(|entry| entry.into_os_string().into_string().ok())
        .collect();
    entries.join(":")
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
            "stopping after the steps in flight; press Ctrl-C again to stop immediately",
        ));
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(INTERRUPTED);
        }
    });
}
