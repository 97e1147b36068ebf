//! This host's programs, which the local cloud's machines use.

use hakube_error::{Error, Result};
use hakube_model::Program;
use std::path::{Path, PathBuf};

const HINT: &str = "install it (Debian and Ubuntu: apt-get install etcd-server), or set its path: --etcd-binary FILE";

/// The etcd that the operator set.
///
/// # Errors
/// It isn't executable.
pub fn etcd(file: &Path) -> Result<Program> {
    if is_executable(file) {
        return Ok(Program::Installed(file.to_owned()));
    }
    Err(Error::bad_input(format!(
        "{} (from HAKUBE_ETCD_BINARY or --etcd-binary) is not an executable file",
        file.display()
    ))
    .hint(HINT))
}

/// The etcd in the search path.
///
/// # Errors
/// There is none.
pub fn etcd_in(path: &str) -> Result<Program> {
    in_path("etcd", path)
        .map(Program::Installed)
        .ok_or_else(|| {
            let error = Error::bad_input("there is no etcd in PATH").hint(HINT);
            let skipped: Vec<String> = std::env::split_paths(path)
                .filter(|directory| !directory.is_absolute())
                .map(|directory| format!("{:?}", directory.display().to_string()))
                .collect();
            if skipped.is_empty() {
                return error;
            }
            error.because(format!(
                "skipped relative entries of PATH, because machines start in other directories: {}",
                skipped.join(", ")
            ))
        })
}

/// Kubernetes' programs in the directory that the operator set.
///
/// # Errors
/// One is missing.
pub fn kubernetes<const N: usize>(directory: &Path, names: [&str; N]) -> Result<[Program; N]> {
    let missing: Vec<&str> = names
        .into_iter()
        .filter(|name| !is_executable(&directory.join(name)))
        .collect();
    if missing.is_empty() {
        return Ok(names.map(|name| Program::Installed(directory.join(name))));
    }
    Err(Error::bad_input(format!(
        "{} (from HAKUBE_KUBE_BINARIES or --kube-binaries) has no executable {}",
        directory.display(),
        missing.join(", ")
    ))
    .hint("put the three programs of one Kubernetes release there, or leave the setting out for stand-ins"))
}

/// Kubernetes' programs in the search path, if all are there.
pub fn kubernetes_in<const N: usize>(path: &str, names: [&str; N]) -> Option<[Program; N]> {
    let found: Option<Vec<Program>> = names
        .iter()
        .map(|name| Some(Program::Installed(in_path(name, path)?)))
        .collect();
    found?.try_into().ok()
}

/// Skips relative entries: on a machine, or in another directory, they are other files.
fn in_path(name: &str, path: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn relative_entries_of_the_search_path_are_skipped_and_reported() {
        let directory = tempfile::tempdir().unwrap();
        let etcd = directory.path().join("etcd");
        std::fs::write(&etcd, "").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&etcd, mode).unwrap();
        let path = format!("bin:.:{}", directory.path().display());
        let Program::Installed(found) = etcd_in(&path).unwrap() else {
            panic!("it is installed");
        };
        assert_eq!(found, etcd);
        let error = etcd_in("bin:.:/nowhere").unwrap_err();
        let why = error.causes.join("\n");
        assert!(why.contains("\"bin\", \".\""), "{why}");
    }
}
