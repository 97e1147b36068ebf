//! The machines, by the keys of their instances, with a lock for each.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hakube_local_machine::{DiskId, GuestError, GuestSpec, Machine, MachineDisk, Runtime};
use hakube_local_resources::{ApiError, Key, link};
use tokio::sync::OwnedMutexGuard;

/// The machines.
pub struct Guests {
    runtime: Arc<dyn Runtime>,
    /// Boot and shutdown of the same machine must not overlap.
    locks: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
}

impl Guests {
    /// The machines that this runtime runs.
    pub fn new(runtime: Arc<dyn Runtime>) -> Self {
        Self {
            runtime,
            locks: Mutex::default(),
        }
    }

    /// The machine of an instance.
    pub fn get(&self, key: &Key) -> Arc<dyn Machine> {
        let scope = key.scope.to_string();
        self.runtime.machine(link::last(&scope), &key.name)
    }

    /// The instance of the machine with this root directory.
    pub fn key_of(&self, root: &Path) -> Option<Key> {
        let (zone, name) = self.runtime.of_root(root)?;
        Some(Key::zonal(&zone, &name))
    }

    /// Deletes the content of all disks but these.
    pub async fn keep_disks(&self, disks: &[DiskId]) {
        self.runtime.keep_disks(disks).await;
    }

    /// Stores or removes a guest attribute of a machine.
    pub async fn keep_attribute(
        &self,
        key: &Key,
        name: (&str, &str),
        value: Option<&str>,
    ) -> Result<(), ApiError> {
        let _turn = self.turn(key).await;
        let kept = self.get(key).keep_attribute(name, value).await;
        kept.map_err(|error| failed(key, &error))
    }

    /// Waits until nothing else boots or stops a machine.
    async fn turn(&self, key: &Key) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.entry(key.clone()).or_default().clone()
        };
        lock.lock_owned().await
    }

    /// Boots a machine if `spec`, called under the machine's lock, still returns one. Returns whether it
    /// booted.
    pub async fn boot(
        &self,
        key: &Key,
        spec: impl FnOnce() -> Option<GuestSpec>,
    ) -> Result<bool, ApiError> {
        let _turn = self.turn(key).await;
        let Some(spec) = spec() else {
            return Ok(false);
        };
        let booted = self.get(key).boot(&spec).await;
        booted.map(|()| true).map_err(|error| failed(key, &error))
    }

    /// Shuts a machine down and waits for it.
    pub async fn shut_down(&self, key: &Key) -> Result<(), ApiError> {
        let _turn = self.turn(key).await;
        let down = self.get(key).shut_down().await;
        down.map_err(|error| failed(key, &error))
    }

    /// Shuts a machine down, and kills it after `grace`, or after the least time that such machines need.
    pub async fn power_off(&self, key: &Key, grace: Duration) -> Result<(), ApiError> {
        let grace = grace.max(self.runtime.patience());
        match tokio::time::timeout(grace, self.shut_down(key)).await {
            Ok(down) => down,
            Err(_) => self.kill(key).await,
        }
    }

    /// Kills a machine, like a power cut.
    pub async fn kill(&self, key: &Key) -> Result<(), ApiError> {
        let _turn = self.turn(key).await;
        self.get(key)
            .kill()
            .await
            .map_err(|error| failed(key, &error))
    }

    /// Calls `then` if a machine is dead, under the lock that a boot needs.
    pub async fn if_dead<T>(&self, key: &Key, then: impl FnOnce() -> T) -> Option<T> {
        let _turn = self.turn(key).await;
        (!self.get(key).is_running().await).then(then)
    }

    /// Deletes a stopped machine with all its files.
    pub async fn remove(&self, key: &Key) -> Result<(), ApiError> {
        let guest = self.get(key);
        let removed = guest.remove().await;
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.remove(key);
        removed.map_err(|error| failed(key, &error))
    }

    /// Sends changed settings of an instance to its running machine: the keys of users, and its disks. `settings`,
    /// called under the machine's lock, returns them: a boot that isn't over yet has read earlier ones.
    pub async fn refresh(&self, key: &Key, settings: impl FnOnce() -> Option<Settings>) {
        let _turn = self.turn(key).await;
        let guest = self.get(key);
        if !guest.is_running().await {
            return;
        }
        let Some(Settings { ssh_keys, disks }) = settings() else {
            return;
        };
        if let Err(error) = guest.set_ssh_keys(ssh_keys).await {
            tracing::warn!(instance = %key, %error, "the machine has its earlier ssh keys");
        }
        if let Err(error) = guest.set_disks(disks).await {
            tracing::warn!(instance = %key, %error, "the machine has its earlier disks");
        }
    }
}

/// Settings of an instance that apply while its machine runs.
pub struct Settings {
    /// Lines `USER:KEY`.
    pub ssh_keys: Vec<String>,
    /// All disks but the boot disk.
    pub disks: Vec<MachineDisk>,
}

fn failed(key: &Key, error: &GuestError) -> ApiError {
    tracing::warn!(instance = %key, %error, "machine");
    ApiError::backend(format!("Machine of instance '{}': {error}", key.name))
}
