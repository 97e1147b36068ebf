//! The files of a machine's directory. Directories are 0700, files 0600, for the owner only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The name of the control socket in the machine's directory.
pub const CONTROL: &str = "control";

#[derive(Clone, Debug)]
pub struct Layout(PathBuf);

impl Layout {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The [`GuestSpec`](super::GuestSpec) of the last boot.
    pub fn spec(&self) -> PathBuf {
        self.0.join("guest.json")
    }

    /// The file that the init process keeps locked.
    pub fn lock(&self) -> PathBuf {
        self.0.join("init.pid")
    }

    pub fn console(&self) -> PathBuf {
        self.0.join("console.log")
    }

    /// Guest attributes: values by key by namespace, as JSON.
    pub fn guest_attributes(&self) -> PathBuf {
        self.0.join("guest-attributes.json")
    }

    pub fn unit_log(&self, unit: &str) -> PathBuf {
        self.0.join("logs").join(format!("{unit}.log"))
    }

    pub fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    pub fn create(&self) -> io::Result<()> {
        private_dir(&self.0)?;
        private_dir(&self.0.join("logs"))?;
        private_dir(&self.root())
    }
}

/// Creates a directory and its parents, for the owner only.
fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // An existing directory may be open to others.
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Opens a file for appending. A new file is for the owner only.
pub fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

/// Writes a file atomically: readers see the old content or the new one, with the new mode. Creates missing
/// parents (0755, as on any machine). Not synced: boots should not wait for a disk, and a machine need not
/// survive the loss of the host's page cache.
pub fn write_atomically(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let file = stage(path, mode, content)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A complete file beside `path`, to be renamed to it. Dropped, it is removed.
pub fn stage(path: &Path, mode: u32, content: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(parent)?;
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(content)?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(mode))?;
    Ok(file)
}
