//! Runs scripts as root on a host over ssh.

use crate::config::Host;
use hakube_provider::{ErrorKind, ProviderError, Result};
use hakube_ssh::{Failure, Output, Session, as_root, word};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// What the preflight's errors say can't be done with a host.
pub(crate) const USE: &str = "use";

/// A script's time limit, and the exit statuses other than 0 that aren't failures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The whole call, connecting included.
    pub(crate) limit: Duration,
    pub(crate) expected: &'static [u32],
}

/// All hosts are queried at once. [`hakube_ssh`] notices a host that is down within seconds; this
/// limit is for a very busy one.
pub(crate) const LOOKING: Patience = patience(20);
/// Most scripts read a few files.
pub(crate) const QUICK: Patience = patience(30);
/// The checks of the preflight: nine writes on a slow disk, plus a few seconds of waiting for other hosts.
pub(crate) const CHECKING: Patience = patience(60);
/// Giving a host back ends pods and unmounts file systems.
pub(crate) const SLOW: Patience = patience(300);

const fn patience(seconds: u64) -> Patience {
    Patience {
        limit: Duration::from_secs(seconds),
        expected: &[],
    }
}

/// A host and its connection, if open.
pub(crate) struct Remote {
    pub(crate) host: Host,
    session: Mutex<Option<Arc<Session>>>,
    offered: Vec<SocketAddr>,
    limit: Duration,
    calls: Arc<AtomicU64>,
}

impl Remote {
    /// Creates it without connecting. `limit` caps the time of every script.
    pub(crate) fn new(
        host: Host,
        offered: Vec<SocketAddr>,
        limit: Duration,
        calls: Arc<AtomicU64>,
    ) -> Self {
        Self {
            host,
            offered,
            limit,
            session: Mutex::new(None),
            calls,
        }
    }

    /// Runs a script as root. Returns its status, which is 0 or an expected one, and its output.
    /// Any other status is an error with the script's stderr.
    ///
    /// # Errors
    /// The host is unreachable or refuses the login, or the script failed.
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
        let transient = ErrorKind::TRANSIENT;
        let running = async {
            let session = self.session(what).await?;
            let run = session.run(&command, input).await;
            run.map_err(|error| failed(transient, error.to_string()))
        };
        let limit = patience.limit.min(self.limit);
        let output: Output = match timeout(limit, running).await {
            Ok(output) => output?,
            Err(_) => {
                let message = format!("it didn't respond within {} s", limit.as_secs());
                return Err(failed(transient, message));
            }
        };
        match output.status {
            Some(status) if status == 0 || patience.expected.contains(&status) => {
                Ok((status, String::from_utf8_lossy(&output.out).into_owned()))
            }
            Some(status) => {
                let stderr = output.said.trim().to_owned();
                let error = failed(
                    ErrorKind::Fatal,
                    format!("the command exited with status {status}: {stderr}"),
                );
                Err(if stderr.contains("sudo:") {
                    let user = &self.host.login.user;
                    error.with_hint(format!(
                        "allow {user} to use sudo without a password: put `{user} ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d"
                    ))
                } else {
                    error
                })
            }
            None => Err(failed(transient, "the connection was lost".to_owned())),
        }
    }

    /// Forwards the operator's offered loopback servers to the host.
    ///
    /// # Errors
    /// The host is unreachable, or refuses the port forwarding.
    pub(crate) async fn offer(&self, what: &'static str) -> Result<()> {
        if self.offered.is_empty() {
            return Ok(());
        }
        let session = self.session(what).await?;
        for at in &self.offered {
            session.offer(*at).await.map_err(|error| {
                let transient = ErrorKind::TRANSIENT;
                let message = format!("its ssh server refuses to forward {at} on its loopback to this machine: {error}");
                self.error(what, transient, message).with_hint(format!(
                    "check that nothing listens on that port of the host (ss -ltn sport = :{}) and that its sshd_config has \
                     AllowTcpForwarding yes; or use a mirror that the host can reach: --mirror URL",
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
                // The host may still be downloading for an earlier command. If another command is
                // running, it has the port and serves the host.
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
                        "the ssh server at {at} presented the host key {shown}, but the inventory has {}",
                        known.join(", ")
                    ),
                )
                .with_hint(
                    "nothing was sent. If the host was reinstalled, put its new key into the inventory's \
                     ssh.host_key; otherwise find out which machine has that address",
                )
            }
            Failure::Refused => self
                .error(
                    what,
                    ErrorKind::Denied,
                    format!("its ssh server at {at} refused to log in {} with the key", self.host.login.user),
                )
                .with_hint("check ssh.user and ssh.key in the inventory, and the user's authorized_keys on the host"),
            Failure::NoUsableKey => self
                .error(
                    what,
                    ErrorKind::Invalid,
                    "the inventory's ssh.host_key is not an Ed25519 or ECDSA key that hakube can verify",
                )
                .with_hint("use the key in the host's /etc/ssh/ssh_host_ed25519_key.pub"),
            Failure::NoLogin(why) => self.error(what, ErrorKind::Denied, why),
            Failure::Broken(why) => self
                .error(
                    what,
                    ErrorKind::TRANSIENT,
                    format!("could not reach its ssh server at {at}: {why}"),
                )
                .with_hint(format!("check that the host is up and reachable: ping {}", server.address)),
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
