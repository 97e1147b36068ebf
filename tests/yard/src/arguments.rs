//! The command line of `yard`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Hosts to test on. They are machines of systemd-nspawn on this one: Debian with systemd and sshd, a disk, a power
/// button and a network cable. They are on a network of their own, without a way out.
///
/// Start with `yard up NAME --hosts a,b,c` in one terminal; the other commands work from any other. Takes root.
#[derive(Debug, Parser)]
#[command(name = "yard", version)]
pub(crate) struct Arguments {
    /// Which yard, if there are several: its name, or its id from `yard list` [env: HAKUBE_YARD]
    #[arg(long, global = true, value_name = "NAME")]
    pub yard: Option<String>,
    #[command(subcommand)]
    pub what: Do,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Do {
    /// Open a yard, boot hosts, and keep them until Ctrl-C or `yard down`, or until COMMAND ends
    Up(Up),
    /// Boot one more host
    Boot(Boot),
    /// Run a command in a host, as root
    Run {
        /// The host
        host: String,
        /// The command, after `--`
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Open a shell in a host; without HOST, a shell of this machine in the yard's network
    Shell {
        /// The host
        host: Option<String>,
    },
    /// Log in to a host with ssh, or run a command there
    Ssh {
        /// The host
        host: String,
        /// Who: root, or op, who has sudo
        #[arg(long, default_value = "root")]
        user: String,
        /// The command, after `--`
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Run a command of this machine in the yard's network, where it is 10.77.0.1
    Exec {
        /// The command, after `--`
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Print what a host has written on its console
    Console {
        /// The host
        host: String,
    },
    /// Cut a host's power: all that runs there ends at once, its disk stays
    Cut {
        /// The host
        host: String,
    },
    /// Switch a host's power on again, and wait until it has booted
    On {
        /// The host
        host: String,
    },
    /// Shut a host down cleanly
    Off {
        /// The host
        host: String,
    },
    /// Shut a host down cleanly, let it boot again, and wait for that
    Reboot {
        /// The host
        host: String,
    },
    /// Pull a host's network cable
    Unplug {
        /// The host
        host: String,
    },
    /// Plug a host's network cable in again
    Plug {
        /// The host
        host: String,
    },
    /// Fill a host's disk
    Fill {
        /// The host
        host: String,
    },
    /// Give back the room that `fill` took
    Free {
        /// The host
        host: String,
    },
    /// Let nothing pass between two groups of hosts: `yard split a b,c`
    Split {
        /// Hosts, with commas between
        some: String,
        /// Hosts, with commas between
        others: String,
    },
    /// Undo every split
    Heal,
    /// Stop processes of a host; they stay there and do nothing
    Freeze(Processes),
    /// Let stopped processes of a host go on
    Thaw(Processes),
    /// List the yards of this machine and their hosts
    List,
    /// End a yard: tell its owner to, and wait until nothing of it is left
    Down,
    /// Remove what is left of yards whose owner was killed
    Clean,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// What to call the yard: a-z, 0-9 and -
    pub name: String,
    /// The hosts to boot, with commas between
    #[arg(long, value_delimiter = ',', default_value = "a,b,c")]
    pub hosts: Vec<String>,
    /// The directory to put the yard's data in, disks too [default: $TMPDIR, or /tmp]
    #[arg(long)]
    pub directory: Option<PathBuf>,
    #[command(flatten)]
    pub spec: Spec,
    /// A command of this machine to run in the yard's network, after `--`; the yard ends with it
    #[arg(last = true)]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Boot {
    /// What to call the host: a-z, 0-9 and -
    pub host: String,
    #[command(flatten)]
    pub spec: Spec,
}

#[derive(Debug, Args)]
pub(crate) struct Spec {
    /// The size of a host's disk in MiB [default: 16384]
    #[arg(long, value_name = "MIB")]
    pub disk: Option<u64>,
    /// A directory whose files lie over Debian's on each host; may be given several times
    #[arg(long = "layer", value_name = "DIRECTORY")]
    pub layers: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Processes {
    /// The host
    pub host: String,
    /// A program's name, or a process id as it is in the host
    pub process: String,
    /// PROCESS is a part of a command line
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
