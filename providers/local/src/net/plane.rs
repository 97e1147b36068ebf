//! The data plane: makes what is [desired](super::desired) so.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::desired::{BackendId, desired};
use super::health::Health;
use super::listener::Listener;
use crate::compute::resource::Target;
use crate::store::Store;

/// All listeners and health checks.
pub struct Plane {
    /// Held while changes are made: one at a time, each from the state as it is then.
    active: Mutex<Active>,
    health: Arc<Health>,
    stop: CancellationToken,
    lowest_port: u16,
}

#[derive(Default)]
struct Active {
    listeners: HashMap<SocketAddrV4, Listener>,
    noted: BTreeSet<String>,
}

/// A listener that could not be had.
#[derive(Debug)]
pub struct Failure {
    /// Whose it would have been.
    pub owner: Target,
    /// What is wrong and what to do.
    pub message: String,
}

impl Plane {
    /// Nothing yet. `stop` ends all listeners and checks to come.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            active: Mutex::default(),
            health: Arc::new(Health::new(stop.clone())),
            stop,
            lowest_port: lowest_port(),
        }
    }

    /// Whether a backend is known to be well.
    pub fn is_healthy(&self, backend: &BackendId) -> bool {
        self.health.is_healthy(backend)
    }

    /// Opens, redirects and closes listeners until they are what the state asks for.
    pub async fn reconcile(&self, store: &Store) -> Vec<Failure> {
        let mut active = self.active.lock().await;
        let desired = store.read(|state| desired(state, self.lowest_port));
        for note in desired.notes.difference(&active.noted) {
            tracing::info!("{note}");
        }
        active.noted = desired.notes;

        let gone: Vec<SocketAddrV4> = active
            .listeners
            .iter()
            .filter(|(address, listener)| {
                let wanted = desired.routes.get(address);
                wanted.is_none_or(|wanted| wanted.owner != listener.route().owner)
            })
            .map(|(address, _)| *address)
            .collect();
        for address in gone {
            if let Some(listener) = active.listeners.remove(&address) {
                listener.close().await;
            }
        }
        // Before the listeners: the first client of a new balancer shall not meet a sick backend.
        self.health.apply(desired.probes).await;

        let mut failures = Vec::new();
        for (address, route) in desired.routes {
            if let Some(listener) = active.listeners.get(&address) {
                listener.redirect(route);
                continue;
            }
            let owner = route.owner.clone();
            let health = Arc::clone(&self.health);
            match Listener::open(address, route, health, self.stop.child_token()) {
                Ok(listener) => {
                    active.listeners.insert(address, listener);
                }
                Err(error) => {
                    let message = explain(address, &error);
                    tracing::warn!(owner = %owner.key, "{message}");
                    failures.push(Failure { owner, message });
                }
            }
        }
        failures
    }
}

fn explain(address: SocketAddrV4, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "Another program of this machine listens on port {}, perhaps on all addresses; see \
             `ss -ltnp`. Stop it, or have it listen on 127.0.0.1 only.",
            address.port()
        ),
        io::ErrorKind::PermissionDenied => format!(
            "Port {} needs privilege; use one from 1024 up.",
            address.port()
        ),
        _ => String::new(),
    };
    format!("The local cloud can't listen on {address}: {error}. {hint}")
        .trim_end()
        .to_owned()
}

/// The lowest port that this process may bind.
fn lowest_port() -> u16 {
    if nix::unistd::geteuid().is_root() {
        return 1;
    }
    let setting = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    setting
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024)
}
