//! The machines, by the keys of their instances: one thing at a time for each.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::compute::error::ApiError;
use crate::compute::link;
use crate::compute::scope::Key;
use crate::machine::{Guest, GuestError, GuestSpec};

/// All machines of the cloud.
pub struct Guests {
    directory: PathBuf,
    init_command: Vec<OsString>,
    /// Booting and shutting down the same machine must not overlap.
    locks: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
}

impl Guests {
    /// Machines in `directory`, whose init process is started as `init_command`.
    pub fn new(directory: PathBuf, init_command: Vec<OsString>) -> Self {
        Self {
            directory,
            init_command,
            locks: Mutex::default(),
        }
    }

    /// The machine of an instance.
    pub fn get(&self, key: &Key) -> Guest {
        Guest::at(self.directory(key))
    }

    fn directory(&self, key: &Key) -> PathBuf {
        let scope = key.scope.to_string();
        self.directory.join(link::last(&scope)).join(&key.name)
    }

    /// The instance whose machine has its files below this directory.
    pub fn key_of(&self, root: &Path) -> Option<Key> {
        let machines = std::path::absolute(&self.directory).ok()?;
        let below = root.strip_prefix(machines).ok()?;
        let parts: Vec<&str> = below.iter().map(OsStr::to_str).collect::<Option<_>>()?;
        match parts.as_slice() {
            [zone, name, "root"] => Some(Key::zonal(zone, name)),
            _ => None,
        }
    }

    /// Keeps what a machine says of itself, or forgets it.
    pub async fn keep_attribute(
        &self,
        key: &Key,
        name: (&str, &str),
        value: Option<&str>,
    ) -> Result<(), ApiError> {
        let lock = self.lock(key);
        let _turn = lock.lock().await;
        let kept = self.get(key).keep_attribute(name, value).await;
        kept.map_err(|error| failed(key, &error))
    }

    fn lock(&self, key: &Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(key.clone()).or_default().clone()
    }

    /// Boots a machine if `spec`, asked when it is this one's turn, still wants it. Says whether.
    pub async fn boot(
        &self,
        key: &Key,
        spec: impl FnOnce() -> Option<GuestSpec>,
    ) -> Result<bool, ApiError> {
        let lock = self.lock(key);
        let _turn = lock.lock().await;
        let Some(spec) = spec() else {
            return Ok(false);
        };
        let booted = self.get(key).boot(&spec, &self.init_command).await;
        booted.map(|()| true).map_err(|error| failed(key, &error))
    }

    /// Shuts a machine down and waits until it is.
    pub async fn shut_down(&self, key: &Key) -> Result<(), ApiError> {
        let lock = self.lock(key);
        let _turn = lock.lock().await;
        let down = self.get(key).shut_down().await;
        down.map_err(|error| failed(key, &error))
    }

    /// Shuts a machine down, and cuts the power of one that takes longer than `grace`.
    pub async fn power_off(&self, key: &Key, grace: Duration) -> Result<(), ApiError> {
        match tokio::time::timeout(grace, self.shut_down(key)).await {
            Ok(down) => down,
            Err(_) => self.kill(key).await,
        }
    }

    /// Cuts a machine's power.
    pub async fn kill(&self, key: &Key) -> Result<(), ApiError> {
        let lock = self.lock(key);
        let _turn = lock.lock().await;
        self.get(key)
            .kill()
            .await
            .map_err(|error| failed(key, &error))
    }

    /// Calls `then` if a machine is dead, before anybody can boot it.
    pub async fn if_dead<T>(&self, key: &Key, then: impl FnOnce() -> T) -> Option<T> {
        let lock = self.lock(key);
        let _turn = lock.lock().await;
        (!self.get(key).is_running().await).then(then)
    }

    /// Deletes a machine that is down, with all its files.
    pub async fn remove(&self, key: &Key) -> Result<(), ApiError> {
        let directory = self.directory(key);
        let removed = tokio::fs::remove_dir_all(&directory).await;
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.remove(key);
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ApiError::backend(format!(
                    "The directory {} of the machine {} could not be removed: {error}",
                    directory.display(),
                    key.name
                )))
            }
            _ => Ok(()),
        }
    }
}

fn failed(key: &Key, error: &GuestError) -> ApiError {
    tracing::warn!(instance = %key, %error, "machine");
    ApiError::backend(format!("The machine of instance '{}': {error}", key.name))
}
