//! Opens files below a directory only: the kernel refuses every path that leads outside, by `..` or
//! by a link, while it opens the file.

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::File;
use std::io;
use std::path::Path;

/// Why a file wasn't opened.
#[derive(Debug)]
pub enum Refusal {
    /// There is no such file, or it isn't a regular file.
    Absent,
    /// The path leads outside the directory.
    Outside,
    /// It can't be read.
    Unreadable(io::Error),
}

/// A directory.
#[derive(Debug)]
pub struct Root(File);

impl Root {
    /// Opens the directory itself.
    ///
    /// # Errors
    /// It doesn't exist, or can't be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if !file.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self(file))
    }

    /// Opens a regular file below it, and returns its size.
    ///
    /// # Errors
    /// It doesn't exist, or the path leads outside.
    pub fn file(&self, path: &Path) -> Result<(File, u64), Refusal> {
        let how = OpenHow::new()
            // A named pipe is opened without waiting for a process at its other end.
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let file = match openat2(&self.0, path, how) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENXIO | Errno::ENAMETOOLONG) => {
                return Err(Refusal::Absent);
            }
            Err(Errno::EXDEV | Errno::ELOOP) => return Err(Refusal::Outside),
            Err(error) => return Err(Refusal::Unreadable(error.into())),
        };
        let metadata = file.metadata().map_err(Refusal::Unreadable)?;
        if metadata.is_file() {
            Ok((file, metadata.len()))
        } else {
            Err(Refusal::Absent)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_of_the_directory_are_opened() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("mirror");
        std::fs::create_dir_all(directory.join("sub")).unwrap();
        std::fs::write(directory.join("sub/file"), "inside").unwrap();
        std::fs::write(scratch.path().join("secret"), "outside").unwrap();
        symlink("../secret", directory.join("up")).unwrap();
        symlink("/etc/passwd", directory.join("absolute")).unwrap();
        symlink("..", directory.join("parent")).unwrap();
        symlink("sub/file", directory.join("within")).unwrap();
        nix::unistd::mkfifo(&directory.join("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let root = Root::open(&directory).unwrap();
        for path in ["sub/file", "within"] {
            assert_eq!(root.file(path.as_ref()).unwrap().1, 6, "{path}");
        }
        for path in [
            "../secret",
            "sub/../../secret",
            "up",
            "absolute",
            "parent/secret",
            "/etc/passwd",
        ] {
            let refusal = root.file(path.as_ref());
            assert!(
                matches!(refusal, Err(Refusal::Outside)),
                "{path}: {refusal:?}"
            );
        }
        for path in ["sub", "none", "pipe", "sub/file/x"] {
            let refusal = root.file(path.as_ref());
            assert!(
                matches!(refusal, Err(Refusal::Absent)),
                "{path}: {refusal:?}"
            );
        }
        assert!(Root::open(&directory.join("sub/file")).is_err());
    }
}
