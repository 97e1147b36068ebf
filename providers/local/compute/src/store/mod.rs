//! The cloud's [`State`] behind a lock. Changes are on disk before a response is sent.

mod file;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use hakube_local_resources::{ApiError, State};

pub use file::{LoadError, load};

/// Shared, transactional access to the [`State`].
pub struct Store {
    state: Mutex<State>,
    /// Counts changes; waiters for operations subscribe to it.
    version: watch::Sender<u64>,
    saved: watch::Sender<Saved>,
    /// Notified when a caller waits for the disk.
    awaited: Notify,
    path: PathBuf,
}

/// How long a change may stay in memory when no caller waits for it.
const SOON: Duration = Duration::from_millis(100);

/// The progress of saving `state.json`.
#[derive(Debug, Clone, Default)]
struct Saved {
    version: u64,
    attempts: u64,
    /// The error of the last attempt, if it failed.
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
        // A panic under the lock can't leave a half-made change: changes are made to a copy, or are plain
        // assignments.
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Reads the state.
    pub fn read<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&self.lock())
    }

    /// Changes the state, or leaves it unchanged if `f` fails. On return the change is on disk. A change
    /// that could not be written is in force nevertheless, and the error reports it. Further changes are
    /// rejected until the state can be written again.
    pub async fn transact<T>(
        &self,
        f: impl FnOnce(&mut State) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        if self.saved.borrow().failure.is_some() {
            self.flush().await?;
        }
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

    /// Returns when the current state is on disk: a crash must not revert what a client has seen.
    pub async fn flush(&self) -> Result<(), ApiError> {
        let version = *self.version.borrow();
        self.until_saved(version).await
    }

    /// Changes the state and saves it soon. For changes that can be detected again after a crash.
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
            "The local cloud's state could not be written to {}: {why}. Free disk space there: until then no changes are \
             accepted.",
            self.path.display()
        )))
    }

    /// Resolves as soon as `f` returns `Some`.
    pub async fn wait_for<T>(&self, mut f: impl FnMut(&State) -> Option<T>) -> T {
        let mut changes = self.version.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = self.read(&mut f) {
                return found;
            }
            // The sender lives in self, so this can't fail.
            let _ = changes.changed().await;
        }
    }

    /// Writes changes to disk: at once if a caller waits, otherwise soon. Combines changes that come faster
    /// than the disk.
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

    /// Writes the current state.
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
        let failure = written.err().map(|error| error.to_string());
        if let Some(error) = &failure {
            tracing::error!(path = %self.path.display(), %error, "can't save the state");
        }
        self.saved.send_modify(|saved| {
            saved.attempts += 1;
            if failure.is_none() {
                saved.version = version;
            }
            saved.failure = failure;
        });
    }
}

#[cfg(test)]
mod tests;
