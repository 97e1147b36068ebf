//! The handle by which others hold a machine.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{GuestError, GuestSpec, UnitStatus};

/// A machine, by its directory. It need not exist or run; holding one costs nothing.
#[derive(Clone, Debug)]
pub struct Guest {
    dir: PathBuf,
}

impl Guest {
    /// The machine in `dir`, which [`boot`](Self::boot) makes when it is missing.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The machine's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Boots the machine and returns once its init process answers; a machine that runs already is
    /// left alone. `init_command` is the argv of a process that calls [`init`](super::init) with its
    /// last argument, which is the machine's directory.
    pub async fn boot(
        &self,
        spec: &GuestSpec,
        init_command: &[OsString],
    ) -> Result<(), GuestError> {
        let _ = (spec, init_command);
        Err(GuestError::NotRunning {
            dir: self.dir.clone(),
        })
    }

    /// Whether the init process lives, paused or not.
    pub async fn is_running(&self) -> bool {
        false
    }

    /// Resolves when the init process is gone; at once when there is none.
    pub async fn exited(&self) {}

    /// Stops the units in reverse order, then the machine. Absent is success. A paused machine
    /// cannot hear the power button: its power is cut.
    pub async fn shut_down(&self) -> Result<(), GuestError> {
        Ok(())
    }

    /// Cuts the power: SIGKILL to the init process and every process of the machine. Absent is success.
    pub async fn kill(&self) -> Result<(), GuestError> {
        Ok(())
    }

    /// Stops (SIGSTOP) every process of the machine.
    pub async fn pause(&self) -> Result<(), GuestError> {
        Ok(())
    }

    /// Continues (SIGCONT) every process of the machine.
    pub async fn resume(&self) -> Result<(), GuestError> {
        Ok(())
    }

    /// Writes a file of the machine, atomically and with exactly this mode. `path` is absolute in the
    /// machine. Missing parent directories are made. Path units see the file before this returns.
    pub async fn put_file(&self, path: &str, mode: u32, content: &[u8]) -> Result<(), GuestError> {
        let _ = (path, mode, content);
        Ok(())
    }

    /// The machine's units, by name.
    pub async fn units(&self) -> Result<Vec<UnitStatus>, GuestError> {
        Ok(Vec::new())
    }

    /// The file with the machine's console: boots, units that start and end, what was not carried out.
    pub fn console(&self) -> PathBuf {
        self.dir.join("console.log")
    }

    /// The file with a unit's output. The suffix `.service` may be left out.
    pub fn unit_log(&self, unit: &str) -> PathBuf {
        let name = if unit.contains('.') {
            unit.to_owned()
        } else {
            format!("{unit}.service")
        };
        self.dir.join("logs").join(format!("{name}.log"))
    }
}
