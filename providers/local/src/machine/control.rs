//! What the handle and the init process say to each other: one JSON line each way per connection, over
//! a Unix socket in the machine's directory.

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

use super::{UnitStatus, layout::CONTROL};

/// Longest message; files of a machine are small.
const LIMIT: u64 = 64 << 20;

/// The init process answers at once; if it doesn't, it never will.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Ping,
    Units,
    PutFile {
        path: String,
        mode: u32,
        /// Base64.
        content: String,
    },
    ShutDown,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    Done,
    Units(Vec<UnitStatus>),
    /// Why not, for people.
    Refused(String),
}

/// The socket's path. Its length is limited to 108 bytes and a home may be deep, so it goes by way of
/// an open descriptor of the directory.
fn socket_path(dir: &File) -> String {
    format!("/proc/self/fd/{}/{CONTROL}", dir.as_raw_fd())
}

/// Listens in `dir`, which has to stay open. A socket that an earlier init process left is replaced.
pub fn listen(dir: &File) -> io::Result<UnixListener> {
    let path = socket_path(dir);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    // The directory keeps others out as it is; this says so.
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

/// Writes one message.
pub async fn send(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

/// Reads one message.
pub async fn receive<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<T> {
    let mut line = Vec::new();
    BufReader::new(stream)
        .take(LIMIT)
        .read_until(b'\n', &mut line)
        .await?;
    Ok(serde_json::from_slice(&line)?)
}
