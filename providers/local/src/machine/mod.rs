//! Machines of the local cloud: a directory, an `init` process and its units. Linux, no root, no
//! namespaces.
//!
//! [`Guest`] is the handle. [`init()`] is the body of the init process, which is the same binary,
//! started again; it survives whoever started it. User data is carried out at the first boot
//! ([`GuestSpec::user_data`]); systemd units are supervised with systemd's semantics.
//!
//! # Paths
//! There is no chroot, so that units can use the host's programs. In command lines, `Environment=`,
//! `EnvironmentFile=`, `WorkingDirectory=` and `PathExists=`, absolute paths below `/etc`, `/var`,
//! `/opt`, `/usr/local`, `/run`, `/srv`, `/root` and `/home` are the machine's own, kept in its
//! directory `root/`: at the beginning of a word, after `=`, within lists with commas, after blanks,
//! quotes and redirections (`sh -c 'cat /etc/x'`), after `unix://` and `file://`. All others are the
//! host's. A program that makes up such a path by itself sees the host's: give it a flag, or use the
//! variable `MACHINE_ROOT`.
//!
//! # Environment
//! A unit has `PATH` (the machine's `/usr/local/bin` and `/opt/bin`, then the host's), `HOME`,
//! `HOSTNAME`, `MACHINE_ROOT`, `MACHINE_LOG`, `INVOCATION_ID`, `GCE_METADATA_HOST` and `GCE_METADATA_IP`, and what its file
//! says; nothing of the daemon's. `MACHINE_LOG` is the file with the unit's output: there is no journal.
//!
//! # What is emulated of systemd
//! `[Unit]` Description, After, Before, Wants, Requires; `[Service]` Type=simple|exec|oneshot|notify,
//! ExecStartPre, ExecStart, ExecStop, Environment, EnvironmentFile, Restart, RestartSec,
//! StartLimitIntervalSec, StartLimitBurst, TimeoutStartSec, TimeoutStopSec, KillSignal, LimitNOFILE,
//! RemainAfterExit, WorkingDirectory, SuccessExitStatus; `[Path]` PathExists, Unit; `[Install]` WantedBy;
//! targets. Whatever else a unit file says gets a line on the machine's console. A required unit that
//! fails keeps those ordered after it from starting; it doesn't stop those that run.

use std::path::PathBuf;

mod cloud_config;
mod control;
mod error;
mod guest;
mod init;
mod layout;
mod paths;
mod presence;
mod processes;
mod spec;
mod unit;

pub use error::GuestError;
pub use guest::Guest;
pub use init::init;
pub use spec::{GuestSpec, UnitState, UnitStatus};

/// The name of the variable that every process of a machine carries in its environment.
const MARK: &str = "MACHINE_ROOT";

/// The directory `root/` of the machine that the process with this socket is of.
pub fn root_of_socket(inode: u64) -> Option<PathBuf> {
    let owners = processes::with_socket(inode);
    owners
        .into_iter()
        .find_map(|pid| processes::variable(pid, MARK).map(PathBuf::from))
}

/// The variable (`NAME=VALUE`) that every process of a machine carries in its environment.
fn mark(root: &str) -> String {
    format!("{MARK}={root}")
}
