//! The protocol between the handle and the init process: one JSON line each way per connection, over a Unix
//! socket in the machine's directory.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::Path,
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    time::timeout,
};

use crate::{
    layout::CONTROL,
    spec::{NewFile, UnitStatus},
};

/// The longest message; files of a machine are small.
const LIMIT: u64 = 64 << 20;

/// The init process responds within milliseconds or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Ping,
    Units,
    PutFiles(Vec<NewFile>),
    /// Replaces the keys of users who may log in.
    SshKeys {
        /// Lines `USER:KEY`.
        lines: Vec<String>,
    },
    ShutDown,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    Done,
    Units(Vec<UnitStatus>),
    /// The reason.
    Refused(String),
}

/// The socket's path. Paths of sockets are limited to 108 bytes and a home may be deep, so it goes through
/// an open descriptor of the directory.
fn socket_path(dir: &File) -> String {
    format!("/proc/self/fd/{}/{CONTROL}", dir.as_raw_fd())
}

/// Listens in `dir`, which must stay open. Replaces a stale socket.
pub fn listen(dir: &File) -> io::Result<UnixListener> {
    let path = socket_path(dir);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    // The directory keeps other users out already; this makes it explicit.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Sends a request to the init process of the machine in `dir`.
pub async fn call(dir: &Path, request: &Request) -> io::Result<Response> {
    let talk = async {
        let dir = File::open(dir)?;
        let mut stream = UnixStream::connect(socket_path(&dir)).await?;
        send(&mut stream, request).await?;
        receive(&mut stream).await
    };
    timeout(PATIENCE, talk)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")))
}

pub async fn send(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

pub async fn receive<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<T> {
    let mut line = Vec::new();
    BufReader::new(stream)
        .take(LIMIT)
        .read_until(b'\n', &mut line)
        .await?;
    Ok(serde_json::from_slice(&line)?)
}
