//! Full disks.

use std::fs::{self, File};
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::error::{Result, While};
use crate::host::Host;

/// Space is allocated in pieces of this size, then in smaller ones.
const PIECE: u64 = 1 << 30;
/// ext4's block size.
const BLOCK: u64 = 4096;

impl Host {
    /// Fills the host's disk, until [`Host::free_disk`]. Writes to it fail with `No space left on
    /// device`. The space is only reserved, so this machine's disk doesn't fill up.
    pub fn fill_disk(&self) -> Result<()> {
        let path = self.filler()?;
        let file = File::options().create(true).append(true).open(&path);
        let file = file.while_(|| format!("creating {}", path.display()))?;
        let mut at = file
            .metadata()
            .while_(|| "reading its size".to_owned())?
            .len();
        let mut piece = PIECE;
        while piece >= BLOCK {
            match fallocate(&file, FallocateFlags::empty(), at, piece) {
                Ok(()) => at += piece,
                Err(Errno::NOSPC) => piece /= 2,
                // A signal to one of the caller's threads.
                Err(Errno::INTR) => {}
                Err(error) => {
                    return Err(error).while_(|| format!("filling the disk of {}", self.name));
                }
            }
        }
        Ok(())
    }

    /// Frees the space that [`Host::fill_disk`] took.
    pub fn free_disk(&self) -> Result<()> {
        let path = self.filler()?;
        if path.exists() {
            fs::remove_file(&path).while_(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }

    /// A file on the host's disk, invisible to the host. Only the process that boots the host sees its mount.
    fn filler(&self) -> Result<PathBuf> {
        let launcher = self.launcher_or_off()?;
        let root = PathBuf::from(format!("/proc/{}/root", launcher.pid));
        let path = self.data("mounted/filler");
        Ok(root.join(path.strip_prefix("/").unwrap_or(&path)))
    }
}
