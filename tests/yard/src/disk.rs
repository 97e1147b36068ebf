//! Disks that run full.

use std::fs::{self, File};
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use crate::error::{Result, While};
use crate::host::Host;

/// Room is asked for in pieces of this size, then smaller ones.
const PIECE: u64 = 1 << 30;
/// A block of ext4's.
const BLOCK: u64 = 4096;

impl Host {
    /// Takes all the room on the host's disk, until [`Host::free_disk`]. Who writes there meets `No space left on
    /// device`. The room is only reserved: this machine's disk doesn't run full.
    pub fn fill_disk(&self) -> Result<()> {
        let path = self.filler()?;
        let file = File::options().create(true).append(true).open(&path);
        let file = file.while_(|| format!("making {}", path.display()))?;
        let mut at = file
            .metadata()
            .while_(|| "reading its size".to_owned())?
            .len();
        let mut piece = PIECE;
        while piece >= BLOCK {
            match fallocate(&file, FallocateFlags::empty(), at, piece) {
                Ok(()) => at += piece,
                Err(Errno::NOSPC) => piece /= 2,
                // A signal, to a thread of the caller's.
                Err(Errno::INTR) => {}
                Err(error) => {
                    return Err(error).while_(|| format!("filling the disk of {}", self.name));
                }
            }
        }
        Ok(())
    }

    /// Gives the room back that [`Host::fill_disk`] took.
    pub fn free_disk(&self) -> Result<()> {
        let path = self.filler()?;
        if path.exists() {
            fs::remove_file(&path).while_(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }

    /// On the host's disk, where the host doesn't see it. The mount is seen by the process that boots it.
    fn filler(&self) -> Result<PathBuf> {
        let launcher = self.launcher_or_off()?;
        let root = PathBuf::from(format!("/proc/{}/root", launcher.pid));
        let path = self.data("mounted/filler");
        Ok(root.join(path.strip_prefix("/").unwrap_or(&path)))
    }
}
