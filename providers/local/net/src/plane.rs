//! The data plane: applies the desired listeners and health checks.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::desired::{BackendId, Desired};
use crate::doors::Doors;
use crate::health::Health;
use crate::listener::Listener;
use crate::wiring::{Balancer, Wires, Wiring};

/// All listeners and health checks.
pub struct Plane {
    /// Held during changes, so each is made from the latest state.
    active: Mutex<Active>,
    health: Arc<Health>,
    /// Limits the listeners' connections.
    doors: Arc<Doors>,
    stop: CancellationToken,
    lowest_port: u16,
}

#[derive(Default)]
struct Active {
    listeners: HashMap<SocketAddrV4, Listener>,
    noted: BTreeSet<String>,
}

/// A listener that could not be opened.
#[derive(Debug)]
pub struct Failure {
    /// The path of the resource that needs it.
    pub owner: String,
    /// The problem and how to fix it.
    pub message: String,
}

impl Plane {
    /// Empty. `stop` ends all later listeners and checks.
    pub fn new(doors: Arc<Doors>, stop: CancellationToken) -> Self {
        Self {
            doors,
            active: Mutex::default(),
            health: Arc::new(Health::new(stop.clone())),
            stop,
            lowest_port: lowest_port(),
        }
    }

    /// Whether a backend is known to be healthy.
    pub fn is_healthy(&self, backend: &BackendId) -> bool {
        self.health.is_healthy(backend)
    }

    /// Resolves when the health of a backend has changed since the last call.
    pub async fn health_changed(&self) {
        self.health.changed().await;
    }

    /// Has `wires` make the network that `wiring` returns. It is called when it is this caller's turn.
    pub async fn rewire(&self, wires: &dyn Wires, wiring: impl FnOnce() -> Wiring) -> Vec<Failure> {
        let _turn = self.active.lock().await;
        let mut wiring = wiring();
        // First without the balancers' new backends, which aren't probed yet. Probes need routes and firewalls.
        let balancers = self.healthy(&wiring.balancers);
        let first = Wiring {
            balancers,
            ..wiring.clone()
        };
        let mut applied = wires.apply(first).await;
        if self.health.apply(wiring.probes.clone()).await {
            wiring.balancers = self.healthy(&wiring.balancers);
            applied = applied.and(wires.apply(wiring).await);
        }
        let failed = |message: String| {
            tracing::error!("the machines' network: {message}");
            let owner = String::new();
            Failure { owner, message }
        };
        applied.err().map(failed).into_iter().collect()
    }

    /// The balancers with their healthy backends chosen, or all if none is healthy, as Google's passthrough balancer.
    fn healthy(&self, balancers: &[Balancer]) -> Vec<Balancer> {
        let choose = |balancer: &Balancer| {
            let backends = balancer.backends.iter();
            let is_healthy =
                |id: &Option<BackendId>| id.as_ref().is_none_or(|id| self.is_healthy(id));
            let healthy = backends.clone().filter(|(_, id)| is_healthy(id));
            let mut chosen: Vec<Ipv4Addr> = healthy.map(|(address, _)| *address).collect();
            if chosen.is_empty() {
                chosen = backends.map(|(address, _)| *address).collect();
            }
            Balancer {
                chosen,
                ..balancer.clone()
            }
        };
        balancers.iter().map(choose).collect()
    }

    /// Opens, redirects and closes listeners to match what `desired` returns. It is called when it is this
    /// caller's turn, with the lowest port that can be bound without privileges.
    pub async fn reconcile(&self, desired: impl FnOnce(u16) -> Desired) -> Vec<Failure> {
        let mut active = self.active.lock().await;
        let desired = desired(self.lowest_port);
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
        // Before the listeners, so that the first client of a new balancer doesn't reach an unhealthy
        // backend.
        self.health.apply(desired.probes).await;

        let mut failures = Vec::new();
        for (address, route) in desired.routes {
            if let Some(listener) = active.listeners.get(&address) {
                listener.redirect(route);
                continue;
            }
            let owner = route.owner.clone();
            let health = Arc::clone(&self.health);
            match Listener::open(
                address,
                route,
                health,
                self.doors.door(),
                self.stop.child_token(),
            ) {
                Ok(listener) => {
                    active.listeners.insert(address, listener);
                }
                Err(error) => {
                    let message = explain(address, &error);
                    tracing::warn!(owner, "{message}");
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
            "Another program on this host listens on port {}, perhaps on all addresses: find it with \
             `ss -ltnp`. Stop it, or make it listen on 127.0.0.1 only.",
            address.port()
        ),
        io::ErrorKind::PermissionDenied => format!(
            "Port {} needs privileges; use 1024 or higher.",
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
