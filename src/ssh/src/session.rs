//! A connection to an ssh server.

use crate::login::{Key, Login};
use hakube_provider::SshServer;
use russh::client::{self, ChannelOpenHandle, Handle, Msg};
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Preferred};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The timeout of connecting: a running machine accepts within a round trip.
const CONNECT: Duration = Duration::from_secs(5);
/// The timeout of key exchange and login: a few round trips, and slow on a machine that has just booted.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// The timeout of a response: one round trip on a live connection.
const ANSWER: Duration = Duration::from_secs(3);
/// The keepalive interval: the connection is closed after three keepalives without a response.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// A connection, logged in.
pub struct Session {
    handle: Handle<Client>,
    offered: Offered,
    /// The jump host's session, which must outlive it.
    _through: Option<Box<Session>>,
}

/// A jump host.
#[derive(Debug, Clone)]
pub struct Hop {
    /// The server.
    pub server: SshServer,
    /// Its login.
    pub login: Login,
}

/// Why there is no session.
#[derive(Debug)]
pub enum Failure {
    /// The server has the wrong host key.
    WrongKey {
        /// The key that it showed.
        shown: String,
    },
    /// The server refused the login.
    Refused,
    /// None of the server's known keys is of a supported type.
    NoUsableKey,
    /// The login key is unusable.
    NoLogin(String),
    /// No response, or a broken connection.
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

/// The host keys of supported types.
pub fn keys(server: &SshServer) -> Vec<PublicKey> {
    let lines = server.host_keys.iter();
    lines
        .filter_map(|line| PublicKey::from_openssh(line).ok())
        .filter(|key| Preferred::default().key.contains(&key.algorithm()))
        .collect()
}

/// The fingerprint, as printed by `ssh-keygen -l`.
pub fn fingerprint(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// Local addresses that the machine may connect to by the same address on its side.
type Offered = Arc<Mutex<BTreeSet<SocketAddr>>>;

/// The client's handler of the server's requests.
struct Client {
    /// The keys of which the server must show one.
    keys: Vec<PublicKey>,
    offered: Offered,
}

impl client::Handler for Client {
    type Error = Failure;

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        connected_address: &str,
        connected_port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Failure> {
        let address = connected_address.parse::<IpAddr>().ok();
        let port = u16::try_from(connected_port).ok();
        let at = address.zip(port).map(SocketAddr::from);
        let is_offered = |at: &SocketAddr| lock(&self.offered).contains(at);
        let Some(at) = at.filter(is_offered) else {
            // Dropping the reply rejects the channel.
            return Ok(());
        };
        reply.accept().await;
        tokio::spawn(async move {
            let mut far = channel.into_stream();
            if let Ok(Ok(mut near)) = timeout(CONNECT, TcpStream::connect(at)).await {
                // Both ends see how the connection ended.
                let _ = tokio::io::copy_bidirectional(&mut far, &mut near).await;
            }
        });
        Ok(())
    }

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Failure> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            // Certificates weren't requested.
            return Ok(false);
        };
        if self
            .keys
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
    /// Connects, verifies the server and logs in.
    ///
    /// # Errors
    /// The reason; nothing was sent then.
    pub async fn open(
        server: &SshServer,
        login: &Login,
        through: Option<&Hop>,
    ) -> Result<Self, Failure> {
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
        let offered = Offered::default();
        let client = Client {
            keys,
            offered: Arc::clone(&offered),
        };
        let Some(hop) = through else {
            let stream = timeout(CONNECT, TcpStream::connect(at))
                .await
                .map_err(|_| late("take the connection", CONNECT))??;
            let handle = handshake(client::connect_stream(config, stream, client), login);
            return Ok(Self {
                handle: handle.await?,
                offered,
                _through: None,
            });
        };
        let jump = Box::new(Box::pin(Self::open(&hop.server, &hop.login, None)).await?);
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let channel = timeout(CONNECT, jump.connect(at, here))
            .await
            .map_err(|_| late("be reached from the jump host", CONNECT))??;
        let stream = channel.into_stream();
        let handle = handshake(client::connect_stream(config, stream, client), login);
        Ok(Self {
            handle: handle.await?,
            offered,
            _through: Some(jump),
        })
    }

    /// Whether the server still responds.
    pub async fn answers(&self) -> bool {
        timeout(ANSWER, self.handle.send_ping()).await.is_ok() && !self.handle.is_closed()
    }

    /// Connects to an address that the machine can reach.
    ///
    /// # Errors
    /// The machine can't connect, or the session broke.
    pub async fn connect(
        &self,
        to: SocketAddr,
        from: SocketAddr,
    ) -> Result<Channel<Msg>, russh::Error> {
        let (host, origin) = (to.ip().to_string(), from.ip().to_string());
        self.handle
            .channel_open_direct_tcpip(host, to.port().into(), origin, from.port().into())
            .await
    }

    /// Lets the machine connect to this address on this host's loopback, by the same address on its
    /// side, for the session's lifetime. Earlier offers remain valid.
    ///
    /// # Errors
    /// The server doesn't support forwarding, the port is in use there, or the session broke.
    pub async fn offer(&self, at: SocketAddr) -> Result<(), russh::Error> {
        if !lock(&self.offered).insert(at) {
            return Ok(());
        }
        let host = at.ip().to_string();
        let forwarded = self.handle.tcpip_forward(host, at.port().into()).await;
        if forwarded.is_err() {
            lock(&self.offered).remove(&at);
        }
        forwarded.map(drop)
    }

    /// Runs a command in the user's shell with this input, and waits for it to end.
    ///
    /// # Errors
    /// The session broke.
    pub async fn run(&self, command: &str, input: &[u8]) -> Result<Output, russh::Error> {
        let channel = self.handle.channel_open_session().await?;
        let (mut read, write) = channel.split();
        write.exec(true, command).await?;
        // Concurrently: a command that ends early doesn't read all of its input.
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
            // A write error shows in the command's result.
            _ = writing => reading.await,
        })
    }
}

/// Key exchange and login on a stream.
async fn handshake(
    connecting: impl Future<Output = Result<Handle<Client>, Failure>>,
    login: &Login,
) -> Result<Handle<Client>, Failure> {
    let logged_in = async {
        let mut handle = connecting.await?;
        let accepted = match &login.key {
            Key::Private(key) => {
                let hash = handle.best_supported_rsa_hash().await?.flatten();
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
                handle
                    .authenticate_publickey(&login.user, key)
                    .await?
                    .success()
            }
            Key::Agent => by_agent(&mut handle, &login.user).await?,
        };
        if accepted {
            Ok(handle)
        } else {
            Err(Failure::Refused)
        }
    };
    timeout(HANDSHAKE, logged_in)
        .await
        .map_err(|_| late("finish its handshake", HANDSHAKE))?
}

/// Tries the agent's keys until the server accepts one.
async fn by_agent(handle: &mut Handle<Client>, user: &str) -> Result<bool, Failure> {
    let unusable = |error: russh::keys::Error| Failure::NoLogin(format!("ssh-agent: {error}"));
    let mut agent = AgentClient::connect_env().await.map_err(unusable)?;
    let identities = agent.request_identities().await.map_err(unusable)?;
    for identity in identities {
        let hash = handle.best_supported_rsa_hash().await?.flatten();
        let key = identity.public_key().into_owned();
        let answer = handle
            .authenticate_publickey_with(user, key, hash, &mut agent)
            .await
            .map_err(|error| Failure::Broken(error.to_string()))?;
        if answer.success() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn lock(offered: &Offered) -> MutexGuard<'_, BTreeSet<SocketAddr>> {
    offered.lock().unwrap_or_else(PoisonError::into_inner)
}

fn late(what: &str, after: Duration) -> Failure {
    Failure::Broken(format!("it didn't {what} within {} s", after.as_secs()))
}

/// The result of a command.
#[derive(Debug, Default)]
pub struct Output {
    /// Its exit status; `None` if the connection broke or a signal killed it.
    pub status: Option<u32>,
    /// Its output on both streams.
    pub said: String,
    /// Its standard output.
    pub out: Vec<u8>,
}
