//! The directory that everything of a local cloud lives in.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Paths below the home.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

/// What `daemon.json` says about the daemon that runs, or ran last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonFile {
    /// Its process.
    pub pid: u32,
    /// Where it serves.
    pub url: String,
    /// Its project.
    pub project: String,
    /// Since when, RFC 3339.
    pub started: String,
}

/// What went wrong with a file of the home.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} {}: {source}", path.display())]
pub struct HomeError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Home {
    /// The home in this directory, which need not be there yet.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// The bearer token.
    pub fn token_file(&self) -> PathBuf {
        self.0.join("token")
    }

    /// What the running daemon says about itself.
    pub fn daemon_file(&self) -> PathBuf {
        self.0.join("daemon.json")
    }

    /// What the daemon has to say.
    pub fn log_file(&self) -> PathBuf {
        self.0.join("daemon.log")
    }

    /// The cloud's state.
    pub fn state_file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// The machines' directories.
    pub fn machines(&self) -> PathBuf {
        self.0.join("machines")
    }

    /// Makes the directory, for its owner only.
    pub fn create(&self) -> Result<(), HomeError> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0);
        made.and_then(|()| fs::set_permissions(&self.0, Permissions::from_mode(0o700)))
            .map_err(|source| self.error("create", &self.0, source))
    }

    /// Keeps other daemons out for as long as the file is held; `None` when one holds it.
    pub fn lock(&self) -> Result<Option<File>, HomeError> {
        let path = self.0.join("lock");
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| self.error("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(self.error("lock", &path, source)),
        }
    }

    /// The token; made at the first call.
    pub fn token(&self) -> Result<String, HomeError> {
        match self.read_token()? {
            Some(token) => Ok(token),
            None => {
                let token: String = rand::random::<[u8; 32]>()
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                self.write(&self.token_file(), token.as_bytes())?;
                Ok(token)
            }
        }
    }

    /// The token, if there is one.
    pub fn read_token(&self) -> Result<Option<String>, HomeError> {
        let token = self.read(&self.token_file())?;
        let token = token.map(|text| text.trim().to_owned());
        Ok(token.filter(|text| !text.is_empty()))
    }

    /// What the daemon says about itself, if there is or was one.
    pub fn daemon(&self) -> Result<Option<DaemonFile>, HomeError> {
        // One that can't be read as what it should be is as good as none.
        let text = self.read(&self.daemon_file())?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Says who runs.
    pub fn write_daemon(&self, daemon: &DaemonFile) -> Result<(), HomeError> {
        let path = self.daemon_file();
        let text = serde_json::to_vec(daemon);
        let text = text.map_err(|error| self.error("write", &path, error.into()))?;
        self.write(&path, &text)
    }

    /// Says that nobody runs.
    pub fn remove_daemon(&self) -> Result<(), HomeError> {
        let path = self.daemon_file();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.error("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    fn read(&self, path: &Path) -> Result<Option<String>, HomeError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.error("read", path, source)),
        }
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<(), HomeError> {
        let written = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(&self.0)
            .and_then(|mut file| {
                file.write_all(content)?;
                file.as_file().sync_all()?;
                file.persist(path).map_err(|error| error.error)
            });
        written
            .map(|_| ())
            .map_err(|source| self.error("write", path, source))
    }

    fn error(&self, action: &'static str, path: &Path, source: io::Error) -> HomeError {
        HomeError {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// `http://127.64.0.1:8780`
pub fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
