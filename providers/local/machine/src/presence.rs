//! Detects a machine's init process.
//!
//! The init process holds a record lock on a file of its directory. The kernel knows the holder and drops
//! the lock when that process exits, so a PID is never stale.

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

/// The lock, held until this is dropped. Nothing else in the process may open and close the file: by the
/// rules of record locks that would release the lock.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; `None` if another init process holds it.
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
        // For debugging; nothing reads it.
        file.set_len(0)?;
        writeln!(file, "{}", getpid().as_raw_pid())?;
        Ok(Some(Self { _file: file }))
    }
}

/// A machine's running init process.
#[derive(Debug)]
pub struct InitProcess {
    pub pid: Pid,
    fd: OwnedFd,
}

impl InitProcess {
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
        // It held the lock before and after, so the descriptor is the holder's, not a later process's.
        Ok((holder(&file)? == Some(pid)).then_some(Self { pid, fd }))
    }

    /// Sends a signal. A process that has just exited is not an error.
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
        // A pidfd becomes readable when the process exits. It isn't a pipe, but that type is tokio's only
        // safe way to wait for an owned descriptor (AsyncFd needs unsafe code).
        pipe::Receiver::from_owned_fd_unchecked(self.fd)?
            .readable()
            .await
    }
}

fn holder(file: &File) -> io::Result<Option<Pid>> {
    let lock = fcntl_getlk(file, &Flock::from(FlockType::WriteLock))?;
    Ok(lock.and_then(|lock| lock.pid))
}
