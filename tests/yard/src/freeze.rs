//! Suspended processes.

use std::time::Duration;

use rustix::process::Signal;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::namespace;
use crate::process::Process;
use crate::until::until;

/// A selection of a host's processes, including those in containers.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Processes whose program, file or `argv[0]` has this name.
    Program(&'a str),
    /// Processes with this in their command line.
    CommandLine(&'a str),
    /// The process with this id inside the host.
    Id(u32),
}

impl<'a> From<&'a str> for Which<'a> {
    fn from(program: &'a str) -> Self {
        Self::Program(program)
    }
}

impl From<u32> for Which<'_> {
    fn from(id: u32) -> Self {
        Self::Id(id)
    }
}

impl Host {
    /// Suspends processes until [`Host::thaw`]. Returns their ids inside the host, at least one.
    pub fn freeze<'a>(&self, which: impl Into<Which<'a>>) -> Result<Vec<u32>> {
        self.signal(which.into(), Signal::STOP, true)
    }

    /// Resumes processes. Returns their ids inside the host.
    pub fn thaw<'a>(&self, which: impl Into<Which<'a>>) -> Result<Vec<u32>> {
        self.signal(which.into(), Signal::CONT, false)
    }

    fn signal(&self, which: Which<'_>, signal: Signal, stopped: bool) -> Result<Vec<u32>> {
        self.launcher_or_off()?;
        let found = self.which(which);
        if found.is_empty() {
            let what = format!("no such process on {}: {which:?}", self.name);
            return Err(Error::Asked(what));
        }
        for (process, _) in &found {
            process.signal(signal);
        }
        until(
            "the processes have received the signal",
            Duration::from_secs(10),
            || {
                let mut living = found.iter().filter(|(process, _)| process.lives());
                living.all(|(process, _)| process.is_stopped() == stopped)
            },
        )?;
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }

    /// The processes, with their ids inside the host.
    fn which(&self, which: Which<'_>) -> Vec<(Process, u32)> {
        let depth = namespace::depth();
        let inner = |process: Process| Some((process, *process.ids().get(depth)?));
        let all = self.groups().members().into_iter().filter_map(inner);
        let fits = |process: Process, id: u32| match which {
            Which::Program(name) => process.names().iter().any(|own| own == name),
            Which::CommandLine(part) => process.command_line().contains(part),
            Which::Id(wanted) => id == wanted,
        };
        all.filter(|(process, id)| fits(*process, *id)).collect()
    }
}
