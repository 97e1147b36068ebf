//! The way to one host's libvirt: connected when it is needed, and anew when it was lost.

use crate::config::Patience;
use crate::error::{Answer, Fault};
use crate::hypervisor::Hypervisor;
use hakube_provider::{Attempt, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, oneshot};

/// Connects to a URI.
pub(crate) type Opener = dyn Fn(&str) -> Answer<Arc<dyn Hypervisor>> + Send + Sync;

/// What became of the last attempt to connect.
enum Connection {
    /// There was none, or it was lost.
    None,
    /// It stands.
    Up(Arc<dyn Hypervisor>),
    /// It failed, at that time.
    Failed(Fault, Instant),
}

/// One host.
pub(crate) struct Host {
    /// Where its libvirt is.
    pub(crate) uri: String,
    /// The zones that are this host, sorted. Never empty.
    pub(crate) zones: Vec<String>,
    /// Held while an image is looked for there and uploaded: a host that hangs keeps none of the others waiting.
    pub(crate) uploading: Mutex<()>,
    patience: Patience,
    opener: Arc<Opener>,
    connection: Mutex<Connection>,
    calls: Arc<AtomicU64>,
}

impl Host {
    /// Connects to nothing yet.
    pub(crate) fn new(
        uri: String,
        zones: Vec<String>,
        patience: Patience,
        opener: Arc<Opener>,
        calls: Arc<AtomicU64>,
    ) -> Self {
        Self {
            uri,
            zones,
            uploading: Mutex::new(()),
            patience,
            opener,
            connection: Mutex::new(Connection::None),
            calls,
        }
    }

    /// The zone that stands for the host, where something is the host's rather than a zone's.
    pub(crate) fn first_zone(&self) -> &str {
        self.zones.first().map_or("", String::as_str)
    }

    /// Asks for one thing, or a few that belong together.
    ///
    /// # Errors
    /// [`ErrorKind::Transient`] when it can't be reached or doesn't answer in time; else what it says.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        attempt: &Attempt,
        work: impl FnOnce(&dyn Hypervisor) -> Answer<T> + Send + 'static,
    ) -> Result<T> {
        self.ask_for(self.patience.call, attempt, work).await
    }

    /// The same for a call that moves so many bytes, which takes at most a second per MiB more.
    pub(crate) async fn move_bytes<T: Send + 'static>(
        &self,
        bytes: u64,
        attempt: &Attempt,
        work: impl FnOnce(&dyn Hypervisor) -> Answer<T> + Send + 'static,
    ) -> Result<T> {
        let patience = self.patience.call + Duration::from_secs(bytes >> 20);
        self.ask_for(patience, attempt, work).await
    }

    async fn ask_for<T: Send + 'static>(
        &self,
        patience: Duration,
        attempt: &Attempt,
        work: impl FnOnce(&dyn Hypervisor) -> Answer<T> + Send + 'static,
    ) -> Result<T> {
        let connection = self.connected(attempt).await?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let used = Arc::clone(&connection);
        let answer = on_a_thread(patience, move || work(used.as_ref())).await;
        let lost = answer.as_ref().is_err_and(|fault| fault.disconnected);
        if lost {
            self.forget(&connection).await;
        }
        answer.map_err(|fault| self.blamed(attempt, &fault))
    }

    async fn connected(&self, attempt: &Attempt) -> Result<Arc<dyn Hypervisor>> {
        let asked = Instant::now();
        let mut connection = self.connection.lock().await;
        match &*connection {
            Connection::Up(there) if there.alive() => return Ok(Arc::clone(there)),
            // Whoever waited for another's attempt waited for its own.
            Connection::Failed(fault, when) if *when >= asked => {
                return Err(self.blamed(attempt, fault));
            }
            _ => {}
        }
        let (opener, uri) = (Arc::clone(&self.opener), self.uri.clone());
        self.calls.fetch_add(1, Ordering::Relaxed);
        match on_a_thread(self.patience.connect, move || opener(&uri)).await {
            Ok(opened) => {
                *connection = Connection::Up(Arc::clone(&opened));
                Ok(opened)
            }
            Err(fault) => {
                let error = self.blamed(attempt, &fault);
                *connection = Connection::Failed(fault, Instant::now());
                Err(error)
            }
        }
    }

    /// The next call connects anew, unless another already did.
    async fn forget(&self, lost: &Arc<dyn Hypervisor>) {
        let mut connection = self.connection.lock().await;
        if matches!(&*connection, Connection::Up(now) if Arc::ptr_eq(now, lost)) {
            *connection = Connection::None;
        }
    }

    fn blamed(&self, attempt: &Attempt, fault: &Fault) -> hakube_provider::ProviderError {
        let message = format!("{} says: {}", self.uri, fault.message);
        attempt.failed(&Fault {
            message,
            ..fault.clone()
        })
    }
}

/// Runs what blocks on a thread of its own, and waits so long for it. Not on one of the runtime's: those are
/// waited for when the program ends, and a call that hangs would hang it.
async fn on_a_thread<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> Answer<T> + Send + 'static,
) -> Answer<T> {
    let (sender, receiver) = oneshot::channel();
    let no_answer = |message: String| Fault {
        kind: ErrorKind::Transient { retry_after: None },
        message,
        disconnected: true,
    };
    std::thread::Builder::new()
        .name("libvirt".to_owned())
        .spawn(move || {
            // Nobody waits any more when the deadline has passed.
            let _ = sender.send(work());
        })
        .map_err(|error| no_answer(format!("no thread to call it from: {error}")))?;
    match tokio::time::timeout(patience, receiver).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(no_answer("the call ended without an answer".to_owned())),
        Err(_) => Err(no_answer(format!("no answer in {} s", patience.as_secs()))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_hangs_ends_at_the_deadline() {
        let (_keep, hang) = std::sync::mpsc::channel::<()>();
        let answer = on_a_thread(Duration::from_millis(20), move || {
            let _ = hang.recv();
            Ok(())
        });
        let fault = answer.await.unwrap_err();
        assert!(fault.disconnected, "{fault:?}");
        assert!(
            matches!(fault.kind, ErrorKind::Transient { .. }),
            "{fault:?}"
        );
    }

    #[tokio::test]
    async fn those_who_wait_for_a_host_that_is_away_wait_once() {
        let attempts = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&attempts);
        let (until, both_wait) = std::sync::mpsc::channel::<()>();
        let both_wait = std::sync::Mutex::new(both_wait);
        let away: Arc<Opener> = Arc::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = both_wait.lock().unwrap().recv();
            Err(Fault::new(
                ErrorKind::Transient { retry_after: None },
                "no route to host",
            ))
        });
        let zones = vec!["lan-a".to_owned()];
        let host = Host::new("x".into(), zones, Patience::default(), away, Arc::default());
        let attempt = Attempt::new("read", "it");
        let ask = || host.ask(&attempt, |hypervisor| hypervisor.node());
        let (first, second, ()) = futures::join!(ask(), ask(), async { drop(until) });
        assert!(first.is_err() && second.is_err());
        assert_eq!(attempts.load(Ordering::Relaxed), 1);
        // Whoever asks later looks anew.
        assert!(ask().await.is_err());
        assert_eq!(attempts.load(Ordering::Relaxed), 2);
    }
}
