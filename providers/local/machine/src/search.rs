//! Finds programs of this host by name.
//!
//! Relative entries of the search path are skipped: they depend on the working directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The search path if none is set.
const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The search path that this process was started with, absolute entries only.
pub fn host_path() -> String {
    std::env::var_os("PATH").map_or_else(|| USUAL.to_owned(), |path| absolute_entries(&path))
}

fn absolute_entries(path: &OsStr) -> String {
    let entries: Vec<String> = std::env::split_paths(path)
        .filter(|entry| entry.is_absolute())
        .filter_map(|entry| entry.into_os_string().into_string().ok())
        .collect();
    entries.join(":")
}

/// The first executable of that name in a search path.
pub fn find_in_path(name: &str, path: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| check_executable(file).is_ok())
}

/// Whether this process may execute the file; if not, with the kernel's error.
pub fn check_executable(file: &Path) -> io::Result<()> {
    if fs::metadata(file)?.is_dir() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(rustix::fs::access(file, rustix::fs::Access::EXEC_OK)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn entries_that_are_not_absolute_are_left_out() {
        let path = OsStr::from_bytes(b"bin::.:/usr/bin:../x:/jos\xe9:/bin");
        assert_eq!(absolute_entries(path), "/usr/bin:/bin");
        assert_eq!(find_in_path("sh", "bin:/nowhere:."), None);
        assert!(
            find_in_path("sh", "bin:/usr/bin:/bin")
                .unwrap()
                .is_absolute()
        );
    }
}
