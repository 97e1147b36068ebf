//! Connections that can be reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::doors::Ticket;

/// How a connection ends, shared by all its requests.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    reset: Arc<AtomicBool>,
}

impl Connection {
    /// Ends the connection with RST rather than FIN: the client can't even tell that no more data follows.
    pub fn reset_at_end(&self) {
        self.reset.store(true, Ordering::Release);
    }

    fn is_reset_at_end(&self) -> bool {
        self.reset.load(Ordering::Acquire)
    }
}

/// A TCP connection.
pub struct Stream {
    tcp: TcpStream,
    connection: Connection,
    ticket: Arc<Ticket>,
}

impl Stream {
    /// Wraps a connection and reports its activity to the ticket.
    pub fn new(tcp: TcpStream, connection: Connection, ticket: Arc<Ticket>) -> Self {
        Self {
            tcp,
            connection,
            ticket,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.ticket.touch();
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.ticket.touch();
        Pin::new(&mut self.tcp).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.ticket.touch();
        Pin::new(&mut self.tcp).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A shutdown would send FIN.
        if self.connection.is_reset_at_end() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.connection.is_reset_at_end() {
            // Closing a socket with zero linger sends RST.
            if let Err(error) = self.tcp.set_zero_linger() {
                tracing::warn!(%error, "can't reset a connection");
            }
        }
    }
}
