//! The way to a local cloud from other processes: find its daemon, start it, talk to it.

mod error;
mod faults;
mod process;
mod types;
mod wire;

use std::path::PathBuf;

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use crate::home::Home;
use wire::encode;

pub use crate::faults::{Act, FaultReport, FaultRule, LoggedRequest, Moment};
pub use error::ClientError;
pub(crate) use types::FileContent;
pub use types::{MachineSummary, StartOptions, Status};

/// A local cloud, by its home. It need not run.
#[derive(Debug, Clone)]
pub struct LocalCloud {
    home: Home,
}

/// What the daemon says of itself.
#[derive(Deserialize)]
struct DaemonStatus {
    pid: u32,
    url: String,
    project: String,
    machines: usize,
}

impl LocalCloud {
    /// The cloud in this directory, whether it is there or not.
    pub fn at(home: impl Into<PathBuf>) -> Self {
        Self {
            home: Home::at(home),
        }
    }

    /// The daemon, if it runs.
    pub async fn status(&self) -> Result<Option<Status>, ClientError> {
        let ask = || self.call::<DaemonStatus>(Method::GET, "/status", Bytes::new());
        let answer = match ask().await {
            // It may have ended while it was asked: then nobody answers the second time.
            Err(ClientError::Connection { .. }) => ask().await,
            answer => answer,
        };
        match answer {
            Ok(daemon) => Ok(Some(Status {
                pid: daemon.pid,
                url: daemon.url,
                project: daemon.project,
                token_file: self.home.token_file(),
                machines: daemon.machines,
            })),
            Err(ClientError::NotRunning { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All machines.
    pub async fn machines(&self) -> Result<Vec<MachineSummary>, ClientError> {
        self.call(Method::GET, "/machines", Bytes::new()).await
    }

    /// Fills the project with so many stopped instances that have no machines, once in its life.
    pub async fn gather_crowd(&self, count: usize) -> Result<(), ClientError> {
        let path = format!("/crowd?count={count}");
        self.send(Method::POST, &path, Bytes::new()).await?;
        Ok(())
    }

    /// Cuts a machine's power: SIGKILL to all its processes. `machine` is a name, or `zone/name`.
    pub async fn kill(&self, machine: &str) -> Result<(), ClientError> {
        self.act(machine, "kill").await
    }

    /// Freezes a machine: SIGSTOP to all its processes.
    pub async fn pause(&self, machine: &str) -> Result<(), ClientError> {
        self.act(machine, "pause").await
    }

    /// Lets it go on.
    pub async fn resume(&self, machine: &str) -> Result<(), ClientError> {
        self.act(machine, "resume").await
    }

    async fn act(&self, machine: &str, action: &str) -> Result<(), ClientError> {
        let path = format!("{}/{action}", self.path_of(machine).await?);
        self.send(Method::POST, &path, Bytes::new()).await?;
        Ok(())
    }

    /// What a machine's unit has printed; the console's content without a unit.
    pub async fn logs(&self, machine: &str, unit: Option<&str>) -> Result<Bytes, ClientError> {
        let mut path = format!("{}/logs", self.path_of(machine).await?);
        if let Some(unit) = unit {
            path.push_str("?unit=");
            path.push_str(&encode(unit));
        }
        self.send(Method::GET, &path, Bytes::new()).await
    }

    /// Writes a file of a machine, with exactly this mode. `path` is absolute in the machine.
    pub async fn put_file(
        &self,
        zone: &str,
        name: &str,
        path: &str,
        mode: u32,
        content: Bytes,
    ) -> Result<(), ClientError> {
        let query = format!("path={}&mode={mode:o}", encode(path));
        let call = format!("/machines/{zone}/{name}/file?{query}");
        self.send(Method::PUT, &call, content).await?;
        Ok(())
    }

    /// The content of a file of a machine that runs; `None` where there is none.
    pub async fn read_file(
        &self,
        zone: &str,
        name: &str,
        path: &str,
    ) -> Result<Option<Vec<u8>>, ClientError> {
        let call = format!("/machines/{zone}/{name}/file?path={}", encode(path));
        let content: FileContent = self.call(Method::GET, &call, Bytes::new()).await?;
        content.decoded().map_err(|why| ClientError::Connection {
            url: call,
            why: why.to_string(),
        })
    }

    async fn path_of(&self, machine: &str) -> Result<String, ClientError> {
        if let Some((zone, name)) = machine.split_once('/') {
            return Ok(format!("/machines/{}/{}", encode(zone), encode(name)));
        }
        let found: Vec<String> = self
            .machines()
            .await?
            .into_iter()
            .filter(|candidate| candidate.name == machine)
            .map(|candidate| format!("{}/{}", candidate.zone, candidate.name))
            .collect();
        match found.as_slice() {
            [] => Err(ClientError::NoSuchMachine(machine.to_owned())),
            [one] => Ok(format!("/machines/{one}")),
            _ => Err(ClientError::Ambiguous {
                name: machine.to_owned(),
                candidates: found,
            }),
        }
    }
}
