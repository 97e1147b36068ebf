//! Logs of limited size: the console, and the output of every unit.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    rc::Rc,
};

use jiff::{Timestamp, Unit};
use tokio::{io::AsyncReadExt, net::unix::pipe};

use crate::layout::append;

/// The size at which a log is rotated to `NAME.1`, replacing an older one, in bytes.
const LIMIT: u64 = 10 << 20;

pub struct Log {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Log {
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let file = append(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size })
    }

    /// Appends. On a full disk, output is dropped and the service keeps running.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.size + bytes.len() as u64 > LIMIT && self.size > 0 {
            self.rotate();
        }
        if self.file.write_all(bytes).is_ok() {
            self.size += bytes.len() as u64;
        }
    }

    fn rotate(&mut self) {
        let mut old = self.path.clone().into_os_string();
        old.push(".1");
        if fs::rename(&self.path, old).is_ok()
            && let Ok(file) = append(&self.path)
        {
            self.file = file;
        }
        // Even if that failed: no retry for every line.
        self.size = 0;
    }
}

pub struct Console(RefCell<Log>);

impl Console {
    pub fn open(path: PathBuf) -> io::Result<Self> {
        Log::open(path).map(|log| Self(RefCell::new(log)))
    }

    /// Writes one line, with the time.
    pub fn say(&self, line: impl AsRef<str>) {
        let now = Timestamp::now()
            .round(Unit::Millisecond)
            .unwrap_or_else(|_| Timestamp::now());
        self.0
            .borrow_mut()
            .write(format!("{now:.3} {}\n", line.as_ref()).as_bytes());
    }
}

/// Copies the output of a unit's processes until the last one has closed the pipe.
pub async fn copy(mut output: pipe::Receiver, log: Rc<RefCell<Log>>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = output.read(&mut buffer).await {
        log.borrow_mut().write(&buffer[..length]);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keeps_one_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        fs::write(&path, vec![b'a'; LIMIT as usize]).unwrap();
        let mut log = Log::open(path.clone()).unwrap();
        log.write(b"new\n");
        assert_eq!(fs::read(&path).unwrap(), b"new\n");
        assert_eq!(
            fs::metadata(dir.path().join("x.log.1")).unwrap().len(),
            LIMIT
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
