//! Processes, identified by id and start time, because ids are reused.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One process, never a successor with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub pid: i32,
    /// In clock ticks since the kernel started.
    started: u64,
}

impl Process {
    /// `None` if there is no such process, or only a zombie.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it may contain anything, even parentheses. Fields: proc(5), from the third on.
        let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        let started = fields.get(19)?.parse().ok()?;
        Some(Self { pid, started })
    }

    pub fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(self, signal: Signal) {
        self.signal_if(signal, || true);
    }

    pub fn kill(self) {
        self.signal(Signal::KILL);
    }

    /// Sends a signal if `still` holds at a time when the id can't have been reused.
    pub fn signal_if(self, signal: Signal, still: impl FnOnce() -> bool) {
        let pidfd = Pid::from_raw(self.pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let Some(Ok(pidfd)) = pidfd else {
            return;
        };
        if self.lives() && still() {
            // If it ends before the signal arrives, nothing is left to do.
            let _ = pidfd_send_signal(&pidfd, signal);
        }
    }

    /// Whether it is stopped by SIGSTOP.
    pub fn is_stopped(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        self.lives() && stat[stat.rfind(')').unwrap_or(0)..].starts_with(") T")
    }

    /// Its id in each PID namespace, from this one inwards.
    pub fn ids(self) -> Vec<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let ids = line.unwrap_or_default().split_whitespace();
        ids.filter_map(|id| id.parse().ok()).collect()
    }

    /// The names of its program: its comm, its `argv[0]` and its executable file.
    pub fn names(self) -> Vec<String> {
        let file = |path: &str| {
            let name = Path::new(path).file_name();
            name.map(|name| name.to_string_lossy().into_owned())
        };
        let comm = fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        let command = self.command_line();
        let called = command.split(' ').next().and_then(file);
        let exe = fs::read_link(format!("/proc/{}/exe", self.pid)).ok();
        let exe = exe.and_then(|exe| file(&exe.to_string_lossy()));
        let names = [Some(comm.trim_end().to_owned()), called, exe];
        names.into_iter().flatten().collect()
    }

    /// Its arguments, separated by spaces.
    pub fn command_line(self) -> String {
        let bytes = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        line.trim_end().to_owned()
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.pid, self.started)
    }
}

impl FromStr for Process {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split_whitespace();
        let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok());
        match (number(), number()) {
            (Some(pid), Some(started)) => Ok(Self {
                pid: i32::try_from(pid).map_err(|error| error.to_string())?,
                started,
            }),
            _ => Err(format!("not a process id and a start time: {text:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_process_is_not_its_successor() {
        let own = Process::of(std::process::id() as i32).unwrap();
        assert!(own.lives());
        assert_eq!(own.to_string().parse(), Ok(own));
        let successor = Process {
            started: own.started + 1,
            ..own
        };
        assert!(!successor.lives());
    }

    #[test]
    fn a_zombie_counts_as_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id() as i32;
        crate::until("true has ended", std::time::Duration::from_secs(5), || {
            Process::of(pid).is_none()
        })
        .unwrap();
        child.wait().unwrap();
    }
}
