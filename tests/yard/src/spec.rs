//! What a host is to be.

use std::path::{Path, PathBuf};

/// A host to boot. [`HostSpec::new`] is a plain Debian server; the rest can be left as it is.
#[derive(Debug, Clone)]
pub struct HostSpec {
    pub(crate) name: String,
    pub(crate) number: Option<u8>,
    pub(crate) disk_mib: u64,
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) files: Vec<(PathBuf, Vec<u8>, u32)>,
}

impl HostSpec {
    /// A host of this name, which is its host name too.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            number: None,
            disk_mib: 16 * 1024,
            layers: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Its address is 10.77.0.`number`. By default the first that is free, from 10.77.0.11.
    pub fn number(mut self, number: u8) -> Self {
        self.number = Some(number);
        self
    }

    /// The size of its disk, which holds all that is written on it. By default 16 GiB. It takes the room that is used.
    pub fn disk_mib(mut self, mebibytes: u64) -> Self {
        self.disk_mib = mebibytes;
        self
    }

    /// Files from a directory of this machine lie over Debian's, and over those of the layers before. They are not
    /// copied, and nobody may change them while the host is there.
    pub fn layer(mut self, directory: impl Into<PathBuf>) -> Self {
        self.layers.push(directory.into());
        self
    }

    /// A file of the host's own, root's, with this mode.
    pub fn file(mut self, path: impl AsRef<Path>, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        let path = path.as_ref().to_owned();
        self.files.push((path, content.into(), mode));
        self
    }
}

impl From<&str> for HostSpec {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}
