//! What a local cloud says of itself, and what it is told at its start.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use crate::machine::UnitStatus;

/// A daemon that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: u32,
    /// Where it serves.
    pub url: String,
    /// Its project.
    pub project: String,
    /// The file with the bearer token.
    pub token_file: PathBuf,
    /// How many machines it has, running or not.
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
    /// Its own address.
    pub internal: Option<Ipv4Addr>,
    /// The address that reaches it from outside.
    pub external: Option<Ipv4Addr>,
    /// Its units; none when it is off.
    pub units: Vec<UnitStatus>,
}

/// How to start a daemon.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// The argv of a process that calls [`serve`](crate::serve()) with this home.
    pub command: Vec<OsString>,
    /// How long it may take until it answers.
    pub timeout: Duration,
}

impl StartOptions {
    /// Starts this command, and gives it half a minute: machines may have to boot first.
    pub fn new(command: Vec<OsString>) -> Self {
        Self {
            command,
            timeout: Duration::from_secs(30),
        }
    }
}

/// A file of a machine on the wire, where any byte may be in it: base64, or null where there is none.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FileContent {
    content: Option<String>,
}

impl FileContent {
    /// What the file has.
    pub fn of(content: Option<&[u8]>) -> Self {
        Self {
            content: content.map(|content| BASE64_STANDARD.encode(content)),
        }
    }

    /// What the file has.
    pub fn decoded(&self) -> Result<Option<Vec<u8>>, base64::DecodeError> {
        let content = self.content.as_deref();
        content.map(|text| BASE64_STANDARD.decode(text)).transpose()
    }
}
