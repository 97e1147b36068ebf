//! The processes of a home, from /proc.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    /// Its arguments, separated by spaces.
    pub command: String,
}

impl Process {
    /// Every process that works for this home: its arguments or working directory contain the home's path.
    /// (True for the daemon, the machines' inits and all their units.)
    pub fn all_of(home: &Path) -> Vec<Self> {
        let own = std::process::id();
        let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| *pid != own)
            .filter_map(|pid| Self::of(pid, home))
            .collect()
    }

    /// `None` for unrelated processes, and for one that has exited (a zombie has no arguments).
    fn of(pid: u32, home: &Path) -> Option<Self> {
        let directory = Path::new("/proc").join(pid.to_string());
        let arguments = std::fs::read(directory.join("cmdline")).ok()?;
        let works_in_home =
            std::fs::read_link(directory.join("cwd")).is_ok_and(|cwd| cwd.starts_with(home));
        let home = home.as_os_str().as_bytes();
        let names_home = arguments.windows(home.len()).any(|window| window == home);
        let arguments = arguments
            .split(|byte| *byte == 0)
            .collect::<Vec<_>>()
            .join(&b' ');
        let command = std::ffi::OsString::from_vec(arguments)
            .to_string_lossy()
            .trim()
            .to_owned();
        (names_home || works_in_home).then_some(Self {
            pid: pid.try_into().ok()?,
            command,
        })
    }

    /// Whether it runs the program with this name.
    pub fn runs(&self, program: &str) -> bool {
        let file = self.command.split(' ').next().unwrap_or_default();
        Path::new(file).file_name() == Some(OsStr::new(program))
    }

    pub fn etcds_of(home: &Path) -> BTreeSet<i32> {
        let all = Self::all_of(home).into_iter();
        all.filter(|process| process.runs("etcd"))
            .map(|process| process.pid)
            .collect()
    }

    /// Sends a signal. It may have exited already.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.pid), signal);
    }

    /// Kills every process of the home, including new ones, and returns those that survive.
    pub fn kill_all_of(home: &Path) -> Vec<Self> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = Self::all_of(home);
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            left.iter()
                .for_each(|process| process.signal(Signal::SIGKILL));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
