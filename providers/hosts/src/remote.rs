//! A host over ssh: scripts that run there as root.

use crate::config::Host;
use hakube_provider::{ErrorKind, ProviderError, Result};
use hakube_ssh::{Failure, Output, Session, as_root, word};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long a script may take, and by which statuses besides 0 it says something that isn't a failure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// From the first byte to the last, connecting included.
    pub(crate) limit: Duration,
    /// These statuses.
    pub(crate) expected: &'static [u32],
}

/// All hosts are looked at together. One that is off is known to be after [`hakube_ssh`]'s few seconds; this is for one
/// that is very busy.
pub(crate) const LOOKING: Patience = patience(20);
/// Most scripts look at a few files.
pub(crate) const QUICK: Patience = patience(30);
/// A host is given back: pods end, file systems are unmounted.
pub(crate) const SLOW: Patience = patience(300);

const fn patience(seconds: u64) -> Patience {
    Patience {
        limit: Duration::from_secs(seconds),
        expected: &[],
    }
}

/// A host, and the connection to it, when there is one.
pub(crate) struct Remote {
    /// The host.
    pub(crate) host: Host,
    session: Mutex<Option<Arc<Session>>>,
    offered: Vec<SocketAddr>,
    calls: Arc<AtomicU64>,
}

impl Remote {
    /// Not connected yet.
    pub(crate) fn new(host: Host, offered: Vec<SocketAddr>, calls: Arc<AtomicU64>) -> Self {
        Self {
            host,
            offered,
            session: Mutex::new(None),
            calls,
        }
    }

    /// Runs a script as root with these arguments and this input. Its output, and its status if that is one that is
    /// expected; another one is an error with what it said.
    ///
    /// # Errors
    /// The host can't be reached or logged in on (transient), or the script failed.
    pub(crate) async fn run(
        &self,
        what: &'static str,
        script: &str,
        arguments: &[&str],
        input: &[u8],
        patience: Patience,
    ) -> Result<(u32, String)> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let failed = |kind, message: String| self.error(what, kind, message);
        let mut command = as_root(script, "hakube");
        for argument in arguments {
            command.push(' ');
            command.push_str(&word(argument));
        }
        let transient = ErrorKind::Transient { retry_after: None };
        let running = async {
            let session = self.session(what).await?;
            let run = session.run(&command, input).await;
            run.map_err(|error| failed(transient, error.to_string()))
        };
        let output: Output = match timeout(patience.limit, running).await {
            Ok(output) => output?,
            Err(_) => {
                let message = format!("it didn't answer within {} s", patience.limit.as_secs());
                return Err(failed(transient, message));
            }
        };
        match output.status {
            Some(status) if status == 0 || patience.expected.contains(&status) => {
                Ok((status, String::from_utf8_lossy(&output.out).into_owned()))
            }
            Some(status) => {
                let said = output.said.trim().to_owned();
                let error = failed(
                    ErrorKind::Fatal,
                    format!("the host's shell ended with {status}: {said}"),
                );
                Err(if said.contains("sudo:") {
                    let user = &self.host.login.user;
                    error.with_hint(format!(
                        "let {user} become root without a password: {user} ALL=(ALL) NOPASSWD: ALL in /etc/sudoers.d"
                    ))
                } else {
                    error
                })
            }
            None => Err(failed(transient, "the connection broke".to_owned())),
        }
    }

    /// Offers the host what is on the operator's own loopback.
    ///
    /// # Errors
    /// The host can't be reached, or doesn't let its port be forwarded.
    pub(crate) async fn offer(&self, what: &'static str) -> Result<()> {
        if self.offered.is_empty() {
            return Ok(());
        }
        let session = self.session(what).await?;
        for at in &self.offered {
            session.offer(*at).await.map_err(|error| {
                let transient = ErrorKind::Transient { retry_after: None };
                let message = format!("its ssh server doesn't forward {at} of its loopback to this host: {error}");
                self.error(what, transient, message).with_hint(format!(
                    "see that nothing listens there on the host (ss -ltn sport = :{}), and that its sshd allows it: \
                     AllowTcpForwarding yes; or name a mirror that the host reaches itself: --mirror URL",
                    at.port()
                ))
            })?;
        }
        Ok(())
    }

    async fn session(&self, what: &'static str) -> Result<Arc<Session>> {
        let mut session = self.session.lock().await;
        if let Some(open) = session.take()
            && open.answers().await
        {
            *session = Some(Arc::clone(&open));
            return Ok(open);
        }
        let Host {
            server,
            login,
            through,
            ..
        } = &self.host;
        match Session::open(server, login, through.as_ref()).await {
            Ok(open) => {
                let open = Arc::new(open);
                // A host that still downloads what an earlier command leased it for. Beside another command that is under
                // way the port is taken, and that one serves it.
                for at in &self.offered {
                    let _ = open.offer(*at).await;
                }
                *session = Some(Arc::clone(&open));
                Ok(open)
            }
            Err(failure) => Err(self.refused(what, failure)),
        }
    }

    fn refused(&self, what: &'static str, failure: Failure) -> ProviderError {
        let server = &self.host.server;
        let at = format!("{}:{}", server.address, server.port);
        match failure {
            Failure::WrongKey { shown } => {
                let known = hakube_ssh::keys(server);
                let known: Vec<String> = known.iter().map(hakube_ssh::fingerprint).collect();
                self.error(
                    what,
                    ErrorKind::Denied,
                    format!(
                        "the ssh server at {at} shows the host key {shown}; the inventory says {}",
                        known.join(", ")
                    ),
                )
                .with_hint(
                    "nothing was sent. If the host was installed again, put its new key into the inventory's \
                     ssh.host_key; else see who has that address",
                )
            }
            Failure::Refused => self
                .error(
                    what,
                    ErrorKind::Denied,
                    format!("its ssh server at {at} takes neither the user {} nor the key", self.host.login.user),
                )
                .with_hint("see ssh.user and ssh.key in the inventory, and the host's authorized_keys"),
            Failure::NoUsableKey => self
                .error(
                    what,
                    ErrorKind::Invalid,
                    "the inventory's ssh.host_key is no Ed25519 or ECDSA key that can be verified here",
                )
                .with_hint("take the one of the host's /etc/ssh/ssh_host_ed25519_key.pub"),
            Failure::NoLogin(why) => self.error(what, ErrorKind::Denied, why),
            Failure::Broken(why) => self
                .error(
                    what,
                    ErrorKind::Transient { retry_after: None },
                    format!("could not reach its ssh server at {at}: {why}"),
                )
                .with_hint(format!("see whether the host is up, and reached from here: ping {}", server.address)),
        }
    }

    /// An error about this host.
    pub(crate) fn error(
        &self,
        what: &'static str,
        kind: ErrorKind,
        message: impl Into<String>,
    ) -> ProviderError {
        let resource = format!("host {} in {}", self.host.name, self.host.zone);
        ProviderError::new(kind, what, resource, message)
    }
}
