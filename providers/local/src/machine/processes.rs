//! The processes of a machine, found in /proc: descendants of the init process (a subreaper, so that
//! none gets away from it while it lives) and those that carry its mark in their environment.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt as _,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use tokio::time::{Instant, sleep};

/// One process, as /proc/PID/stat has it.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub pid: Pid,
    pub parent: i32,
    pub group: i32,
    /// `R`, `S`, `T` (stopped), `Z` (dead, not reaped), …
    pub state: char,
}

/// How long a signalled process may take to die or stop: it does so at once unless the kernel is busy
/// with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads one process.
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

/// Every living process on the host.
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

/// The living descendants of a process.
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
pub fn variable(pid: Pid, name: &str) -> Option<OsString> {
    let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut entries = environ.split(|byte| *byte == 0);
    entries.find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(OsString::from_vec(value.to_vec()))
    })
}

/// The processes that have a socket open, of those that this one may look into.
pub fn with_socket(inode: u64) -> Vec<Pid> {
    let wanted = format!("socket:[{inode}]");
    let has_it = |pid: Pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd"));
        let mut files = files.into_iter().flatten().flatten();
        files.any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == &*wanted))
    };
    let all = all().into_iter().map(|process| process.pid);
    all.filter(|pid| has_it(*pid)).collect()
}

/// The processes of a machine: below its init process, if that lives, or with the machine's mark.
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

/// Sends a signal to a process if it still is the one that was found.
pub fn signal(process: &Process, signal: Signal) -> io::Result<()> {
    let fd = match pidfd_open(process.pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // An orphan gets a new parent, but a number that was given to another process also gets another
    // group with next to certainty.
    if read(process.pid).is_none_or(|now| now.group != process.group) {
        return Ok(());
    }
    match pidfd_send_signal(fd, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Signals the machine's processes, and those that they make meanwhile, until all of them are
/// `settled` (which is also told whether the process has had the signal). The init process has to be
/// stopped or dead, or it would start others.
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
