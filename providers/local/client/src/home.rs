//! The home directory of a local cloud.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Paths below the home.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

/// The content of `daemon.json`: the daemon that runs, or ran last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonFile {
    /// Its process ID.
    pub pid: u32,
    /// The URL at which it serves.
    pub url: String,
    /// Its project.
    pub project: String,
    /// Its start time, RFC 3339.
    pub started: String,
}

/// An error with a file of the home.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} {}: {source}", path.display())]
pub struct HomeError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Home {
    /// The home in this directory, which need not exist yet.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// The file with the bearer token.
    pub fn token_file(&self) -> PathBuf {
        self.0.join("token")
    }

    /// The file that describes the running daemon.
    pub fn daemon_file(&self) -> PathBuf {
        self.0.join("daemon.json")
    }

    /// The daemon's log.
    pub fn log_file(&self) -> PathBuf {
        self.0.join("daemon.log")
    }

    /// The file with the cloud's state.
    pub fn state_file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// The directory of the machines.
    pub fn machines(&self) -> PathBuf {
        self.0.join("machines")
    }

    /// Creates the directory, accessible by its owner only.
    pub fn create(&self) -> Result<(), HomeError> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0);
        made.and_then(|()| fs::set_permissions(&self.0, Permissions::from_mode(0o700)))
            .map_err(|source| self.error("create", &self.0, source))
    }

    /// The daemon's lock, held as long as the file is open; `None` if another process holds it.
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

    /// The token, created on first use.
    pub fn token(&self) -> Result<String, HomeError> {
        self.word(&self.token_file(), 32)
    }

    /// The cloud's unique ID, created on first use.
    pub fn id(&self) -> Result<String, HomeError> {
        self.word(&self.0.join("id"), 8)
    }

    /// The token; `None` if there is none yet.
    pub fn read_token(&self) -> Result<Option<String>, HomeError> {
        self.read_word(&self.token_file())
    }

    /// The random word in a file, in hexadecimal digits; created with this many bytes.
    fn word(&self, file: &Path, bytes: usize) -> Result<String, HomeError> {
        if let Some(word) = self.read_word(file)? {
            return Ok(word);
        }
        let word = (0..bytes).map(|_| format!("{:02x}", rand::random::<u8>()));
        let word: String = word.collect();
        self.write(file, word.as_bytes())?;
        Ok(word)
    }

    fn read_word(&self, file: &Path) -> Result<Option<String>, HomeError> {
        let word = self.read(file)?;
        let word = word.map(|text| text.trim().to_owned());
        Ok(word.filter(|text| !text.is_empty()))
    }

    /// The daemon that runs or ran last.
    pub fn daemon(&self) -> Result<Option<DaemonFile>, HomeError> {
        // A malformed file counts as none.
        let text = self.read(&self.daemon_file())?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Records the daemon that runs.
    pub fn write_daemon(&self, daemon: &DaemonFile) -> Result<(), HomeError> {
        let path = self.daemon_file();
        let text = serde_json::to_vec(daemon);
        let text = text.map_err(|error| self.error("write", &path, error.into()))?;
        self.write(&path, &text)
    }

    /// Removes the record: no daemon runs.
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
