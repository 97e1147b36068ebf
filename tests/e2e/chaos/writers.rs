//! Two clients that write continuously, and log results and times.

use crate::support::{Api, Etcd, Home, eventually, text};
use etcd_client::TlsOptions;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

const PACE: Duration = Duration::from_millis(100);
/// A slower write counts as failed.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Default)]
pub struct Book {
    pub attempts: usize,
    /// Acknowledged writes, with their etcd revisions.
    pub acknowledged: BTreeMap<String, i64>,
    /// The longest time from one acknowledged write to the next.
    pub longest_gap: Duration,
}

/// A destination of writes.
pub trait Target: Send + 'static {
    /// Writes a new name, and returns its etcd revision.
    fn write(&mut self, name: &str) -> impl Future<Output = Result<i64, String>> + Send;
}

/// The API server behind the endpoint.
impl Target for Api {
    async fn write(&mut self, name: &str) -> Result<i64, String> {
        self.create(name).await.map_err(|error| error.to_string())
    }
}

/// One member of etcd; the next one after a failure.
pub struct Members {
    keys: TlsOptions,
    /// The existing replicas, as listed by `status`.
    replicas: watch::Receiver<Vec<Value>>,
    turn: usize,
    connected: Option<Etcd>,
}

impl Members {
    /// The members of these replicas.
    pub fn of(home: &Home, replicas: watch::Receiver<Vec<Value>>) -> Self {
        let keys = Etcd::keys(home, &replicas.borrow()[0]);
        Self {
            keys,
            replicas,
            turn: 0,
            connected: None,
        }
    }

    async fn connect(&mut self) -> Result<Etcd, etcd_client::Error> {
        self.turn += 1;
        let address = {
            let replicas = self.replicas.borrow();
            let replica = &replicas[self.turn % replicas.len()];
            text(replica, "address").to_owned()
        };
        Etcd::connect(&self.keys, &address).await
    }
}

impl Target for Members {
    async fn write(&mut self, name: &str) -> Result<i64, String> {
        // Taken out: after a failed or abandoned write, the next member is used.
        let etcd = match self.connected.take() {
            Some(etcd) => etcd,
            None => self.connect().await.map_err(|error| error.to_string())?,
        };
        let revision = etcd.put(name).await.map_err(|error| error.to_string())?;
        self.connected = Some(etcd);
        Ok(revision)
    }
}

pub struct Writer {
    stop: CancellationToken,
    book: Arc<Mutex<Book>>,
    writes: JoinHandle<()>,
}

impl Writer {
    /// Writes a new name ten times a second.
    pub fn start(mut target: impl Target) -> Self {
        let (stop, book) = (CancellationToken::new(), Arc::<Mutex<Book>>::default());
        let (stopped, kept) = (stop.clone(), Arc::clone(&book));
        let writes = tokio::spawn(async move {
            let mut pace = tokio::time::interval(PACE);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut last = Instant::now();
            while !stopped.is_cancelled() {
                pace.tick().await;
                let name = format!("chaos-{}", kept.lock().unwrap().attempts);
                let result = tokio::time::timeout(PATIENCE, target.write(&name)).await;
                let mut book = kept.lock().unwrap();
                book.attempts += 1;
                book.longest_gap = book.longest_gap.max(last.elapsed());
                if let Ok(Ok(revision)) = result {
                    book.acknowledged.insert(name, revision);
                    last = Instant::now();
                }
            }
        });
        Self { stop, book, writes }
    }

    /// Waits until a write that began after this call was acknowledged.
    pub async fn goes_on(&self) {
        let acknowledged = || self.book.lock().unwrap().acknowledged.len();
        // The first one may have been in flight.
        let goal = acknowledged() + 2;
        eventually("the writer's next write", async || {
            (acknowledged() >= goal).then_some(())
        })
        .await;
    }

    pub async fn finish(self) -> Book {
        self.stop.cancel();
        self.writes.await.unwrap();
        std::mem::take(&mut self.book.lock().unwrap())
    }
}
