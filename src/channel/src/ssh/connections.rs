//! One connection per machine, opened when needed.

use async_trait::async_trait;
use hakube_error::{Error, Result};
use hakube_provider::{MachineRef, Provider, SshServer};
use hakube_ssh::{Failure, Hop, Login, Session, fingerprint, keys};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Looks up machines' ssh servers.
#[async_trait]
pub trait Servers: Send + Sync {
    /// The machine's ssh server; see [`Provider::ssh_server`].
    ///
    /// # Errors
    /// The provider can't be queried.
    async fn server(&self, machine: &MachineRef) -> Result<Option<SshServer>>;
}

#[async_trait]
impl Servers for Arc<dyn Provider> {
    async fn server(&self, machine: &MachineRef) -> Result<Option<SshServer>> {
        Ok(self.ssh_server(machine).await?)
    }
}

/// The logins of machines.
pub trait Accesses: Send + Sync {
    /// The login for this machine, and its jump host, if any.
    ///
    /// # Errors
    /// The machine is unknown.
    fn access(&self, machine: &MachineRef) -> Result<(Login, Option<Hop>)>;
}

/// The same login on all machines.
impl Accesses for Login {
    fn access(&self, _: &MachineRef) -> Result<(Login, Option<Hop>)> {
        Ok((self.clone(), None))
    }
}

/// A machine's state. Locked while connecting: one connection serves all.
#[derive(Default)]
struct Place {
    server: Option<SshServer>,
    asked: Option<Instant>,
    session: Option<Arc<Session>>,
}

/// The provider's hints for failed logins.
#[derive(Debug, Clone, Copy)]
pub struct Advice {
    /// The server refuses the user or the key.
    pub refused: &'static str,
    /// The server doesn't respond.
    pub unreachable: &'static str,
}

/// The connections to machines.
pub(super) struct Connections {
    access: Box<dyn Accesses>,
    servers: Box<dyn Servers>,
    /// The minimum interval between queries to the provider about the same machine.
    pace: Duration,
    advice: Advice,
    places: SyncMutex<HashMap<MachineRef, Arc<Mutex<Place>>>>,
}

/// Converts a failure into an error.
fn to_error(failure: Failure, machine: &MachineRef, server: &SshServer, advice: Advice) -> Error {
    let name = &machine.name;
    let at = SocketAddr::new(server.address, server.port);
    match failure {
        Failure::WrongKey { shown } => {
            let expected: Vec<String> = keys(server).iter().map(fingerprint).collect();
            Error::refused(format!("the ssh server at {at} isn't machine {name}'s"))
                    .because(format!(
                        "its host key is {shown}, but according to the provider, {name} has {}",
                        expected.join(", ")
                    ))
                    .hint("nothing was sent. Check what has that address: either the machine's keys were changed manually, or the connection is intercepted")
        }
        // The guest agent creates the user shortly after the server starts.
        Failure::Refused => Error::failed(format!("machine {name} refused hakube's login"))
            .because(format!(
                "its ssh server at {at} refused the user or its key"
            ))
            .hint(advice.refused)
            .transient(),
        Failure::NoUsableKey => Error::failed(format!("could not verify the ssh server of {name}"))
            .because(format!(
                "the provider reports no Ed25519 or ECDSA host key, only {}",
                server.host_keys.join(", ")
            )),
        Failure::NoLogin(why) => Error::failed(format!("could not log in to machine {name}"))
            .because(why)
            .hint(advice.refused),
        Failure::Broken(why) => {
            Error::failed(format!("could not reach the ssh server of {name} at {at}"))
                .because(why)
                .hint(advice.unreachable)
                .transient()
        }
    }
}

impl Connections {
    pub(super) fn new(
        access: impl Accesses + 'static,
        servers: impl Servers + 'static,
        pace: Duration,
        advice: Advice,
    ) -> Self {
        Self {
            access: Box::new(access),
            servers: Box::new(servers),
            pace,
            advice,
            places: SyncMutex::default(),
        }
    }

    fn place(&self, machine: &MachineRef) -> Arc<Mutex<Place>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(machine.clone()).or_default())
    }

    /// Returns the existing connection to the machine if it responds, or a new one.
    pub(super) async fn session(&self, machine: &MachineRef) -> Result<Arc<Session>> {
        let place = self.place(machine);
        let mut place = place.lock().await;
        if let Some(session) = place.session.take()
            && session.answers().await
        {
            place.session = Some(Arc::clone(&session));
            return Ok(session);
        }
        let session = Arc::new(self.connect(machine, &mut place).await?);
        place.session = Some(Arc::clone(&session));
        Ok(session)
    }

    async fn connect(&self, machine: &MachineRef, place: &mut Place) -> Result<Session> {
        let is_old = place.asked.is_some_and(|asked| asked.elapsed() < self.pace);
        if !is_old {
            self.ask(machine, place).await?;
        }
        let mut server = place.known(machine)?;
        let (login, through) = self.access.access(machine)?;
        let mut opened = Session::open(&server, &login, through.as_ref()).await;
        if is_old && matches!(opened, Err(Failure::WrongKey { .. })) {
            // Its address may have moved to another machine since it was looked up.
            self.ask(machine, place).await?;
            server = place.known(machine)?;
            opened = Session::open(&server, &login, through.as_ref()).await;
        }
        opened.map_err(|failure| to_error(failure, machine, &server, self.advice))
    }

    async fn ask(&self, machine: &MachineRef, place: &mut Place) -> Result<()> {
        place.server = self.servers.server(machine).await?;
        place.asked = Some(Instant::now());
        Ok(())
    }
}

impl Place {
    fn known(&self, machine: &MachineRef) -> Result<SshServer> {
        self.server.clone().ok_or_else(|| {
            Error::failed(format!("could not log in to machine {}", machine.name))
                .because("its ssh server hasn't reported its host keys to the provider yet; it is still booting")
                .transient()
        })
    }
}
