//! The way to a local cloud from other processes: find its daemon, start it, talk to it.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::home::{Home, HomeError};
use crate::machine::UnitStatus;

/// A local cloud, by its home. It need not run.
#[derive(Debug, Clone)]
pub struct LocalCloud {
    home: Home,
}

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

/// What the daemon says of itself.
#[derive(Deserialize)]
struct DaemonStatus {
    pid: u32,
    url: String,
    project: String,
    machines: usize,
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

/// Why the cloud didn't do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// There is no daemon to ask.
    #[error("no local cloud runs in {}; start it first", home.display())]
    NotRunning {
        /// The home.
        home: PathBuf,
    },
    /// The connection broke, or the answer isn't one.
    #[error("the local cloud at {url} did not answer: {why}")]
    Connection {
        /// Where.
        url: String,
        /// What was seen.
        why: String,
    },
    /// It answered with an error.
    #[error("the local cloud refused ({status}): {message}")]
    Refused {
        /// HTTP status code.
        status: u16,
        /// Its words.
        message: String,
    },
    /// No machine has this name.
    #[error("the local cloud has no machine `{0}`; see `local machines`")]
    NoSuchMachine(String),
    /// Several have it.
    #[error("several machines are called `{name}`; name the zone, too: {}", candidates.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// `zone/name` of each.
        candidates: Vec<String>,
    },
    /// The daemon could not be started.
    #[error("the local cloud did not start: {why}. The end of {}:\n{log}", log_file.display())]
    Start {
        /// What was seen.
        why: String,
        /// Its log.
        log_file: PathBuf,
        /// The last lines of it.
        log: String,
    },
    /// The daemon did not stop.
    #[error("the local cloud (process {pid}) was told to stop and still runs after {seconds} s")]
    Stop {
        /// Its process.
        pid: u32,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
}

const POLL: Duration = Duration::from_millis(10);
/// Units get TimeoutStopSec, 90 s by default; then they are killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);
const LOG_LINES: usize = 15;

impl LocalCloud {
    /// The cloud in this directory, whether it is there or not.
    pub fn at(home: impl Into<PathBuf>) -> Self {
        Self {
            home: Home::at(home),
        }
    }

    /// The daemon, if it runs.
    pub async fn status(&self) -> Result<Option<Status>, ClientError> {
        match self
            .call::<DaemonStatus>(Method::GET, "/status", Bytes::new())
            .await
        {
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

    /// Starts the daemon unless it runs, and returns when it answers. It outlives the caller.
    pub async fn ensure_started(&self, options: &StartOptions) -> Result<Status, ClientError> {
        if let Some(status) = self.status().await? {
            return Ok(status);
        }
        self.home.create()?;
        let mut child = self.spawn(options)?;
        let deadline = Instant::now() + options.timeout;
        loop {
            if let Some(status) = self.status().await? {
                return Ok(status);
            }
            if let Ok(Some(ended)) = child.try_wait() {
                return self.started_elsewhere(ended).await;
            }
            if Instant::now() > deadline {
                let why = format!("no answer within {} s", options.timeout.as_secs());
                return Err(self.start_error(why));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A daemon that ended at once may have lost a race against another caller's.
    async fn started_elsewhere(&self, ended: ExitStatus) -> Result<Status, ClientError> {
        let deadline = Instant::now() + Duration::from_secs(2);
        while self.home.lock()?.is_none() && Instant::now() < deadline {
            if let Some(status) = self.status().await? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
        Err(self.start_error(format!("it ended with {ended}")))
    }

    fn spawn(&self, options: &StartOptions) -> Result<Child, ClientError> {
        let log_file = self.home.log_file();
        let failed = |why: String| self.start_error(why);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&log_file);
        let log = log.map_err(|error| failed(format!("{}: {error}", log_file.display())))?;
        let copy = log.try_clone().map_err(|error| failed(error.to_string()))?;
        let [program, arguments @ ..] = options.command.as_slice() else {
            return Err(failed("its command is empty".into()));
        };
        // setsid(1) rather than setsid(2): the latter needs code between fork and exec. It execs
        // in place, so the process is the daemon's.
        Command::new("setsid")
            .arg(program)
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy)
            .spawn()
            .map_err(|error| failed(format!("setsid: {error}")))
    }

    fn start_error(&self, why: String) -> ClientError {
        let log_file = self.home.log_file();
        let text = std::fs::read(&log_file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let log = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        ClientError::Start { why, log_file, log }
    }

    /// Stops the daemon with all its machines, and returns when it is gone. Says whether it ran.
    pub async fn stop(&self) -> Result<bool, ClientError> {
        let Some(status) = self.status().await? else {
            return Ok(false);
        };
        self.send(Method::POST, "/stop", Bytes::new()).await?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        // The lock goes with the process, whatever becomes of it.
        while self.home.lock()?.is_none() {
            if Instant::now() > deadline {
                return Err(ClientError::Stop {
                    pid: status.pid,
                    seconds: STOP_TIMEOUT.as_secs(),
                });
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(true)
    }

    /// All machines.
    pub async fn machines(&self) -> Result<Vec<MachineSummary>, ClientError> {
        self.call(Method::GET, "/machines", Bytes::new()).await
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

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ClientError> {
        let answer = self.send(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|error| ClientError::Connection {
            url: path.to_owned(),
            why: error.to_string(),
        })
    }

    /// One request to the admin API.
    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let not_running = || ClientError::NotRunning {
            home: self.home.directory().to_owned(),
        };
        let daemon = self.home.daemon()?.ok_or_else(not_running)?;
        let token = self.home.read_token()?.ok_or_else(not_running)?;
        let broken = |why: String| ClientError::Connection {
            url: daemon.url.clone(),
            why,
        };
        let address: SocketAddr = daemon
            .url
            .trim_start_matches("http://")
            .parse()
            .map_err(|_| broken("its address isn't one".into()))?;
        // daemon.json outlives a killed daemon.
        let stream = TcpStream::connect(address)
            .await
            .map_err(|_| not_running())?;
        let request = Request::builder()
            .method(method)
            .uri(format!("/local/v1{path}"))
            .header(header::HOST, address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Full::new(body))
            .map_err(|error| broken(error.to_string()))?;
        let (status, content) = exchange(stream, request)
            .await
            .map_err(|error| broken(error.to_string()))?;
        if status.is_success() {
            return Ok(content);
        }
        Err(ClientError::Refused {
            status: status.as_u16(),
            message: message(&content),
        })
    }
}

async fn exchange(
    stream: TcpStream,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let content = answer.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, content))
}

/// The message of an error in Compute Engine's shape, or whatever came instead.
fn message(content: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(content).ok();
    json.as_ref()
        .and_then(|json| json["error"]["message"].as_str())
        .map_or_else(
            || String::from_utf8_lossy(content).into_owned(),
            str::to_owned,
        )
}

/// Percent-encoding for a path segment or a query value.
fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
