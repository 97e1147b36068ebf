//! A client that writes continuously, and logs the results.

use super::eventually;
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

const PACE: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
pub struct Record {
    /// The writes that the server acknowledged.
    pub acknowledged: Vec<String>,
    /// The failed writes with their errors. They may have been applied nevertheless.
    pub refused: Vec<String>,
}

pub struct Writer {
    stop: CancellationToken,
    record: Arc<Mutex<Record>>,
    writes: JoinHandle<()>,
}

impl Writer {
    /// Writes a new name every 20 ms.
    pub fn start<W, D, E>(write: W) -> Self
    where
        W: Fn(String) -> D + Send + 'static,
        D: Future<Output = Result<(), E>> + Send,
        E: Display + Send,
    {
        Self::start_every(PACE, write)
    }

    /// The same at another rate.
    pub fn start_every<W, D, E>(pace: Duration, write: W) -> Self
    where
        W: Fn(String) -> D + Send + 'static,
        D: Future<Output = Result<(), E>> + Send,
        E: Display + Send,
    {
        let (stop, record) = (
            CancellationToken::new(),
            Arc::new(Mutex::new(Record::default())),
        );
        let (stopped, book) = (stop.clone(), Arc::clone(&record));
        let writes = tokio::spawn(async move {
            let mut pace = tokio::time::interval(pace);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for number in 0.. {
                if stopped.is_cancelled() {
                    return;
                }
                pace.tick().await;
                let name = format!("write-{number}");
                let result = write(name.clone()).await;
                let mut book = book.lock().unwrap();
                match result {
                    Ok(()) => book.acknowledged.push(name),
                    Err(error) => book.refused.push(format!("{name}: {error}")),
                }
            }
        });
        Self {
            stop,
            record,
            writes,
        }
    }

    /// Waits until a write that began after this call was acknowledged.
    pub async fn goes_on(&self) {
        let acknowledged = || self.record.lock().unwrap().acknowledged.len();
        // The first one may have been in flight.
        let goal = acknowledged() + 2;
        eventually("the writer's next write", async || {
            (acknowledged() >= goal).then_some(())
        })
        .await;
    }

    pub fn acknowledged(&self) -> Vec<String> {
        self.record.lock().unwrap().acknowledged.clone()
    }

    pub fn refused(&self) -> usize {
        self.record.lock().unwrap().refused.len()
    }

    pub async fn finish(self) -> Record {
        self.stop.cancel();
        self.writes.await.unwrap();
        std::mem::take(&mut self.record.lock().unwrap())
    }
}
