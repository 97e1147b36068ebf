//! One process of hakube in the world. Each of its calls passes through here, is counted, and may be its last.

use super::{Moves, World};
use hakube_error::Error;
use hakube_etcd::EtcdError;
use hakube_provider::{ErrorKind, ProviderError};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The duration of a call, so that concurrent steps interleave.
const LATENCY: Duration = Duration::from_millis(3);

/// Kills the process at one of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// The call's number, from 0.
    pub call: usize,
    /// Whether the call still takes effect.
    pub performed: bool,
}

/// A call's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The kind of error, which says whether a retry helps.
    pub kind: ErrorKind,
    /// Whether the call takes effect anyway, so that only the response is lost.
    pub performed: bool,
}

/// A process, with its planned crash and faults.
pub struct Process {
    world: Arc<Mutex<World>>,
    /// The world's time when the process started.
    began: (Duration, Instant),
    calls: AtomicUsize,
    crash: Option<Crash>,
    faults: BTreeMap<usize, Fault>,
    dead: CancellationToken,
    log: Mutex<Vec<String>>,
}

impl Process {
    /// A process that starts now. Must be called in its runtime.
    pub fn new(
        world: Arc<Mutex<World>>,
        crash: Option<Crash>,
        faults: BTreeMap<usize, Fault>,
    ) -> Self {
        let now = world.lock().unwrap().now;
        Self {
            world,
            began: (now, Instant::now()),
            calls: AtomicUsize::new(0),
            crash,
            faults,
            dead: CancellationToken::new(),
            log: Mutex::new(Vec::new()),
        }
    }

    /// Resolves when the process is killed in a call.
    pub async fn dies(&self) {
        self.dead.cancelled().await;
    }

    /// Its calls, in order.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The world, with its current time.
    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap();
        let (then, start) = self.began;
        world.now = world.now.max(then + start.elapsed());
        world
    }

    /// A read-only call that is too frequent to be counted, such as a probe.
    pub async fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        if self.dead.is_cancelled() {
            return std::future::pending().await;
        }
        let mut world = self.world();
        world.tick();
        look(&world)
    }

    /// A call. It takes effect, unless the process is killed before it or it fails.
    pub async fn call<T, E: Faulty>(
        &self,
        what: &str,
        moves: Moves,
        act: impl FnOnce(&mut World) -> Result<T, E>,
    ) -> Result<T, E> {
        let number = self.enter(what).await;
        let fault = self
            .faults
            .get(&number)
            .and_then(|fault| Some((fault, E::new(fault.kind, what)?)));
        if let Some((
            Fault {
                performed: false, ..
            },
            error,
        )) = fault
        {
            return Err(error);
        }
        let answer = self.world().perform(what, moves, act);
        self.leave(number).await;
        match fault {
            Some((_, error)) => Err(error),
            None => answer,
        }
    }

    /// Starts a call. If the process is killed here, it never returns.
    pub async fn enter(&self, what: &str) -> usize {
        tokio::time::sleep(LATENCY).await;
        if self.dead.is_cancelled() {
            return std::future::pending().await;
        }
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        self.log.lock().unwrap().push(what.to_owned());
        self.stop_at(Crash {
            call: number,
            performed: false,
        })
        .await;
        number
    }

    /// Ends a call that took effect. If the process is killed here, it never returns.
    pub async fn leave(&self, number: usize) {
        self.stop_at(Crash {
            call: number,
            performed: true,
        })
        .await;
    }

    async fn stop_at(&self, here: Crash) {
        if self.crash == Some(here) {
            self.dead.cancel();
            std::future::pending::<()>().await;
        }
    }
}

/// Errors that a call may fail with by injection.
pub trait Faulty: Sized {
    /// The error; `None` if calls of this type don't fail this way.
    fn new(kind: ErrorKind, what: &str) -> Option<Self>;
}

impl Faulty for ProviderError {
    fn new(kind: ErrorKind, what: &str) -> Option<Self> {
        Some(ProviderError::new(
            kind,
            "do",
            what,
            format!("injected: {kind:?}"),
        ))
    }
}

impl Faulty for EtcdError {
    fn new(kind: ErrorKind, what: &str) -> Option<Self> {
        let why = "injected".to_owned();
        matches!(kind, ErrorKind::Transient { .. }).then(|| Self::Unreachable {
            at: what.to_owned(),
            why,
        })
    }
}

impl Faulty for Error {
    fn new(kind: ErrorKind, what: &str) -> Option<Self> {
        matches!(kind, ErrorKind::Transient { .. })
            .then(|| Self::failed(format!("injected: {what}")).transient())
    }
}
