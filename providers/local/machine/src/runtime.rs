//! What runs a cloud's machines: processes of this host ([`Processes`]), or something else that the cloud is given.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::GuestError;
use crate::guest::Guest;
use crate::spec::{DiskId, DiskSpace, GuestSpec, MachineDisk, NewFile, UnitStatus};

/// Guest attributes: values by key by namespace.
pub type Attributes = BTreeMap<String, BTreeMap<String, String>>;

/// A machine of the cloud. It need not exist or run.
#[async_trait]
pub trait Machine: Send + Sync + Debug {
    /// Boots the machine, which is created if it is missing. A running one is left alone.
    async fn boot(&self, spec: &GuestSpec) -> Result<(), GuestError>;
    /// Whether it has power.
    async fn is_running(&self) -> bool;
    /// Resolves when it has no power, however it lost it.
    async fn exited(&self);
    /// Presses the power button, and waits until it is off. Succeeds if it isn't running.
    async fn shut_down(&self) -> Result<(), GuestError>;
    /// Cuts the power. Succeeds if it isn't running.
    async fn kill(&self) -> Result<(), GuestError>;
    /// Freezes it.
    async fn pause(&self) -> Result<(), GuestError>;
    /// Ends a pause.
    async fn resume(&self) -> Result<(), GuestError>;
    /// Writes files of the running machine: all of them, or none unless a rename fails.
    async fn put_files(&self, files: Vec<NewFile>) -> Result<(), GuestError>;
    /// The content of a file of the running machine; `None` if it doesn't exist.
    async fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, GuestError>;
    /// The file system that holds a directory of the running machine; `None` if the directory doesn't exist.
    async fn disk_space(&self, path: &str) -> Result<Option<DiskSpace>, GuestError>;
    /// Its units, by name.
    async fn units(&self) -> Result<Vec<UnitStatus>, GuestError>;
    /// A unit's output, or the console; `None` if there is none.
    async fn log(&self, unit: Option<&str>) -> Result<Option<Vec<u8>>, GuestError>;
    /// Replaces the keys of users who may log in, lines `USER:KEY`.
    async fn set_ssh_keys(&self, lines: Vec<String>) -> Result<(), GuestError>;
    /// Attaches and detaches disks of the running machine, so that it has exactly these besides its boot disk.
    async fn set_disks(&self, disks: Vec<MachineDisk>) -> Result<(), GuestError>;
    /// Its guest attributes.
    async fn guest_attributes(&self) -> Result<Attributes, GuestError>;
    /// Sets or removes a guest attribute. Calls must not overlap.
    async fn keep_attribute(
        &self,
        name: (&str, &str),
        value: Option<&str>,
    ) -> Result<(), GuestError>;
    /// Deletes it, which doesn't run, with all its files.
    async fn remove(&self) -> Result<(), GuestError>;
}

/// Runs machines.
#[async_trait]
pub trait Runtime: Send + Sync + Debug {
    /// The machine of this name in a zone.
    fn machine(&self, zone: &str, name: &str) -> Arc<dyn Machine>;

    /// How long machines get at least to shut down before their power is cut, in real time.
    fn patience(&self) -> Duration;

    /// The zone and the name of the machine with this root directory of this host, if machines have one.
    fn of_root(&self, root: &Path) -> Option<(String, String)>;

    /// Deletes the content of all disks but these.
    async fn keep_disks(&self, disks: &[DiskId]);
}

/// Machines that are processes of this host.
#[derive(Debug)]
pub struct Processes {
    directory: PathBuf,
    init_command: Arc<[OsString]>,
}

impl Processes {
    /// Machines in `directory`. `init_command` is the argv of a process that calls [`init`](super::init()) with its
    /// last argument, the machine's directory.
    pub fn new(directory: PathBuf, init_command: Vec<OsString>) -> Self {
        Self {
            directory,
            init_command: init_command.into(),
        }
    }
}

#[async_trait]
impl Runtime for Processes {
    fn machine(&self, zone: &str, name: &str) -> Arc<dyn Machine> {
        Arc::new(ProcessMachine {
            guest: Guest::at(self.directory.join(zone).join(name)),
            init_command: Arc::clone(&self.init_command),
        })
    }

    fn of_root(&self, root: &Path) -> Option<(String, String)> {
        let machines = std::path::absolute(&self.directory).ok()?;
        let below = root.strip_prefix(machines).ok()?;
        let parts: Vec<&str> = below.iter().map(OsStr::to_str).collect::<Option<_>>()?;
        match parts.as_slice() {
            [zone, name, "root"] => Some(((*zone).to_owned(), (*name).to_owned())),
            _ => None,
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(500)
    }

    async fn keep_disks(&self, _: &[DiskId]) {}
}

/// A [`Guest`] with what it needs to boot.
#[derive(Debug)]
struct ProcessMachine {
    guest: Guest,
    init_command: Arc<[OsString]>,
}

#[async_trait]
impl Machine for ProcessMachine {
    async fn boot(&self, spec: &GuestSpec) -> Result<(), GuestError> {
        self.guest.boot(spec, &self.init_command).await
    }

    async fn is_running(&self) -> bool {
        self.guest.is_running().await
    }

    async fn exited(&self) {
        self.guest.exited().await;
    }

    async fn shut_down(&self) -> Result<(), GuestError> {
        self.guest.shut_down().await
    }

    async fn kill(&self) -> Result<(), GuestError> {
        self.guest.kill().await
    }

    async fn pause(&self) -> Result<(), GuestError> {
        self.guest.pause().await
    }

    async fn resume(&self) -> Result<(), GuestError> {
        self.guest.resume().await
    }

    async fn put_files(&self, files: Vec<NewFile>) -> Result<(), GuestError> {
        self.guest.put_files(files).await
    }

    async fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, GuestError> {
        self.guest.read_file(path).await
    }

    async fn disk_space(&self, path: &str) -> Result<Option<DiskSpace>, GuestError> {
        self.guest.disk_space(path)
    }

    async fn units(&self) -> Result<Vec<UnitStatus>, GuestError> {
        self.guest.units().await
    }

    async fn log(&self, unit: Option<&str>) -> Result<Option<Vec<u8>>, GuestError> {
        let file = match unit {
            None => self.guest.console(),
            Some(unit) => self.guest.unit_log(unit),
        };
        match tokio::fs::read(&file).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|source| GuestError::Io {
                action: "read",
                path: file,
                source,
            }),
        }
    }

    async fn set_ssh_keys(&self, lines: Vec<String>) -> Result<(), GuestError> {
        self.guest.set_ssh_keys(lines).await
    }

    /// Its disks hold no data: files are in the machine's directory.
    async fn set_disks(&self, _: Vec<MachineDisk>) -> Result<(), GuestError> {
        Ok(())
    }

    async fn guest_attributes(&self) -> Result<Attributes, GuestError> {
        self.guest.guest_attributes().await
    }

    async fn keep_attribute(
        &self,
        name: (&str, &str),
        value: Option<&str>,
    ) -> Result<(), GuestError> {
        self.guest.keep_attribute(name, value).await
    }

    async fn remove(&self) -> Result<(), GuestError> {
        self.guest.remove().await
    }
}
