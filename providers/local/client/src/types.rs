//! Types of the client: status, machines, start options.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use hakube_local_machine::UnitStatus;

/// A running daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its process ID.
    pub pid: u32,
    /// The cloud's unique ID.
    pub id: String,
    /// The URL at which it serves.
    pub url: String,
    /// The project's ID.
    pub project: String,
    /// The file with the bearer token.
    pub token_file: PathBuf,
    /// The number of machines, running or not.
    pub machines: usize,
}

/// A machine of the cloud.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MachineSummary {
    /// The instance's name.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// The instance's status: RUNNING, TERMINATED.
    pub status: String,
    /// The internal address.
    pub internal: Option<Ipv4Addr>,
    /// The external address.
    pub external: Option<Ipv4Addr>,
    /// Its units; empty when it is off.
    pub units: Vec<UnitStatus>,
}

/// How to start the daemon.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// The argv of a process that serves the cloud of this home.
    pub command: Vec<OsString>,
    /// How long it may take to respond.
    pub timeout: Duration,
}

impl StartOptions {
    /// Uses this command with a timeout of half a minute: machines may have to boot first.
    pub fn new(command: Vec<OsString>) -> Self {
        Self {
            command,
            timeout: Duration::from_secs(30),
        }
    }
}

/// A file's content on the wire: base64, since any byte may occur; null if the file doesn't exist.
#[derive(Debug, Serialize, Deserialize)]
pub struct FileContent {
    content: Option<String>,
}

impl FileContent {
    /// Encodes a file's content.
    pub fn of(content: Option<&[u8]>) -> Self {
        Self {
            content: content.map(|content| BASE64_STANDARD.encode(content)),
        }
    }

    /// Decodes the file's content.
    pub fn decoded(&self) -> Result<Option<Vec<u8>>, base64::DecodeError> {
        let content = self.content.as_deref();
        content.map(|text| BASE64_STANDARD.decode(text)).transpose()
    }
}
