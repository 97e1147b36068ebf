//! Machines of the local cloud: a directory, an `init` process and its units. Linux; no root, no namespaces.
//!
//! A cloud knows machines as [`Machine`]s of a [`Runtime`]; [`Processes`] are this crate's.
//! [`Guest`] is the handle. [`init()`] is the body of the init process: the same binary, started again,
//! which outlives its parent. User data is carried out at the first boot ([`GuestSpec::user_data`]); systemd
//! units are supervised with systemd's semantics.
//!
//! # Paths
//! There is no chroot, so units can use the host's programs. In command lines, `Environment=`,
//! `EnvironmentFile=`, `WorkingDirectory=`, `PathExists=` and `PathChanged=`, absolute paths below `/etc`,
//! `/var`, `/opt`, `/usr/local`, `/run`, `/srv`, `/root` and `/home` are the machine's own, kept in its
//! directory `root/`. They are recognized at the beginning of a word, after `=`, within lists with commas,
//! after blanks, quotes and redirections (`sh -c 'cat /etc/x'`), and after `unix://` and `file://`. All
//! other paths are the host's. A program that composes such a path itself sees the host's: give it a flag,
//! or use the variable `MACHINE_ROOT`.
//!
//! # Environment
//! A unit has `PATH` (the machine's `/usr/local/bin` and `/opt/bin`, then the host's), `HOME`, `HOSTNAME`,
//! `MACHINE_ROOT`, `MACHINE_LOG`, `INVOCATION_ID`, `GCE_METADATA_HOST`, `GCE_METADATA_IP`, and the variables
//! of its file; none of the daemon's. `MACHINE_LOG` is the file with the unit's output: there is no journal.
//!
//! # Supported systemd settings
//! `[Unit]` Description, After, Before, Wants, Requires; `[Service]` Type=simple|exec|oneshot|notify,
//! ExecStartPre, ExecStart, ExecStop, Environment, EnvironmentFile, Restart, RestartSec,
//! StartLimitIntervalSec, StartLimitBurst, TimeoutStartSec, TimeoutStopSec, KillSignal, LimitNOFILE,
//! RemainAfterExit, WorkingDirectory, SuccessExitStatus; `[Path]` PathExists, PathChanged, Unit; `[Install]`
//! WantedBy; targets. Any other setting gets a line on the machine's console. A required unit that fails
//! keeps the units ordered after it from starting; it doesn't stop running ones.

mod cloud_config;
mod control;
mod error;
mod guest;
mod init;
mod layout;
mod mounts;
mod paths;
mod presence;
mod processes;
mod runtime;
pub mod search;
mod spec;
mod unit;

pub use error::GuestError;
pub use guest::Guest;
pub use init::init;
pub use processes::root_of_socket;
pub use runtime::{Attributes, Machine, Processes, Runtime};
pub use spec::{DiskId, DiskSpace, GuestSpec, MachineDisk, NewFile, UnitState, UnitStatus};
