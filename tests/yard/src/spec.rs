//! A host's specification.

use std::path::{Path, PathBuf};

/// A host to boot. [`HostSpec::new`] is a plain Debian server; everything else is optional.
#[derive(Debug, Clone)]
pub struct HostSpec {
    pub(crate) name: String,
    pub(crate) number: Option<u8>,
    pub(crate) disk_mib: u64,
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) files: Vec<(PathBuf, Vec<u8>, u32)>,
    pub(crate) disk: Option<PathBuf>,
    pub(crate) devices: Option<Vec<Device>>,
}

/// A further disk of a host, as a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The file on this machine that has its content.
    pub file: PathBuf,
    /// Its name: the host finds it as `/dev/disk/by-id/NAME`.
    pub name: String,
}

impl HostSpec {
    /// A host of this name, which is also its host name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            number: None,
            disk_mib: 16 * 1024,
            layers: Vec::new(),
            files: Vec::new(),
            disk: None,
            devices: None,
        }
    }

    /// Sets its address to 10.77.0.`number`. The default is the first free one from 10.77.0.11 on.
    pub fn number(mut self, number: u8) -> Self {
        self.number = Some(number);
        self
    }

    /// Sets the size of its disk, which holds everything the host writes. The default is 16 GiB. It
    /// takes only the space that is used.
    pub fn disk_mib(mut self, mebibytes: u64) -> Self {
        self.disk_mib = mebibytes;
        self
    }

    /// Keeps its disk in this file of this machine, which outlives the host. If it exists already, the host boots
    /// from what it holds.
    pub fn disk_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.disk = Some(file.into());
        self
    }

    /// Makes it a host that may have further disks, with these: see [`Host::set_devices`](crate::Host::set_devices).
    pub fn devices(mut self, devices: Vec<Device>) -> Self {
        self.devices = Some(devices);
        self
    }

    /// Overlays files from a directory of this machine on Debian's and on those of earlier layers.
    /// They aren't copied, and must not change while the host exists.
    pub fn layer(mut self, directory: impl Into<PathBuf>) -> Self {
        self.layers.push(directory.into());
        self
    }

    /// Adds a file that root owns, with this mode.
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
