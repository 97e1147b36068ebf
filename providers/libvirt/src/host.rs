//! The connection to one host's libvirt: opened on first use, and reopened if lost.

use crate::config::Patience;
use crate::error::{Answer, Fault};
use crate::hypervisor::{DomainSeen, Hypervisor, NetworkSeen, Node, PoolSeen, VolumeSeen};
use hakube_provider::{Attempt, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, oneshot};

/// Connects to a URI.
pub(crate) type Opener = dyn Fn(&str) -> Answer<Arc<dyn Hypervisor>> + Send + Sync;

/// The state of the connection.
enum Connection {
    /// Not connected yet, or the connection was lost.
    None,
    /// Connected.
    Up(Arc<dyn Hypervisor>),
    /// The last attempt failed at this time.
    Failed(Fault, Instant),
}

pub(crate) struct Host {
    /// The URI of its libvirt.
    pub(crate) uri: String,
    /// The zones on this host, sorted. Never empty.
    pub(crate) zones: Vec<String>,
    /// Held while an image is looked up or uploaded there. One per host, so a host that hangs
    /// doesn't delay the others.
    pub(crate) uploading: Mutex<()>,
    patience: Patience,
    opener: Arc<Opener>,
    connection: Mutex<Connection>,
    calls: Arc<AtomicU64>,
}

impl Host {
    /// Creates the host. Doesn't connect yet.
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

    /// The zone that stands for the host in messages and resource ids.
    pub(crate) fn first_zone(&self) -> &str {
        self.zones.first().map_or("", String::as_str)
    }

    /// Makes one call, or a few that belong together.
    ///
    /// # Errors
    /// [`ErrorKind::Transient`] if the host is unreachable or doesn't respond in time; otherwise
    /// libvirt's error.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        attempt: &Attempt,
        work: impl FnOnce(&dyn Hypervisor) -> Answer<T> + Send + 'static,
    ) -> Result<T> {
        self.ask_for(self.patience.call, attempt, work).await
    }

    /// Does the same for a call that transfers `bytes` bytes. Each MiB adds a second to the timeout.
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
            // An attempt that another task made while this one waited counts for both.
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

    /// Drops a lost connection, unless it has already been replaced. The next call reconnects.
    async fn forget(&self, lost: &Arc<dyn Hypervisor>) {
        let mut connection = self.connection.lock().await;
        if matches!(&*connection, Connection::Up(now) if Arc::ptr_eq(now, lost)) {
            *connection = Connection::None;
        }
    }

    fn blamed(&self, attempt: &Attempt, fault: &Fault) -> hakube_provider::ProviderError {
        let message = format!("{}: {}", self.uri, fault.message);
        attempt.failed(&Fault {
            message,
            ..fault.clone()
        })
    }
}

/// Methods of [`Host`] that make one call each.
macro_rules! calls {
    ($($call:ident($($text:ident),*) -> $answer:ty;)+) => {
        impl Host {$(
            /// See [`Hypervisor`], and [`Host::ask`] for the errors.
            pub(crate) async fn $call(&self, attempt: &Attempt $(, $text: &str)*) -> Result<$answer> {
                $(let $text = $text.to_owned();)*
                self.ask(attempt, move |hypervisor| hypervisor.$call($(&$text),*)).await
            }
        )+}
    };
}

calls! {
    capabilities() -> String;
    domain_capabilities(arch, kind) -> Option<String>;
    node() -> Node;
    domains() -> Vec<DomainSeen>;
    domain(name) -> Option<DomainSeen>;
    define_domain(xml) -> ();
    autostart_domain(name) -> ();
    start_domain(name) -> ();
    resume_domain(name) -> ();
    destroy_domain(name) -> ();
    undefine_domain(name) -> ();
    networks() -> Vec<NetworkSeen>;
    network(name) -> Option<NetworkSeen>;
    define_network(xml) -> ();
    autostart_network(name) -> ();
    start_network(name) -> ();
    destroy_network(name) -> ();
    undefine_network(name) -> ();
    pool(name) -> Option<PoolSeen>;
    volume(pool, name) -> Option<VolumeSeen>;
    create_volume(pool, xml) -> ();
    delete_volume(pool, name) -> ();
}

/// Runs blocking work on a thread of its own, with a timeout. It doesn't use the runtime's threads,
/// because the program would wait for a hung call when it exits.
async fn on_a_thread<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> Answer<T> + Send + 'static,
) -> Answer<T> {
    let (sender, receiver) = oneshot::channel();
    let no_answer = |message: String| Fault {
        kind: ErrorKind::TRANSIENT,
        message,
        disconnected: true,
    };
    std::thread::Builder::new()
        .name("libvirt".to_owned())
        .spawn(move || {
            // After the timeout, nothing receives it.
            let _ = sender.send(work());
        })
        .map_err(|error| no_answer(format!("can't start a thread: {error}")))?;
    match tokio::time::timeout(patience, receiver).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(no_answer("the call ended without a result".to_owned())),
        Err(_) => Err(no_answer(format!(
            "no response within {} s",
            patience.as_secs()
        ))),
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
    async fn concurrent_calls_to_an_unreachable_host_share_one_attempt() {
        let attempts = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&attempts);
        let (until, both_wait) = std::sync::mpsc::channel::<()>();
        let both_wait = std::sync::Mutex::new(both_wait);
        let unreachable: Arc<Opener> = Arc::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = both_wait.lock().unwrap().recv();
            Err(Fault::new(ErrorKind::TRANSIENT, "no route to host"))
        });
        let zones = vec!["lan-a".to_owned()];
        let host = Host::new(
            "x".into(),
            zones,
            Patience::default(),
            unreachable,
            Arc::default(),
        );
        let attempt = Attempt::new("read", "it");
        let ask = || host.node(&attempt);
        let (first, second, ()) = futures::join!(ask(), ask(), async { drop(until) });
        assert!(first.is_err() && second.is_err());
        assert_eq!(attempts.load(Ordering::Relaxed), 1);
        // A later call tries again.
        assert!(ask().await.is_err());
        assert_eq!(attempts.load(Ordering::Relaxed), 2);
    }
}
