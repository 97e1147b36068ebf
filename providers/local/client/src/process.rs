//! Starts and stops the daemon's process.

use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use hakube_local_machine::search::{find_in_path, host_path};

use crate::cloud::LocalCloud;
use crate::error::ClientError;
use crate::types::{StartOptions, Status};

const POLL: Duration = Duration::from_millis(10);
/// Units get TimeoutStopSec (90 s by default) before they are killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);
const LOG_LINES: usize = 15;

impl LocalCloud {
    /// Starts the daemon unless it runs, and returns once it responds. It outlives the caller.
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
                let why = format!("no response within {} s", options.timeout.as_secs());
                return Err(self.start_error(why));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A daemon that exits at once may have lost a race against another caller's daemon.
    async fn started_elsewhere(&self, ended: ExitStatus) -> Result<Status, ClientError> {
        let deadline = Instant::now() + Duration::from_secs(2);
        while self.home.lock()?.is_none() && Instant::now() < deadline {
            if let Some(status) = self.status().await? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
        Err(self.start_error(format!("it exited with {ended}")))
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
        // setsid(1) rather than setsid(2), which needs code between fork and exec. It execs in place, so its
        // process is the daemon's.
        let setsid = find_in_path("setsid", &host_path())
            .ok_or_else(|| failed("setsid is not in PATH; install util-linux".into()))?;
        Command::new(setsid)
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

    /// Stops the daemon with all its machines, and returns when it has exited. Returns whether it was
    /// running.
    pub async fn stop(&self) -> Result<bool, ClientError> {
        let Some(status) = self.status().await? else {
            return Ok(false);
        };
        self.send(Method::POST, "/stop", Bytes::new()).await?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        // The lock is released when the process exits, however it exits.
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
}
