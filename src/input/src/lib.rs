//! Reads files whose names the operator gives.
//!
//! A name may refer to anything: a regular file, the pipe of a shell's `<(...)`, a FIFO without a
//! writer, an endless device, a directory. Reading is limited in size and, if bytes come from
//! another process, in time, so it never blocks forever.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

/// The limit for keys, tokens, settings, lists of hosts.
pub const SMALL: u64 = 4 << 20;

/// The limit for manifests.
pub const LARGE: u64 = 64 << 20;

/// The timeout for a pipe's writer.
const PATIENCE: Duration = Duration::from_secs(10);

const CHUNK: usize = 64 * 1024;

/// Reads the content, of up to `limit` bytes.
///
/// # Errors
/// It can't be opened or read, is a directory or a socket, exceeds the limit, or has no writer.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_within(path, limit, PATIENCE)
}

/// Reads the content as text.
///
/// # Errors
/// The errors of [`read`], or it isn't UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read(path, limit)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it isn't valid UTF-8"))
}

fn read_within(path: &Path, limit: u64, patience: Duration) -> io::Result<Vec<u8>> {
    // Without this flag, opening a FIFO blocks until there is a writer. It doesn't affect regular files.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_dir() {
        return Err(io::Error::new(
            ErrorKind::IsADirectory,
            "it is a directory, not a file",
        ));
    }
    if kind.is_block_device() {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is a disk, not a file",
        ));
    }
    drain(&file, limit, patience)
}

fn drain(mut file: &File, limit: u64, patience: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + patience;
    let is_pipe = file.metadata()?.file_type().is_fifo();
    let mut content = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            // A FIFO that hasn't been opened for writing reads like one at its end.
            Ok(0) if is_pipe && content.is_empty() => {
                if until_readable(file, deadline)? == Wait::Ended {
                    return Ok(content);
                }
            }
            Ok(0) => return Ok(content),
            Ok(count) => content.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                until_readable(file, deadline)?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if u64::try_from(content.len()).unwrap_or(u64::MAX) > limit {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                format!("it is longer than {} MB", limit >> 20),
            ));
        }
        if Instant::now() > deadline && is_pipe {
            return Err(nobody_writes());
        }
    }
}

#[derive(PartialEq, Eq)]
enum Wait {
    Readable,
    /// Its writers closed it without writing.
    Ended,
}

fn until_readable(file: &File, deadline: Instant) -> io::Result<Wait> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).map_err(|_| ErrorKind::InvalidInput)?;
    let mut sources = [PollFd::new(file, PollFlags::IN)];
    match poll(&mut sources, Some(&timeout)) {
        Ok(0) => Err(nobody_writes()),
        Ok(_) if sources[0].revents().contains(PollFlags::IN) => Ok(Wait::Readable),
        Ok(_) => Ok(Wait::Ended),
        Err(rustix::io::Errno::INTR) => Ok(Wait::Readable),
        Err(error) => Err(error.into()),
    }
}

fn nobody_writes() -> io::Error {
    io::Error::new(
        ErrorKind::TimedOut,
        "it is a pipe or a device whose writer did not finish in time",
    )
}

#[cfg(test)]
mod tests;
