//! One connection to the guest agent.

use std::{collections::HashMap, sync::Arc};

use russh::{
    Channel, ChannelId, ChannelOpenFailure,
    server::{Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey},
};
use tokio::{io::copy_bidirectional, net::TcpStream};

use super::{Agent, exec::Order};

/// A client, from its first byte on.
pub struct Login {
    agent: Arc<Agent>,
    /// Channels in which nothing runs yet.
    idle: HashMap<ChannelId, Channel<Msg>>,
}

impl Login {
    pub(super) fn new(agent: Arc<Agent>) -> Self {
        Self {
            agent,
            idle: HashMap::new(),
        }
    }

    /// A connection to a port of the machine's own address, by which alone it is told from others.
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
        let known =
            self.agent.users.iter().any(|known| {
                known.name == user && known.key.key_data() == key.public_key.key_data()
            });
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
        let command = String::from_utf8(command.to_vec()).ok();
        match self.idle.remove(&id).zip(command) {
            Some((channel, command)) => {
                session.channel_success(id)?;
                // Whoever takes orders lives as long as the machine does.
                let _ = self.agent.orders.send(Order { channel, command });
            }
            None => session.channel_failure(id)?,
        }
        Ok(())
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
                    // Both ends are closed by then, however it went.
                    let _ = copy_bidirectional(&mut stream, &mut channel).await;
                });
            }
            Err(why) => reply.reject(why).await,
        }
        Ok(())
    }
}
