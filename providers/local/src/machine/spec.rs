//! What a machine is made of, and what can be seen of it: plain data.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};

/// What a machine boots from. It is kept in the machine's directory, so that a later boot needs
/// nothing but the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSpec {
    /// The host name, unless the user data names another.
    pub name: String,
    /// The machine's own address, in 127.0.0.0/8.
    pub address: IpAddr,
    /// A `#cloud-config` document; carried out at the first boot only.
    pub user_data: String,
    /// Who may log in by ssh: lines `USER:KEY`, as the metadata item `ssh-keys` has them.
    #[serde(default)]
    pub ssh_keys: Vec<String>,
    /// Whether it may say something of itself: the metadata item `enable-guest-attributes`.
    #[serde(default)]
    pub guest_attributes: bool,
    /// Where its metadata is served, if it is.
    #[serde(default)]
    pub metadata: Option<SocketAddr>,
}

/// One unit of a running machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// The unit's name with its suffix: `etcd.service`.
    pub name: String,
    /// What the unit is doing.
    pub state: UnitState,
    /// The main process, while there is one.
    pub pid: Option<u32>,
    /// How often the unit was restarted on its own account since it was last started by hand.
    pub restarts: u32,
}

/// A unit's state: systemd's active and sub states folded into one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitState {
    /// Not started, or ended well.
    Inactive,
    /// A path unit whose path does not exist yet.
    Waiting,
    /// `ExecStartPre` runs, a oneshot's command runs, or a notify service has yet to say `READY=1`.
    Starting,
    /// A service's main process runs, a target is reached, or a path unit has triggered its service.
    Running,
    /// A oneshot service that ended well and counts as active (`RemainAfterExit=yes`).
    Exited,
    /// Told to stop, not gone yet.
    Stopping,
    /// Ended, and `RestartSec` has yet to pass.
    Restarting,
    /// Ended badly, and is not going to be restarted.
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
