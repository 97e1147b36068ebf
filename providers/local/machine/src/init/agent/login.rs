//! One connection to the guest agent.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use russh::{
    Channel, ChannelId, ChannelOpenFailure, Pty,
    keys::{PublicKey, ssh_key::public::KeyData},
    server::{Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey},
};
use tokio::{
    io::copy_bidirectional,
    net::TcpStream,
    sync::{mpsc, watch},
};

use super::exec::Order;

/// State shared by logins. Those may run on any thread; commands run on the init process's own.
pub struct Agent {
    /// The lines of the metadata item `ssh-keys`.
    pub keys: watch::Receiver<Vec<String>>,
    pub name: String,
    pub address: IpAddr,
    pub orders: mpsc::UnboundedSender<Order>,
}

/// A user who may log in.
pub struct User {
    name: String,
    key: PublicKey,
}

impl User {
    /// From a line of the metadata item `ssh-keys`: `USER:KEY`.
    pub fn of(line: &str) -> Option<Self> {
        let (name, key) = line.trim().split_once(':')?;
        Some(Self {
            name: name.to_owned(),
            key: PublicKey::from_openssh(key).ok()?,
        })
    }
}

impl Agent {
    /// Whether a user has this key.
    fn knows(&self, user: &str, key: &KeyData) -> bool {
        let lines = self.keys.borrow();
        let mut users = lines.iter().filter_map(|line| User::of(line));
        users.any(|known| known.name == user && known.key.key_data() == key)
    }
}

/// A client's connection.
pub struct Login {
    agent: Arc<Agent>,
    /// Channels without a running command.
    idle: HashMap<ChannelId, Channel<Msg>>,
    /// Channels that were refused a terminal.
    without_terminal: HashSet<ChannelId>,
}

impl Login {
    pub fn new(agent: Arc<Agent>) -> Self {
        Self {
            agent,
            idle: HashMap::new(),
            without_terminal: HashSet::new(),
        }
    }

    /// Runs a command in an idle channel.
    fn run(
        &mut self,
        id: ChannelId,
        command: Option<String>,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match self.idle.remove(&id).zip(command) {
            Some((channel, command)) => {
                session.channel_success(id)?;
                // The receiver lives as long as the machine does.
                let _ = self.agent.orders.send(Order { channel, command });
            }
            None => session.channel_failure(id)?,
        }
        Ok(())
    }

    /// Connects to a port of the machine's own address, which distinguishes it from other machines.
    async fn connect(&self, host: &str, port: u32) -> Result<TcpStream, ChannelOpenFailure> {
        let Agent { name, address, .. } = &*self.agent;
        let is_own = host == name || host.parse() == Ok(*address);
        let port = u16::try_from(port)
            .ok()
            .filter(|_| is_own)
            .ok_or(ChannelOpenFailure::AdministrativelyProhibited)?;
        TcpStream::connect((*address, port))
            .await
            .map_err(|_| ChannelOpenFailure::ConnectFailed)
    }
}

impl Handler for Login {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = self.agent.knows(user, key.public_key.key_data());
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.idle.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.run(id, String::from_utf8(command.to_vec()).ok(), session)
    }

    /// A shell that reads commands. Without the terminal that its client asked for, it would look stuck.
    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let has_what_it_needs = !self.without_terminal.contains(&id);
        self.run(id, has_what_it_needs.then(|| "/bin/sh".to_owned()), session)
    }

    /// There are no terminals. A request without an answer would keep its client waiting.
    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.without_terminal.insert(id);
        session.channel_failure(id)
    }

    /// There is no sftp.
    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.connect(host, port).await {
            Ok(mut stream) => {
                reply.accept().await;
                let mut channel = channel.into_stream();
                tokio::spawn(async move {
                    // Both ends are closed after this, whatever the result.
                    let _ = copy_bidirectional(&mut stream, &mut channel).await;
                });
            }
            Err(why) => reply.reject(why).await,
        }
        Ok(())
    }
}
