//! The cloud's memory: [`State`] behind a lock, on disk before an answer goes out.

pub mod addresses;
mod file;
mod state;
mod table;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::compute::error::ApiError;
pub use file::{LoadError, load};
pub use state::State;
pub use table::{AnyTable, Phase, Record, Table};

/// Shared, transactional access to the [`State`].
pub struct Store {
    state: Mutex<State>,
    /// Counts the changes; waiters for operations listen to it.
    version: watch::Sender<u64>,
    saved: watch::Sender<Saved>,
    /// Told when somebody waits for the disk.
    awaited: Notify,
    path: PathBuf,
}

/// How long a change that nobody waits for may stay in memory.
const SOON: Duration = Duration::from_millis(100);

/// How far `state.json` is.
#[derive(Debug, Clone, Default)]
struct Saved {
    version: u64,
    attempts: u64,
    /// Why the last attempt failed, if it did.
    failure: Option<String>,
}

impl Store {
    /// A store that saves to `path`. Nothing is saved until [`Store::save_forever`] runs.
    pub fn new(state: State, path: PathBuf) -> Self {
        Self {
            state: Mutex::new(state),
            version: watch::Sender::new(0),
            saved: watch::Sender::new(Saved::default()),
            awaited: Notify::new(),
            path,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while the lock was held left the state as it was before: changes are made to a
        // copy, or are assignments that can't stop half way.
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Reads.
    pub fn read<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&self.lock())
    }

    /// Changes the state, or leaves it as it was when `f` fails. On return the change is on disk; when
    /// it could not be written it is in force all the same, and the error says so.
    pub async fn transact<T>(
        &self,
        f: impl FnOnce(&mut State) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (value, version) = {
            let mut state = self.lock();
            let mut draft = state.clone();
            let value = f(&mut draft)?;
            *state = draft;
            (value, self.bump())
        };
        self.until_saved(version).await?;
        Ok(value)
    }

    /// Returns when everything that can be seen now is on disk: what a client has been told of must
    /// not be taken back after a crash.
    pub async fn flush(&self) -> Result<(), ApiError> {
        let version = *self.version.borrow();
        self.until_saved(version).await
    }

    /// Changes the state; it reaches the disk soon. For what can be found out again after a crash.
    pub fn update<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let value = f(&mut state);
        self.bump();
        value
    }

    fn bump(&self) -> u64 {
        let mut version = 0;
        self.version.send_modify(|current| {
            *current += 1;
            version = *current;
        });
        version
    }

    async fn until_saved(&self, version: u64) -> Result<(), ApiError> {
        let mut saved = self.saved.subscribe();
        let attempts = {
            let now = saved.borrow();
            if now.version >= version {
                return Ok(());
            }
            now.attempts
        };
        self.awaited.notify_one();
        let is_over = |now: &Saved| {
            now.version >= version || (now.attempts > attempts && now.failure.is_some())
        };
        let why = match saved.wait_for(is_over).await.as_deref() {
            Ok(now) if now.version >= version => return Ok(()),
            Ok(now) => now.failure.clone().unwrap_or_default(),
            Err(_) => "the local cloud is shutting down".into(),
        };
        Err(ApiError::backend(format!(
            "The change could not be written to {}: {why}",
            self.path.display()
        )))
    }

    /// Resolves with `Some` as soon as `f` finds what it looks for.
    pub async fn wait_for<T>(&self, mut f: impl FnMut(&State) -> Option<T>) -> T {
        let mut changes = self.version.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = self.read(&mut f) {
                return found;
            }
            // The sender lives in self: this can't fail.
            let _ = changes.changed().await;
        }
    }

    /// Writes changes to disk: at once when somebody waits for that, else soon, and several at once
    /// when they come faster than the disk.
    pub async fn save_forever(&self) {
        let mut changes = self.version.subscribe();
        loop {
            tokio::select! {
                () = self.awaited.notified() => {}
                _ = changes.changed() => {
                    let _ = tokio::time::timeout(SOON, self.awaited.notified()).await;
                }
            }
            changes.mark_unchanged();
            self.save().await;
        }
    }

    /// Writes the state as it is now.
    pub async fn save(&self) {
        let (version, content) = {
            let state = self.lock();
            (*self.version.borrow(), serde_json::to_vec(&*state))
        };
        let path = self.path.clone();
        let written = match content {
            Ok(content) => tokio::task::spawn_blocking(move || file::write(&path, &content))
                .await
                .unwrap_or_else(|stopped| Err(std::io::Error::other(stopped))),
            Err(error) => Err(std::io::Error::other(error)),
        };
        self.saved.send_modify(|saved| {
            saved.attempts += 1;
            saved.failure = written.as_ref().err().map(ToString::to_string);
            match written {
                Ok(()) => saved.version = version,
                Err(error) => {
                    tracing::error!(path = %self.path.display(), %error, "state not written");
                }
            }
        });
    }
}
