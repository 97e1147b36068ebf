//! The readiness protocol of sd_notify(3): a datagram with `READY=1`.

use std::{convert::Infallible, fs, io, os::fd::AsRawFd, path::PathBuf};

use rustix::process::getpid;
use tokio::net::UnixDatagram;

use super::machine::Machine;

/// A service's notification socket, removed on drop.
pub struct NotifySocket {
    socket: UnixDatagram,
    file: PathBuf,
    /// The value of `NOTIFY_SOCKET`.
    pub address: String,
}

impl NotifySocket {
    /// Binds a socket for one service. Paths of sockets are limited to 108 bytes and a home may be deep, so
    /// it goes through an open descriptor of this process.
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

    /// Resolves when the service reports READY=1.
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

    /// Reads and drops further messages for as long as this is polled: a full queue would block the service.
    pub async fn drain(&self) -> Infallible {
        while self.ready().await.is_ok() {}
        std::future::pending().await
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // If this fails, the next start removes it.
        let _ = fs::remove_file(&self.file);
    }
}
