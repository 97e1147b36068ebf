//! State shared by all parts of the init process.

use std::{
    cell::{Cell, RefCell},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use super::{log::Console, reaper::Reaper};
use crate::{layout::Layout, paths::Root, search, spec::GuestSpec};

pub struct Machine {
    pub layout: Layout,
    /// The machine's directory, open: the path to its sockets.
    pub dir: File,
    pub root: Root,
    pub spec: GuestSpec,
    /// The present lines of `ssh-keys`: first the specification's.
    pub ssh_keys: watch::Sender<Vec<String>>,
    pub hostname: RefCell<String>,
    pub console: Console,
    pub reaper: Reaper,
    /// Notified when a file was written: path units check again.
    pub files_changed: Notify,
    pub shutting_down: Cell<bool>,
    /// The tasks that copy the units' output to their logs.
    pub logs: TaskTracker,
    /// util-linux's setpriv, which makes the kernel kill a process together with its parent.
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
        let setpriv = search::find_in_path("setpriv", &search::host_path()).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "setpriv is missing; install util-linux",
            )
        })?;
        Ok(Self {
            dir: File::open(layout.dir())?,
            console: Console::open(layout.console())?,
            ssh_keys: watch::Sender::new(spec.ssh_keys.clone()),
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

    /// Waits until all output of the units, which have ended, is in their logs. Doesn't wait for an escaped
    /// process that still holds a pipe.
    pub async fn end_logs(&self) {
        self.logs.close();
        if timeout(Duration::from_secs(1), self.logs.wait())
            .await
            .is_err()
        {
            self.console
                .say("A log was still being written to: a process has escaped.");
        }
    }
}
