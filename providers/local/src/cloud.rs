//! The cloud itself: what handlers and operations share.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::compute::error::ApiError;
use crate::compute::instance::{Instance, Status};
use crate::compute::resource::Resource as _;
use crate::compute::scope::Key;
use crate::faults::Faults;
use crate::guests::Guests;
use crate::machine::{Guest, GuestSpec};
use crate::metadata;
use crate::net::{Failure, Plane};
use crate::store::{Phase, Store};

/// A handle; clones are the same cloud.
#[derive(Clone)]
pub struct Cloud(Arc<Inner>);

struct Inner {
    project: String,
    url: String,
    time_scale: f64,
    store: Store,
    plane: Plane,
    guests: Guests,
    faults: Faults,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// How long a machine takes to boot after its instance is there.
const BOOT: Duration = Duration::from_secs(12);

impl Cloud {
    /// A cloud of its parts. `stop` ends everything that it does by itself.
    pub fn new(
        store: Store,
        guests: Guests,
        url: String,
        time_scale: f64,
        stop: CancellationToken,
    ) -> Self {
        let project = store.read(|state| state.project.clone());
        let plane = Plane::new(stop.child_token());
        Self(Arc::new(Inner {
            project,
            url,
            time_scale,
            store,
            plane,
            guests,
            faults: Faults::default(),
            tasks: TaskTracker::new(),
            stop,
        }))
    }

    /// The project's id.
    pub fn project(&self) -> &str {
        &self.0.project
    }

    /// Where the API is served.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// What operations' times are multiplied with.
    pub fn time_scale(&self) -> f64 {
        self.0.time_scale
    }

    /// Whether operations take no time.
    pub fn is_instant(&self) -> bool {
        self.0.time_scale == 0.0
    }

    /// A time of the real cloud, in this one.
    pub fn scaled(&self, time: Duration) -> Duration {
        time.mul_f64(self.0.time_scale)
    }

    /// The state.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Listeners and health checks.
    pub fn plane(&self) -> &Plane {
        &self.0.plane
    }

    /// The machines.
    pub fn guests(&self) -> &Guests {
        &self.0.guests
    }

    /// What goes wrong on demand, and the log of requests.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// The machine of an instance.
    pub fn guest(&self, key: &Key) -> Guest {
        self.0.guests.get(key)
    }

    /// Runs until the cloud stops.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Asks everything to stop.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Resolves when somebody asked.
    pub async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }

    /// Resolves when all that was spawned has ended.
    pub async fn wind_down(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Makes listeners and health checks follow the state; answers with what could not be done.
    pub async fn reconcile(&self) -> Vec<Failure> {
        self.0.plane.reconcile(self.store()).await
    }

    /// Makes an instance RUNNING and boots its machine: at once when nothing takes time, else
    /// later, as in reality, where an instance runs for a while before its system is up.
    pub async fn power_on(&self, key: &Key) -> Result<(), ApiError> {
        self.store().update(|state| {
            state.table_mut(Instance::TYPE).set_phase(key, Phase::Ready);
            if let Some(instance) = state.instances.get_mut(key) {
                instance.status = Status::Running;
                instance.status_message = None;
                state.due_boots.insert(key.clone());
            }
        });
        if self.is_instant() {
            return self.boot_due(key).await;
        }
        let (cloud, key) = (self.clone(), key.clone());
        self.spawn(async move {
            tokio::time::sleep(cloud.scaled(BOOT)).await;
            cloud.boot_or_terminate(&key).await;
        });
        Ok(())
    }

    /// Boots an instance's machine; when that fails, the instance says so.
    pub async fn boot_or_terminate(&self, key: &Key) {
        if let Err(error) = self.boot_due(key).await {
            tracing::error!(instance = %key, %error, "machine not booted");
            self.terminated(key, &error.message).await;
        }
    }

    /// Boots an instance's machine if it still is to be booted.
    async fn boot_due(&self, key: &Key) -> Result<(), ApiError> {
        let due = || {
            self.store().read(|state| {
                let instance = &state.instances.get(key)?.resource;
                let address = instance.internal_ip()?;
                state.due_boots.contains(key).then(|| GuestSpec {
                    name: key.name.clone(),
                    address: address.into(),
                    user_data: instance.user_data().to_owned(),
                    ssh_keys: instance.ssh_keys(state),
                    guest_attributes: instance.has_guest_attributes(state),
                    metadata: Some(metadata::address(state.block).into()),
                })
            })
        };
        let booted = self.guests().boot(key, due).await;
        self.store().update(|state| state.due_boots.remove(key));
        if booted? {
            self.watch(key);
        }
        Ok(())
    }

    /// Notices when a machine dies by itself.
    pub fn watch(&self, key: &Key) {
        let (cloud, key) = (self.clone(), key.clone());
        self.spawn(async move {
            cloud.guest(&key).exited().await;
            // A reset has one machine die and another one live: who is told of the first one's end
            // after the second one's beginning must not take it for the second one's.
            let why = "The machine has stopped by itself.";
            let mark = || cloud.mark_terminated(&key, why);
            if cloud.guests().if_dead(&key, mark).await == Some(true) {
                cloud.reconcile().await;
            }
        });
    }

    /// An instance whose machine is gone is TERMINATED, unless an operation expects that.
    pub async fn terminated(&self, key: &Key, why: &str) {
        if self.mark_terminated(key, why) {
            self.reconcile().await;
        }
    }

    fn mark_terminated(&self, key: &Key, why: &str) -> bool {
        let changed = self.store().update(|state| {
            let is_due = state.due_boots.contains(key);
            match state.instances.get_mut(key) {
                Some(instance) if instance.status == Status::Running && !is_due => {
                    instance.status = Status::Terminated;
                    instance.status_message = Some(why.to_owned());
                    true
                }
                _ => false,
            }
        });
        if changed {
            tracing::info!(instance = %key, why, "instance terminated");
        }
        changed
    }
}
