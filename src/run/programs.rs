//! Finds the programs that the local cloud's machines run.

use crate::error::{Error, Result};
use crate::machine::{Program, Programs};
use crate::settings::Settings;
use std::path::{Path, PathBuf};

/// etcd must be there; Kubernetes' own programs are used when all of them are, else stand-ins.
///
/// # Errors
/// No etcd, or `--kube-binaries` names a directory that lacks one.
pub fn find(settings: &Settings, path: &str) -> Result<Programs> {
    let hakube = std::env::current_exe()
        .map_err(|error| Error::failed("could not find this program's own file").because(error))?;
    let stand_in = Program::StandIn { hakube };
    let [api_server, controller_manager, scheduler] =
        kubernetes(settings, path)?.unwrap_or_else(|| [(); 3].map(|()| stand_in.clone()));
    Ok(Programs {
        etcd: Program::Host(etcd(settings, path)?),
        kube_apiserver: api_server,
        kube_controller_manager: controller_manager,
        kube_scheduler: scheduler,
        // A kubelet needs root and a container runtime; the local cloud's nodes have neither.
        kubelet: stand_in,
    })
}

fn etcd(settings: &Settings, path: &str) -> Result<PathBuf> {
    const HINT: &str = "install it (Debian and Ubuntu: apt-get install etcd-server), or name the file: --etcd-binary FILE";
    match &settings.etcd.binary {
        Some(file) if is_executable(file) => Ok(file.clone()),
        Some(file) => Err(Error::bad_input(format!(
            "{} (from HAKUBE_ETCD_BINARY or --etcd-binary) is not an executable file",
            file.display()
        ))
        .hint(HINT)),
        None => in_path("etcd", path).ok_or_else(|| {
            Error::bad_input("there is no etcd in PATH, and replicas run a real one").hint(HINT)
        }),
    }
}

fn kubernetes(settings: &Settings, path: &str) -> Result<Option<[Program; 3]>> {
    const NAMES: [&str; 3] = [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ];
    let found = NAMES.map(|name| match &settings.kube_binaries {
        Some(directory) => Some(directory.join(name)).filter(|file| is_executable(file)),
        None => in_path(name, path),
    });
    match (found, &settings.kube_binaries) {
        ([Some(api), Some(manager), Some(scheduler)], _) => {
            Ok(Some([api, manager, scheduler].map(Program::Host)))
        }
        (found, Some(directory)) => {
            let missing = NAMES.iter().zip(&found).filter(|(_, file)| file.is_none());
            let missing: Vec<&str> = missing.map(|(name, _)| *name).collect();
            Err(Error::bad_input(format!(
                "{} (from HAKUBE_KUBE_BINARIES or --kube-binaries) has no executable {}",
                directory.display(),
                missing.join(", ")
            ))
            .hint("put the three programs of one Kubernetes release there, or leave the setting out for stand-ins"))
        }
        (_, None) => Ok(None),
    }
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
