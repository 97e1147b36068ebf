//! Onto a machine over ssh, with a key that hakube made for the cluster.
//!
//! Host keys are never trusted because a server shows them: they come from the provider. A server that
//! shows another one gets nothing, and both fingerprints are told.

mod put;
mod read;
#[cfg(test)]
mod tests;
mod tunnel;

use super::{Channel, Door, USER, own_address};
use crate::error::{Error, Result};
use crate::pki::{LoginKey, SecretFile};
use async_trait::async_trait;
use hakube_provider::{Machine, MachineRef, Provider, SshServer};
use hakube_ssh::{Failure, Hop, Key, Login, Session, fingerprint, keys};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tunnel::{Target, Tunnel};

/// Who knows machines' ssh servers.
#[async_trait]
pub trait Servers: Send + Sync {
    /// The machine's ssh server; see [`Provider::ssh_server`].
    ///
    /// # Errors
    /// The provider can't be asked.
    async fn server(&self, machine: &MachineRef) -> Result<Option<SshServer>>;
}

#[async_trait]
impl Servers for Arc<dyn Provider> {
    async fn server(&self, machine: &MachineRef) -> Result<Option<SshServer>> {
        Ok(self.ssh_server(machine).await?)
    }
}

/// The way onto machines by ssh. Clones share their connections.
#[derive(Clone)]
pub struct SshChannel(Arc<Shared>);

struct Shared {
    access: Box<dyn Accesses>,
    servers: Box<dyn Servers>,
    /// The provider is asked about the same machine no more often than this.
    pace: Duration,
    advice: Advice,
    places: SyncMutex<HashMap<MachineRef, Arc<Mutex<Place>>>>,
    tunnels: Mutex<HashMap<Target, Tunnel>>,
}

/// How machines are logged in on.
pub trait Accesses: Send + Sync {
    /// Who logs in on this one, and through which other server.
    ///
    /// # Errors
    /// The machine isn't known.
    fn access(&self, machine: &MachineRef) -> Result<(Login, Option<Hop>)>;
}

/// The same on all machines.
impl Accesses for Login {
    fn access(&self, _: &MachineRef) -> Result<(Login, Option<Hop>)> {
        Ok((self.clone(), None))
    }
}

/// One machine, as far as it is known. Locked while it is connected to: one connection serves all.
#[derive(Default)]
struct Place {
    server: Option<SshServer>,
    asked: Option<Instant>,
    session: Option<Arc<Session>>,
}

/// What to do where a machine can't be logged in on, which is the provider's business.
#[derive(Debug, Clone, Copy)]
pub struct Advice {
    /// Its server takes neither the user nor the key.
    pub refused: &'static str,
    /// Its server doesn't answer.
    pub unreachable: &'static str,
}

impl SshChannel {
    /// Logs in with this key. `pace` is how often the provider may be asked about the same machine.
    ///
    /// # Errors
    /// The key can't be used.
    pub fn new(
        key: &LoginKey,
        servers: impl Servers + 'static,
        pace: Duration,
        advice: Advice,
    ) -> Result<Self> {
        Self::with_user(USER, key, servers, pace, advice)
    }

    fn with_user(
        user: &str,
        key: &LoginKey,
        servers: impl Servers + 'static,
        pace: Duration,
        advice: Advice,
    ) -> Result<Self> {
        let key = Key::parse(key.private.expose()).map_err(|error| {
            Error::failed("could not use the key that logs in on machines").because(error)
        })?;
        let login = Login {
            user: user.to_owned(),
            key,
        };
        Ok(Self::with_access(login, servers, pace, advice))
    }

    /// Logs in as each machine wants it.
    pub fn with_access(
        access: impl Accesses + 'static,
        servers: impl Servers + 'static,
        pace: Duration,
        advice: Advice,
    ) -> Self {
        Self(Arc::new(Shared {
            access: Box::new(access),
            servers: Box::new(servers),
            pace,
            advice,
            places: SyncMutex::default(),
            tunnels: Mutex::default(),
        }))
    }
}

/// A failure as a person reads it.
fn told(failure: Failure, machine: &MachineRef, server: &SshServer, advice: Advice) -> Error {
    let name = &machine.name;
    let at = SocketAddr::new(server.address, server.port);
    match failure {
        Failure::WrongKey { shown } => {
            let expected: Vec<String> = keys(server).iter().map(fingerprint).collect();
            Error::refused(format!("the ssh server at {at} isn't that of machine {name}"))
                    .because(format!(
                        "it shows the host key {shown}; the provider says that {name} has {}",
                        expected.join(", ")
                    ))
                    .hint("nothing was sent. See who has that address: either the machine's keys were changed by hand, or somebody is in between")
        }
        // The guest's agent makes the user a moment after the server is up.
        Failure::Refused => Error::failed(format!("machine {name} doesn't let hakube log in"))
            .because(format!(
                "its ssh server at {at} takes neither the user nor its key"
            ))
            .hint(advice.refused)
            .transient(),
        Failure::NoUsableKey => Error::failed(format!("could not verify the ssh server of {name}"))
            .because(format!(
                "the provider tells no Ed25519 or ECDSA host key of it, but {}",
                server.host_keys.join(", ")
            )),
        Failure::NoLogin(why) => Error::failed(format!("could not log in on machine {name}"))
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

impl Shared {
    fn place(&self, machine: &MachineRef) -> Arc<Mutex<Place>> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(places.entry(machine.clone()).or_default())
    }

    /// A connection to the machine: the one that there is, if it answers, or a new one.
    async fn session(&self, machine: &MachineRef) -> Result<Arc<Session>> {
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
            // Its address may have moved to another machine since it was asked for.
            self.ask(machine, place).await?;
            server = place.known(machine)?;
            opened = Session::open(&server, &login, through.as_ref()).await;
        }
        opened.map_err(|failure| told(failure, machine, &server, self.advice))
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
            Error::failed(format!("could not log in on machine {}", machine.name))
                .because("its ssh server hasn't told the provider its host keys yet: it boots")
                .transient()
        })
    }
}

#[async_trait]
impl Channel for SshChannel {
    async fn put(&self, machine: &MachineRef, files: &[SecretFile]) -> Result<()> {
        let session = self.0.session(machine).await?;
        put::put(&session, &machine.name, files).await
    }

    async fn read(&self, machine: &MachineRef, path: &str) -> Result<Option<Vec<u8>>> {
        let session = self.0.session(machine).await?;
        read::read(&session, &machine.name, path).await
    }

    /// A tunnel's near end on loopback, the same one each time. Other users of this host can connect to
    /// it too, as they can to the machine's network from inside: what is at its far end wants
    /// certificates of whoever comes.
    async fn reach(&self, machine: &Machine, port: u16) -> Result<Door> {
        let target = Target {
            machine: MachineRef {
                name: machine.name.clone(),
                zone: machine.zone.clone(),
            },
            address: SocketAddr::new(own_address(machine)?, port),
        };
        // Asked now, so that whoever can't get in is told why: a tunnel could only hang up.
        self.0.session(&target.machine).await?;
        let mut tunnels = self.0.tunnels.lock().await;
        let at = match tunnels.get(&target) {
            Some(tunnel) => tunnel.near_end(),
            None => {
                let tunnel = Tunnel::open(&target, &self.0).await?;
                let at = tunnel.near_end();
                tunnels.insert(target, tunnel);
                at
            }
        };
        Ok(Door {
            at,
            machine: machine.name.clone(),
        })
    }
}
