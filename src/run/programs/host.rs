//! Programs of this host, which the local cloud's machines share.

use crate::error::{Error, Result};
use crate::machine::Program;
use std::path::{Path, PathBuf};

const HINT: &str = "install it (Debian and Ubuntu: apt-get install etcd-server), or name the file: --etcd-binary FILE";

/// The etcd that the operator names.
///
/// # Errors
/// It isn't one that can be run.
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

/// The etcd of the search path.
///
/// # Errors
/// There is none.
pub fn etcd_in(path: &str) -> Result<Program> {
    in_path("etcd", path)
        .map(Program::Installed)
        .ok_or_else(|| {
            Error::bad_input("there is no etcd in PATH, and replicas run a real one").hint(HINT)
        })
}

/// Kubernetes' programs of the directory that the operator names.
///
/// # Errors
/// One isn't there.
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

/// Kubernetes' programs of the search path, if all of them are there.
pub fn kubernetes_in<const N: usize>(path: &str, names: [&str; N]) -> Option<[Program; N]> {
    let found: Option<Vec<Program>> = names
        .iter()
        .map(|name| Some(Program::Installed(in_path(name, path)?)))
        .collect();
    found?.try_into().ok()
}

fn in_path(name: &str, path: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|directory| directory.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
