//! What every part of the init process shares.

use std::{
    cell::{Cell, RefCell},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};
use tokio_util::task::TaskTracker;

use super::{log::Console, reaper::Reaper};
use crate::machine::{GuestSpec, layout::Layout, paths::Root};

/// The machine, seen from inside.
pub struct Machine {
    pub layout: Layout,
    /// The machine's directory, open: the way to its sockets.
    pub dir: File,
    pub root: Root,
    pub spec: GuestSpec,
    pub hostname: RefCell<String>,
    pub console: Console,
    pub reaper: Reaper,
    /// Notified when a file was put: path units look again.
    pub files_changed: Notify,
    pub shutting_down: Cell<bool>,
    /// The tasks that copy what units write to their logs.
    pub logs: TaskTracker,
    /// util-linux's setpriv: it has the kernel kill a process together with its parent.
    pub setpriv: PathBuf,
}

impl Machine {
    pub fn open(dir: &Path) -> io::Result<Self> {
        let layout = Layout::new(std::path::absolute(dir)?);
        layout.create()?;
        let spec: GuestSpec = serde_json::from_slice(&fs::read(layout.spec())?)?;
        let root = Root::new(&layout.root()).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the machine's path is not UTF-8",
            )
        })?;
        let setpriv = find_in_path("setpriv", &host_path()).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "setpriv is missing; it is part of the package util-linux",
            )
        })?;
        Ok(Self {
            dir: File::open(layout.dir())?,
            console: Console::open(layout.console())?,
            hostname: RefCell::new(spec.name.clone()),
            layout,
            root,
            spec,
            reaper: Reaper::default(),
            files_changed: Notify::new(),
            shutting_down: Cell::new(false),
            logs: TaskTracker::new(),
            setpriv,
        })
    }

    /// Waits until everything that the units have written is in their logs. They have ended, so it is
    /// there to be read; a process that got away with its pipe is not waited for.
    pub async fn end_logs(&self) {
        self.logs.close();
        if timeout(Duration::from_secs(1), self.logs.wait())
            .await
            .is_err()
        {
            self.console
                .say("A log was still being written to: a process has got away.");
        }
    }
}

/// The search path that this process was started with.
pub fn host_path() -> String {
    std::env::var("PATH").unwrap_or_else(|_| {
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()
    })
}

/// The first executable of that name in a search path.
pub fn find_in_path(name: &str, path: &str) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|dir| dir.join(name))
        .find(|file| check_executable(file).is_ok())
}

/// Whether this process may execute the file, and if not, the reason that the kernel would give.
pub fn check_executable(file: &Path) -> io::Result<()> {
    if fs::metadata(file)?.is_dir() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(rustix::fs::access(file, rustix::fs::Access::EXEC_OK)?)
}
