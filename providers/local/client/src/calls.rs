//! The calls of the admin API.

use bytes::Bytes;
use hakube_local_machine::{DiskSpace, NewFile};
use hyper::Method;
use serde::Deserialize;

use crate::cloud::LocalCloud;
use crate::error::ClientError;
use crate::types::{FileContent, MachineSummary, Status};
use crate::wire::encode;

/// The daemon's own status.
#[derive(Deserialize)]
struct DaemonStatus {
    pid: u32,
    url: String,
    project: String,
    machines: usize,
}

impl LocalCloud {
    /// The daemon's status; `None` if it isn't running.
    pub async fn status(&self) -> Result<Option<Status>, ClientError> {
        let ask = || self.call::<DaemonStatus>(Method::GET, "/status", Bytes::new());
        let answer = match ask().await {
            // It may have stopped in between. Then the second attempt finds no daemon.
            Err(ClientError::Connection { .. }) => ask().await,
            answer => answer,
        };
        match answer {
            Ok(daemon) => Ok(Some(Status {
                pid: daemon.pid,
                id: self.home.id()?,
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

    /// Fills the project with this many stopped instances without machines. Works once per cloud.
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

    /// Resumes a paused machine.
    pub async fn resume(&self, machine: &str) -> Result<(), ClientError> {
        self.act(machine, "resume").await
    }

    async fn act(&self, machine: &str, action: &str) -> Result<(), ClientError> {
        let path = format!("{}/{action}", self.path_of(machine).await?);
        self.send(Method::POST, &path, Bytes::new()).await?;
        Ok(())
    }

    /// The output of a machine's unit, or the console's content without a unit.
    pub async fn logs(&self, machine: &str, unit: Option<&str>) -> Result<Bytes, ClientError> {
        let mut path = format!("{}/logs", self.path_of(machine).await?);
        if let Some(unit) = unit {
            path.push_str("?unit=");
            path.push_str(&encode(unit));
        }
        self.send(Method::GET, &path, Bytes::new()).await
    }

    /// Writes files of a machine, each with exactly its mode. None is replaced before all are complete.
    pub async fn put_files(
        &self,
        zone: &str,
        name: &str,
        files: &[NewFile],
    ) -> Result<(), ClientError> {
        let path = format!("/machines/{zone}/{name}/files");
        let body = serde_json::to_vec(files).map_err(|error| ClientError::Connection {
            url: path.clone(),
            why: error.to_string(),
        })?;
        self.send(Method::PUT, &path, body.into()).await?;
        Ok(())
    }

    /// The content of a file of a running machine; `None` if it doesn't exist.
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

    /// The file system that holds a directory of a running machine; `None` if the directory doesn't exist.
    pub async fn disk_space(
        &self,
        zone: &str,
        name: &str,
        path: &str,
    ) -> Result<Option<DiskSpace>, ClientError> {
        let call = format!("/machines/{zone}/{name}/disk?path={}", encode(path));
        self.call(Method::GET, &call, Bytes::new()).await
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
