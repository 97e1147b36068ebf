//! The readiness protocol of sd_notify(3): a datagram with `READY=1`.

use std::{convert::Infallible, fs, io, os::fd::AsRawFd, path::PathBuf};

use rustix::process::getpid;
use tokio::net::UnixDatagram;

use super::machine::Machine;

/// A service's notification socket; gone when dropped.
pub struct NotifySocket {
    socket: UnixDatagram,
    file: PathBuf,
    /// The value of `NOTIFY_SOCKET`.
    pub address: String,
}

impl NotifySocket {
    /// Binds a socket for one service. Its path goes by way of an open descriptor of this process, since
    /// paths of sockets are limited to 108 bytes and a home may be deep.
    pub fn bind(machine: &Machine, unit: &str) -> io::Result<Self> {
        let name = format!("{unit}.notify");
        let file = machine.layout.dir().join(&name);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let address = format!(
            "/proc/{}/fd/{}/{name}",
            getpid().as_raw_pid(),
            machine.dir.as_raw_fd()
        );
        Ok(Self {
            socket: UnixDatagram::bind(&address)?,
            file,
            address,
        })
    }

    /// Resolves when the service says that it is ready.
    pub async fn ready(&self) -> io::Result<()> {
        let mut message = [0; 4096];
        loop {
            let length = self.socket.recv(&mut message).await?;
            if message[..length]
                .split(|byte| *byte == b'\n')
                .any(|line| line == b"READY=1")
            {
                return Ok(());
            }
        }
    }

    /// Reads whatever else the service has to say, for as long as this is polled: nobody may be left
    /// waiting for room in the socket's queue.
    pub async fn drain(&self) -> Infallible {
        while self.ready().await.is_ok() {}
        std::future::pending().await
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // At worst the next start removes it.
        let _ = fs::remove_file(&self.file);
    }
}
