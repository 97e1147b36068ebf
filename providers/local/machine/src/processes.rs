//! The processes of a machine, found in /proc: descendants of the init process (a subreaper, so none escapes
//! while it lives) and processes with the machine's environment variable.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt as _,
    path::PathBuf,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use tokio::time::{Instant, sleep};

/// A process, from /proc/PID/stat.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub pid: Pid,
    pub parent: i32,
    pub group: i32,
    /// `R`, `S`, `T` (stopped), `Z` (dead, not reaped), …
    pub state: char,
}

/// How long a signalled process may take to die or stop. It does so at once unless it is blocked in the
/// kernel.
const PATIENCE: Duration = Duration::from_secs(10);

/// The name of the environment variable that marks every process of a machine.
const MARK: &str = "MACHINE_ROOT";

/// The root directory of the machine whose process has this socket open.
pub fn root_of_socket(inode: u64) -> Option<PathBuf> {
    let owners = with_socket(inode);
    owners
        .into_iter()
        .find_map(|pid| variable(pid, MARK).map(PathBuf::from))
}

/// The environment variable (`NAME=VALUE`) that marks every process of a machine.
pub fn mark(root: &str) -> String {
    format!("{MARK}={root}")
}

/// Reads a process's state.
pub fn read(pid: Pid) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may contain anything.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some(Process {
        pid,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        state,
    })
}

fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| read(Pid::from_raw(pid)?))
        .filter(|process| !matches!(process.state, 'Z' | 'X'))
        .collect()
}

pub fn descendants(ancestor: Pid) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<Process>> = BTreeMap::new();
    for process in all() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = children.remove(&ancestor.as_raw_pid()).unwrap_or_default();
    let mut next = 0;
    while let Some(process) = found.get(next) {
        let below = children.remove(&process.pid.as_raw_pid());
        found.extend(below.unwrap_or_default());
        next += 1;
    }
    found
}

/// Whether the process was started with this variable (`NAME=VALUE`) in its environment.
pub fn has_variable(pid: Pid, variable: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
        environ
            .split(|byte| *byte == 0)
            .any(|entry| entry == variable.as_bytes())
    })
}

/// The value of a variable with which a process was started.
fn variable(pid: Pid, name: &str) -> Option<OsString> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut entries = environ.split(|byte| *byte == 0);
    entries.find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(OsString::from_vec(value.to_vec()))
    })
}

/// The processes that have a socket open, among those that this process may inspect.
fn with_socket(inode: u64) -> Vec<Pid> {
    let wanted = format!("socket:[{inode}]");
    let has_it = |pid: Pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd"));
        let mut files = files.into_iter().flatten().flatten();
        files.any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == &*wanted))
    };
    let all = all().into_iter().map(|process| process.pid);
    all.filter(|pid| has_it(*pid)).collect()
}

/// The processes of a machine: descendants of its init process, if it lives, or processes with the machine's
/// variable.
fn of_machine(init: Option<Pid>, mark: &str) -> Vec<Process> {
    let below = init.map(descendants).unwrap_or_default();
    let known: BTreeSet<i32> = below
        .iter()
        .map(|process| process.pid.as_raw_pid())
        .collect();
    let strays = all().into_iter().filter(|process| {
        !known.contains(&process.pid.as_raw_pid())
            && Some(process.pid) != init
            && has_variable(process.pid, mark)
    });
    below.iter().copied().chain(strays).collect()
}

/// Sends a signal to a process, unless its PID was reused.
pub fn signal(process: &Process, signal: Signal) -> io::Result<()> {
    let fd = match pidfd_open(process.pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // An orphan gets a new parent, but a process that reuses the PID is almost certainly in another group.
    if read(process.pid).is_none_or(|now| now.group != process.group) {
        return Ok(());
    }
    match pidfd_send_signal(fd, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Signals the machine's processes, and those that they spawn meanwhile, until all of them are `settled`
/// (whose second argument is whether the process was signalled). The init process must be stopped or dead,
/// or it would start more.
pub async fn signal_until(
    init: Option<Pid>,
    mark: &str,
    wanted: Signal,
    settled: impl Fn(&Process, bool) -> bool,
) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(500);
    let mut told = BTreeSet::new();
    loop {
        let mut unsettled = of_machine(init, mark);
        unsettled.retain(|process| !settled(process, told.contains(&process.pid.as_raw_pid())));
        let Some(first) = unsettled.first() else {
            return Ok(());
        };
        if Instant::now() > deadline {
            let reason = format!(
                "process {} has ignored {wanted:?} for {PATIENCE:?}",
                first.pid
            );
            return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
        }
        for process in &unsettled {
            signal(process, wanted)?;
            told.insert(process.pid.as_raw_pid());
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
