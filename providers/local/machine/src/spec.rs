//! A machine's specification and status, as plain data.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

/// The specification of a machine. It is stored in the machine's directory, so a later boot needs only the
/// directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSpec {
    /// The host name, unless the user data sets another.
    pub name: String,
    /// The machine's own address.
    pub address: IpAddr,
    /// A `#cloud-config` document, carried out at the first boot only.
    pub user_data: String,
    /// SSH keys as lines `USER:KEY`, in the format of the metadata item `ssh-keys`.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// Whether guest attributes are enabled: the metadata item `enable-guest-attributes`.
    #[serde(default)]
    pub guest_attributes: bool,
    /// The address of its metadata server, if there is one.
    #[serde(default)]
    pub metadata: Option<SocketAddr>,
    /// The size of its boot disk in GB, where that matters.
    #[serde(default)]
    pub boot_disk_gb: Option<u64>,
    /// Its other disks, in order.
    #[serde(default)]
    pub disks: Vec<MachineDisk>,
    /// The address of its router.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
}

/// A disk of the cloud.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DiskId {
    /// Its zone.
    pub zone: String,
    /// Its name, which is unique in the zone.
    pub name: String,
}

/// A disk of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineDisk {
    /// The disk.
    pub disk: DiskId,
    /// The machine finds it as `/dev/disk/by-id/google-DEVICE`.
    pub device: String,
    /// Its size in GB.
    pub gigabytes: u64,
}

/// A unit of a running machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// The unit's name with its suffix: `etcd.service`.
    pub name: String,
    /// The unit's state.
    pub state: UnitState,
    /// The main process, if there is one.
    pub pid: Option<u32>,
    /// The number of automatic restarts since the last explicit start.
    pub restarts: u32,
}

/// A file system's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// The total, in bytes.
    pub bytes: u64,
    /// The free space, in bytes.
    pub free: u64,
}

/// A unit's state: systemd's active and sub states in one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitState {
    /// Not started, or ended successfully.
    Inactive,
    /// A path unit whose path does not exist yet.
    Waiting,
    /// `ExecStartPre` runs, a oneshot's command runs, or a notify service hasn't reported `READY=1` yet.
    Starting,
    /// A service's main process runs, a target is reached, or a path unit has triggered its service.
    Running,
    /// A oneshot service that succeeded and counts as active (`RemainAfterExit=yes`).
    Exited,
    /// Being stopped.
    Stopping,
    /// Ended; waiting for `RestartSec`.
    Restarting,
    /// Failed, and won't be restarted.
    Failed,
}

impl fmt::Display for UnitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inactive => "inactive",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Stopping => "stopping",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
        })
    }
}

/// A file to write on a machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewFile {
    /// Absolute in the machine.
    pub path: String,
    /// Its exact permission bits.
    pub mode: u32,
    /// Base64, since any byte may occur.
    content: String,
}

impl NewFile {
    /// A file with this content.
    pub fn new(path: impl Into<String>, mode: u32, content: &[u8]) -> Self {
        Self {
            path: path.into(),
            mode,
            content: BASE64_STANDARD.encode(content),
        }
    }

    /// Its content. Fails if it isn't base64.
    pub fn content(&self) -> Result<Vec<u8>, base64::DecodeError> {
        BASE64_STANDARD.decode(&self.content)
    }
}
