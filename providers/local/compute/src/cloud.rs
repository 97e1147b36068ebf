//! The cloud's shared state, which handlers and operations use.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use hakube_local_machine::{GuestSpec, Machine};
use hakube_local_net::{Doors, Failure, Limits, Plane, Wires};
use hakube_local_resources::types::Subnetwork;
use hakube_local_resources::types::instance::{Instance, Status};
use hakube_local_resources::{ApiError, Key, Phase, Resource as _, State};

use crate::calls;
use crate::disks;
use crate::faults::Faults;
use crate::guests::{Guests, Settings};
use crate::plane::{desired, wiring};
use crate::store::Store;

/// A handle to the cloud; clones share it.
#[derive(Clone)]
pub struct Cloud(Arc<Inner>);

struct Inner {
    project: String,
    url: String,
    time_scale: f64,
    store: Store,
    plane: Plane,
    /// Machines' network, if they have one of their own.
    wires: Option<Arc<dyn Wires>>,
    guests: Guests,
    faults: Faults,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// How long a machine takes to boot after its instance is RUNNING.
const BOOT: Duration = Duration::from_secs(12);

impl Cloud {
    /// Assembles a cloud. `wires` is the network of machines that have one of their own. `stop` ends all its
    /// background tasks.
    pub fn new(
        store: Store,
        guests: Guests,
        wires: Option<Arc<dyn Wires>>,
        url: String,
        time_scale: f64,
        limits: Limits,
        stop: CancellationToken,
    ) -> Self {
        let project = store.read(|state| state.project.clone());
        let doors = Doors::new(limits.balancers, limits.balancer);
        let plane = Plane::new(doors, stop.child_token());
        Self(Arc::new(Inner {
            project,
            url,
            time_scale,
            store,
            plane,
            wires,
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

    /// The URL at which the API is served.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The factor for the duration of operations.
    pub fn time_scale(&self) -> f64 {
        self.0.time_scale
    }

    /// Whether operations take no time.
    pub fn is_instant(&self) -> bool {
        self.0.time_scale == 0.0
    }

    /// Converts a duration of the real cloud into one of this cloud.
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

    /// Fault rules and the request log.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// The machine of an instance.
    pub fn guest(&self, key: &Key) -> Arc<dyn Machine> {
        self.0.guests.get(key)
    }

    /// Runs until the cloud stops.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Tells all tasks to stop.
    pub fn stop(&self) {
        self.0.stop.cancel();
    }

    /// Resolves when the cloud was told to stop.
    pub async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }

    /// Cancelled when the cloud was told to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// Resolves when all spawned tasks have ended.
    pub async fn wind_down(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Makes the network and the disks' content match the state. Returns what failed.
    pub async fn reconcile(&self) -> Vec<Failure> {
        let disks = self.store().read(disks::all);
        self.guests().keep_disks(&disks).await;
        match &self.0.wires {
            None => {
                let desired = |lowest| self.store().read(|state| desired(state, lowest));
                self.0.plane.reconcile(desired).await
            }
            Some(wires) => {
                let wiring = || self.store().read(wiring);
                self.0.plane.rewire(wires.as_ref(), wiring).await
            }
        }
    }

    /// Takes backends out of load balancers when they become unhealthy, and back, until the cloud stops. A network of
    /// listeners doesn't need it: it chooses a backend for each connection.
    pub async fn follow_health(&self) {
        if self.0.wires.is_none() {
            return;
        }
        loop {
            self.0.plane.health_changed().await;
            self.reconcile().await;
        }
    }

    /// Sets an instance to RUNNING and boots its machine: at once if operations take no time, otherwise
    /// later. In the real cloud, too, an instance is RUNNING for a while before its system is up.
    pub async fn power_on(&self, key: &Key) -> Result<(), ApiError> {
        self.store().update(|state| {
            state.table_mut(Instance::TYPE).set_phase(key, Phase::Ready);
            if let Some(instance) = state.instances.get_mut(key) {
                instance.status = Status::Running;
                instance.status_message = None;
                state.due_boots.insert(key.clone());
            }
        });
        if self.0.wires.is_some() {
            // A machine asks for its metadata as soon as it boots.
            self.reconcile().await;
        }
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

    /// Boots an instance's machine. If that fails, the instance is TERMINATED with the reason.
    pub async fn boot_or_terminate(&self, key: &Key) {
        if let Err(error) = self.boot_due(key).await {
            tracing::error!(instance = %key, %error, "machine not booted");
            self.terminated(key, &error.message).await;
        }
    }

    /// Boots an instance's machine if it is still due.
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
                    metadata: Some(state.block.metadata().into()),
                    boot_disk_gb: disks::boot_gigabytes(state, instance),
                    disks: disks::others(state, instance),
                    gateway: gateway(state, instance),
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

    /// Sends the settings of instances to their machines: those of one instance, or of all.
    pub async fn refresh(&self, of: Option<&Key>) {
        let keys: Vec<Key> = match of {
            Some(key) => vec![key.clone()],
            None => self.store().read(|state| {
                let all = state.instances.iter();
                all.map(|(key, _)| key.clone()).collect()
            }),
        };
        let settings = |key: &Key| {
            self.store().read(|state| {
                let instance = &state.instances.get(key)?.resource;
                Some(Settings {
                    ssh_keys: instance.ssh_keys(state),
                    disks: disks::others(state, instance),
                })
            })
        };
        let sent = keys
            .iter()
            .map(|key| self.guests().refresh(key, || settings(key)));
        futures::future::join_all(sent).await;
    }

    /// Watches a machine for an unexpected exit.
    pub fn watch(&self, key: &Key) {
        let (cloud, key) = (self.clone(), key.clone());
        self.spawn(async move {
            cloud.guest(&key).exited().await;
            // A reset stops one machine and starts another. A late notice of the first one's exit must not
            // be applied to the second.
            let why = "The machine stopped unexpectedly.";
            let mark = || cloud.mark_terminated(&key, why);
            if cloud.guests().if_dead(&key, mark).await == Some(true) {
                cloud.reconcile().await;
                cloud.repair(&key).await;
            }
        });
    }

    /// Has a group manager recreate an instance without a machine. Processes aren't recreated: tests kill them to have
    /// a cluster without them.
    ///
    /// Boxed, because what recreates an instance also watches it.
    fn repair<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if self.0.wires.is_some() {
                calls::repair(self, key).await;
            }
        })
    }

    /// Sets an instance whose machine is gone to TERMINATED, unless an operation expects that.
    pub async fn terminated(&self, key: &Key, why: &str) {
        if self.mark_terminated(key, why) {
            self.reconcile().await;
            self.repair(key).await;
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

/// The address of an instance's router: the first of its subnetwork.
fn gateway(state: &State, instance: &Instance) -> Option<Ipv4Addr> {
    let nic = instance.network_interfaces.first()?;
    let key = state.reference::<Subnetwork>("subnetwork", &nic.subnetwork, None);
    let subnetwork = state.get::<Subnetwork>(&key.ok()?).ok()?;
    Some(subnetwork.gateway())
}
