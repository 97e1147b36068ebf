//! Processes that hang.

use std::time::Duration;

use rustix::process::Signal;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::namespace;
use crate::process::Process;
use crate::until::until;

/// Which processes of a host, those in its containers included.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Those whose program has this name: its file's, or what it is called.
    Program(&'a str),
    /// Those with this in their command line.
    CommandLine(&'a str),
    /// The one with this id in the host.
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
    /// Stops processes: they are there, and do nothing, until [`Host::thaw`]. Returns their ids in the host, at least
    /// one.
    pub fn freeze<'a>(&self, which: impl Into<Which<'a>>) -> Result<Vec<u32>> {
        self.signal(which.into(), Signal::STOP, true)
    }

    /// Lets them go on.
    pub fn thaw<'a>(&self, which: impl Into<Which<'a>>) -> Result<Vec<u32>> {
        self.signal(which.into(), Signal::CONT, false)
    }

    fn signal(&self, which: Which<'_>, signal: Signal, stopped: bool) -> Result<Vec<u32>> {
        self.launcher_or_off()?;
        let found = self.which(which);
        if found.is_empty() {
            let what = format!("there is no such process on {}: {which:?}", self.name);
            return Err(Error::Asked(what));
        }
        for (process, _) in &found {
            process.signal(signal);
        }
        until(
            "the processes have had the signal",
            Duration::from_secs(10),
            || {
                let mut living = found.iter().filter(|(process, _)| process.lives());
                living.all(|(process, _)| process.is_stopped() == stopped)
            },
        )?;
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }

    /// With their ids in the host.
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
