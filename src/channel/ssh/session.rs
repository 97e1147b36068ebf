//! One connection to one ssh server, and what can be done over it.

use super::{Advice, Login};
use crate::error::{Error, Result};
use hakube_provider::{MachineRef, SshServer};
use russh::client::{self, Handle, Msg};
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Preferred};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A machine that is up takes a connection within a round trip.
const CONNECT: Duration = Duration::from_secs(5);
/// Key exchange and login: a few round trips, and a machine that has just booted is slow.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// A live connection answers within a round trip.
const ANSWER: Duration = Duration::from_secs(3);
/// A silent connection is asked for a sign of life, and given up after three without an answer.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// A connection, logged in.
pub(super) struct Session(Handle<Expectation>);

/// Why there is none.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server isn't who it should be.
    WrongKey {
        /// What it showed.
        shown: String,
    },
    /// The server won't have us.
    Refused,
    /// None of the keys that the provider tells can be verified here.
    NoUsableKey,
    /// No answer, or a broken one.
    Broken(String),
}

impl From<russh::Error> for Failure {
    fn from(error: russh::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Failure {
    /// As a person reads it.
    pub fn about(self, machine: &MachineRef, server: &SshServer, advice: Advice) -> Error {
        let name = &machine.name;
        let at = SocketAddr::new(server.address, server.port);
        match self {
            Self::WrongKey { shown } => {
                let expected: Vec<String> = keys(server).iter().map(fingerprint).collect();
                Error::refused(format!("the ssh server at {at} isn't that of machine {name}"))
                    .because(format!(
                        "it shows the host key {shown}; the provider says that {name} has {}",
                        expected.join(", ")
                    ))
                    .hint("nothing was sent. See who has that address: either the machine's keys were changed by hand, or somebody is in between")
            }
            // The guest's agent makes the user a moment after the server is up.
            Self::Refused => Error::failed(format!("machine {name} doesn't let hakube log in"))
                .because(format!(
                    "its ssh server at {at} takes neither the user nor its key"
                ))
                .hint(advice.refused)
                .transient(),
            Self::NoUsableKey => Error::failed(format!(
                "could not verify the ssh server of {name}"
            ))
            .because(format!(
                "the provider tells no Ed25519 or ECDSA host key of it, but {}",
                server.host_keys.join(", ")
            )),
            Self::Broken(why) => {
                Error::failed(format!("could not reach the ssh server of {name} at {at}"))
                    .because(why)
                    .hint(advice.unreachable)
                    .transient()
            }
        }
    }
}

/// The host keys that can be verified.
fn keys(server: &SshServer) -> Vec<PublicKey> {
    let lines = server.host_keys.iter();
    lines
        .filter_map(|line| PublicKey::from_openssh(line).ok())
        .filter(|key| Preferred::default().key.contains(&key.algorithm()))
        .collect()
}

/// As `ssh-keygen -l` shows it.
fn fingerprint(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// The keys of which the server must show one.
struct Expectation(Vec<PublicKey>);

impl client::Handler for Expectation {
    type Error = Failure;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Failure> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            // None was asked for.
            return Ok(false);
        };
        if self
            .0
            .iter()
            .any(|known| known.key_data() == key.key_data())
        {
            return Ok(true);
        }
        Err(Failure::WrongKey {
            shown: fingerprint(key),
        })
    }
}

impl Session {
    /// Connects, verifies and logs in.
    pub async fn open(server: &SshServer, login: &Login) -> Result<Self, Failure> {
        let keys = keys(server);
        let known: Vec<Algorithm> = keys.iter().map(PublicKey::algorithm).collect();
        let mut preferred = Preferred::default();
        let mut algorithms = preferred.key.into_owned();
        algorithms.retain(|algorithm| known.contains(algorithm));
        if algorithms.is_empty() {
            return Err(Failure::NoUsableKey);
        }
        preferred.key = Cow::Owned(algorithms);
        let config = Arc::new(client::Config {
            preferred,
            keepalive_interval: Some(KEEPALIVE),
            nodelay: true,
            ..client::Config::default()
        });
        let at = SocketAddr::new(server.address, server.port);
        let stream = timeout(CONNECT, TcpStream::connect(at))
            .await
            .map_err(|_| late("take the connection", CONNECT))??;
        let handshake = async {
            let mut handle = client::connect_stream(config, stream, Expectation(keys)).await?;
            let key = PrivateKeyWithHashAlg::new(Arc::clone(&login.key), None);
            let answer = handle.authenticate_publickey(&login.user, key).await?;
            if answer.success() {
                Ok(Self(handle))
            } else {
                Err(Failure::Refused)
            }
        };
        timeout(HANDSHAKE, handshake)
            .await
            .map_err(|_| late("finish its handshake", HANDSHAKE))?
    }

    /// Whether the server is still there.
    pub async fn answers(&self) -> bool {
        timeout(ANSWER, self.0.send_ping()).await.is_ok() && !self.0.is_closed()
    }

    /// A connection to an address that the machine can reach.
    pub async fn connect(
        &self,
        to: SocketAddr,
        from: SocketAddr,
    ) -> Result<Channel<Msg>, russh::Error> {
        let (host, origin) = (to.ip().to_string(), from.ip().to_string());
        self.0
            .channel_open_direct_tcpip(host, to.port().into(), origin, from.port().into())
            .await
    }

    /// Runs a command of the user's shell with this input, to its end.
    pub async fn run(&self, command: &str, input: &[u8]) -> Result<Output, russh::Error> {
        let channel = self.0.channel_open_session().await?;
        let (mut read, write) = channel.split();
        write.exec(true, command).await?;
        // The two at once: a command that ends early takes no more input.
        let writing = async {
            write.data(input).await?;
            write.eof().await
        };
        let reading = async {
            let mut output = Output::default();
            while let Some(message) = read.wait().await {
                match message {
                    ChannelMsg::Data { data } => {
                        output.said.push_str(&String::from_utf8_lossy(&data));
                        output.out.extend_from_slice(&data);
                    }
                    ChannelMsg::ExtendedData { data, .. } => {
                        output.said.push_str(&String::from_utf8_lossy(&data));
                    }
                    ChannelMsg::ExitStatus { exit_status } => output.status = Some(exit_status),
                    ChannelMsg::Failure | ChannelMsg::Close => break,
                    _ => {}
                }
            }
            output
        };
        tokio::pin!(reading);
        Ok(tokio::select! {
            output = &mut reading => output,
            // That it could not be written shows in how the command ends.
            _ = writing => reading.await,
        })
    }
}

fn late(what: &str, after: Duration) -> Failure {
    Failure::Broken(format!("it didn't {what} within {} s", after.as_secs()))
}

/// What came of a command.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Its exit status; none when the connection broke or a signal ended it.
    pub status: Option<u32>,
    /// What it wrote.
    pub said: String,
    /// What it wrote to its standard output alone.
    pub out: Vec<u8>,
}
