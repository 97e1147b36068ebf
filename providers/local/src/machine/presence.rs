//! Whether a machine's init process lives, and which process it is.
//!
//! The init process holds a record lock on a file of its directory. The kernel says who holds it and
//! drops it when that process ends, so that no process number is ever stale.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::fd::OwnedFd,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
    process::{
        Flock, FlockType, Pid, PidfdFlags, Signal, fcntl_getlk, getpid, pidfd_open,
        pidfd_send_signal,
    },
};
use tokio::net::unix::pipe;

use super::processes;

/// The lock, held for as long as this lives. Nothing else in the process may open and close the
/// file: by the rules of record locks that would drop the lock.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; `None` when another init process has it.
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::ACCESS) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // For people who look; nothing reads it.
        file.set_len(0)?;
        writeln!(file, "{}", getpid().as_raw_pid())?;
        Ok(Some(Self { _file: file }))
    }
}

/// A machine's living init process.
#[derive(Debug)]
pub struct InitProcess {
    pub pid: Pid,
    fd: OwnedFd,
}

impl InitProcess {
    /// The process that holds the lock.
    pub fn find(lock: &Path) -> io::Result<Option<Self>> {
        let file = match OpenOptions::new().read(true).write(true).open(lock) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(pid) = holder(&file)? else {
            return Ok(None);
        };
        let fd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // It held the lock before and after: the descriptor is the holder's, not a later process's.
        Ok((holder(&file)? == Some(pid)).then_some(Self { pid, fd }))
    }

    /// Sends a signal; a process that has just ended is no error.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it is stopped (SIGSTOP).
    pub fn is_stopped(&self) -> bool {
        processes::read(self.pid).is_some_and(|process| process.state == 'T')
    }

    /// Resolves when the process has ended.
    pub async fn ended(self) -> io::Result<()> {
        // A process descriptor becomes readable when the process ends. It is no pipe, but that type is
        // tokio's only safe way to wait for a descriptor that it owns (AsyncFd takes unsafe code).
        pipe::Receiver::from_owned_fd_unchecked(self.fd)?
            .readable()
            .await
    }
}

fn holder(file: &File) -> io::Result<Option<Pid>> {
    let lock = fcntl_getlk(file, &Flock::from(FlockType::WriteLock))?;
    Ok(lock.and_then(|lock| lock.pid))
}
