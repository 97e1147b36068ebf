//! Identifies processes, to tell whether the one that wrote a record is still running under its pid.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process of a Linux kernel, distinguished from others with the same pid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pid: u32,
    /// When it started, in clock ticks since boot (proc(5), /proc/pid/stat, field 22).
    started: u64,
    /// The scope of these numbers: a boot of a kernel, and a pid namespace.
    realm: String,
}

impl Process {
    /// Observes a running process of this host; `None` if its identity can't be determined.
    pub fn observe(pid: u32) -> Option<Self> {
        match stat(pid)? {
            (State::Running, started) => Some(Self {
                pid,
                started,
                realm: realm()?,
            }),
            (State::Dead, _) => None,
        }
    }

    /// Whether this process has certainly ended. For a process of another host, or from before this
    /// host's last boot, this is unknown.
    pub fn is_gone(&self) -> bool {
        if realm().as_ref() != Some(&self.realm) {
            return false;
        }
        match stat(self.pid) {
            Some((State::Running, started)) => started != self.started,
            Some((State::Dead, _)) => true,
            // /proc may hide other users' processes (hidepid), but kill doesn't.
            None => i32::try_from(self.pid)
                .is_ok_and(|pid| kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH)),
        }
    }
}

enum State {
    Running,
    /// A zombie: it ended, but its parent hasn't waited for it.
    Dead,
}

fn stat(pid: u32) -> Option<(State, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name, is in parentheses and may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = match fields.next()? {
        "Z" | "X" | "x" => State::Dead,
        _ => State::Running,
    };
    // After field 3; the start time is field 22.
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

fn realm() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_distinguished_from_another_with_its_pid() {
        let this = Process::observe(std::process::id()).unwrap();
        assert!(!this.is_gone());
        let earlier = Process {
            started: this.started - 1,
            ..this.clone()
        };
        assert!(earlier.is_gone());
        // The same numbers on another kernel or after a reboot prove nothing.
        let elsewhere = Process {
            realm: "another".into(),
            ..earlier
        };
        assert!(!elsewhere.is_gone());
    }
}
