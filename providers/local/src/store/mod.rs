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
    /// Set when the last attempt failed: up to which change, and why.
    failure: Option<(u64, String)>,
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

    /// Changes the state, or leaves it as it was when `f` fails. On return the change is on disk.
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
        self.awaited.notify_one();
        let mut saved = self.saved.subscribe();
        let reached = saved
            .wait_for(|saved| {
                saved.version >= version
                    || saved.failure.as_ref().is_some_and(|(at, _)| *at >= version)
            })
            .await;
        match reached.as_deref() {
            Ok(saved) if saved.version >= version => Ok(()),
            Ok(Saved {
                failure: Some((_, why)),
                ..
            }) => Err(ApiError::backend(format!(
                "The change could not be written to {}: {why}",
                self.path.display()
            ))),
            Ok(_) | Err(_) => Err(ApiError::backend("The local cloud is shutting down.")),
        }
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
            // The sender lives in self: this can't fail.
            let _ = changes.changed().await;
            let _ = tokio::time::timeout(SOON, self.awaited.notified()).await;
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
        self.saved.send_modify(|saved| match written {
            Ok(()) => {
                *saved = Saved {
                    version,
                    failure: None,
                }
            }
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "state not written");
                saved.failure = Some((version, error.to_string()));
            }
        });
    }
}
