//! One process of hakube in the world: every call that it makes passes through here, is counted, and
//! may be its last.

use super::{Moves, World};
use crate::error::Error;
use crate::etcd::EtcdError;
use hakube_provider::{ErrorKind, ProviderError};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a call takes: enough for steps that run at the same time to interleave.
const LATENCY: Duration = Duration::from_millis(3);

/// The process stops for good at one of its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// Which, counted from 0.
    pub call: usize,
    /// Whether it still took effect.
    pub performed: bool,
}

/// A call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Whether the next try fares the same.
    pub kind: ErrorKind,
    /// Whether it took effect all the same: the answer was lost.
    pub performed: bool,
}

/// A process, and what will happen to it.
pub struct Process {
    world: Arc<Mutex<World>>,
    /// The world's time when the process began.
    began: (Duration, Instant),
    calls: AtomicUsize,
    crash: Option<Crash>,
    faults: BTreeMap<usize, Fault>,
    dead: CancellationToken,
    log: Mutex<Vec<String>>,
}

impl Process {
    /// One that begins now. Must be called in the runtime that is the process.
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

    /// The process ends in the middle of a call.
    pub async fn dies(&self) {
        self.dead.cancelled().await;
    }

    /// What it called, in order.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The world as it is now.
    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap();
        let (then, start) = self.began;
        world.now = world.now.max(then + start.elapsed());
        world
    }

    /// A call that changes nothing and that is made too often to be counted: a probe.
    pub async fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        if self.dead.is_cancelled() {
            return std::future::pending().await;
        }
        let mut world = self.world();
        world.tick();
        look(&world)
    }

    /// A call: it takes effect, unless the process dies before or it fails.
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

    /// A call begins. A process that dies here never returns.
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

    /// A call has taken effect. A process that dies here never learns of it.
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

/// Errors that a call may fail with for no reason of the world's.
pub trait Faulty: Sized {
    /// The error, if calls of this sort fail so.
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
