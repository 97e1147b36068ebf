//! The command line of `yard`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Test hosts: systemd-nspawn machines on this one. Each has Debian with systemd and sshd, a disk, a power button
/// and a network cable. Their network is isolated.
///
/// Start with `yard up NAME --hosts a,b,c` in one terminal; the other commands work from any other. Requires root.
#[derive(Debug, Parser)]
#[command(name = "yard", version)]
pub(crate) struct Arguments {
    /// The yard to use, if there are several: its name, or its id from `yard list` [env: HAKUBE_YARD]
    #[arg(long, global = true, value_name = "NAME")]
    pub yard: Option<String>,
    #[command(subcommand)]
    pub what: Do,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Do {
    /// Open a yard and boot its hosts; ends on Ctrl-C, `yard down`, or when COMMAND ends
    Up(Up),
    /// Boot another host
    Boot(Boot),
    /// Run a command on a host, as root
    Run {
        /// The host
        host: String,
        /// The command, after `--`
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Open a shell on a host; without HOST, a shell on this machine in the yard's network
    Shell {
        /// The host
        host: Option<String>,
    },
    /// Log in to a host with ssh, or run a command there
    Ssh {
        /// The host
        host: String,
        /// The user: root, or op, who can use sudo
        #[arg(long, default_value = "root")]
        user: String,
        /// The command, after `--`
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Run a command on this machine in the yard's network, where it has the address 10.77.0.1
    Exec {
        /// The command, after `--`
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Print a host's console output
    Console {
        /// The host
        host: String,
    },
    /// Cut a host's power: its processes end at once, its disk stays
    Cut {
        /// The host
        host: String,
    },
    /// Power a host on again, and wait until it has booted
    On {
        /// The host
        host: String,
    },
    /// Shut a host down cleanly
    Off {
        /// The host
        host: String,
    },
    /// Reboot a host cleanly, and wait until it has booted
    Reboot {
        /// The host
        host: String,
    },
    /// Unplug a host's network cable
    Unplug {
        /// The host
        host: String,
    },
    /// Plug a host's network cable back in
    Plug {
        /// The host
        host: String,
    },
    /// Fill a host's disk
    Fill {
        /// The host
        host: String,
    },
    /// Free the space that `fill` took
    Free {
        /// The host
        host: String,
    },
    /// Block all traffic between two groups of hosts: `yard split a b,c`
    Split {
        /// Hosts, comma-separated
        some: String,
        /// Hosts, comma-separated
        others: String,
    },
    /// Undo every split
    Heal,
    /// Suspend processes of a host
    Freeze(Processes),
    /// Resume suspended processes of a host
    Thaw(Processes),
    /// List the yards of this machine and their hosts
    List,
    /// End a yard and wait until nothing of it is left
    Down,
    /// Remove leftovers of yards whose owner was killed
    Clean,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// The yard's name: a-z, 0-9 and -
    pub name: String,
    /// The hosts to boot, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "a,b,c")]
    pub hosts: Vec<String>,
    /// The directory for the yard's data, including disks [default: $TMPDIR, or /tmp]
    #[arg(long)]
    pub directory: Option<PathBuf>,
    #[command(flatten)]
    pub spec: Spec,
    /// A command to run on this machine in the yard's network, after `--`; the yard ends with it
    #[arg(last = true)]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Boot {
    /// The host's name: a-z, 0-9 and -
    pub host: String,
    #[command(flatten)]
    pub spec: Spec,
}

#[derive(Debug, Args)]
pub(crate) struct Spec {
    /// The size of a host's disk in MiB [default: 16384]
    #[arg(long, value_name = "MIB")]
    pub disk: Option<u64>,
    /// A directory whose files overlay Debian's on each host; may be repeated
    #[arg(long = "layer", value_name = "DIRECTORY")]
    pub layers: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Processes {
    /// The host
    pub host: String,
    /// A program's name, or a process id inside the host
    pub process: String,
    /// Match PROCESS anywhere in the command line
    #[arg(long)]
    pub command_line: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
