//! The handle of a machine.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::{
    control::{self, Request, Response},
    error::GuestError,
    layout::{Layout, append, write_atomically},
    mounts,
    paths::Root,
    presence::InitProcess,
    processes::{mark, signal_until},
    spec::{DiskSpace, GuestSpec, NewFile, UnitStatus},
};

/// How long a new init process may take to respond; it needs milliseconds.
const BOOT_PATIENCE: Duration = Duration::from_secs(20);

/// A machine, identified by its directory. It need not exist or run, and the handle is cheap.
#[derive(Clone, Debug)]
pub struct Guest {
    layout: Layout,
}

impl Guest {
    /// The machine in `dir`, which [`boot`](Self::boot) creates if it is missing.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            layout: Layout::new(dir),
        }
    }

    /// The machine's directory.
    pub fn dir(&self) -> &Path {
        self.layout.dir()
    }

    /// Boots the machine and returns once its init process responds; a running machine is left alone.
    /// `init_command` is the argv of a process that calls [`init`](super::init()) with its last argument,
    /// the machine's directory.
    pub async fn boot(
        &self,
        spec: &GuestSpec,
        init_command: &[OsString],
    ) -> Result<(), GuestError> {
        if self.init_process()?.is_some_and(|init| init.is_stopped()) {
            return Ok(());
        }
        if self.answers().await {
            return Ok(());
        }
        self.unmount()?;
        let spec_file = self.layout.spec();
        let json = serde_json::to_vec_pretty(spec)
            .map_err(|error| self.io("write", &spec_file)(error.into()))?;
        self.layout
            .create()
            .map_err(self.io("create", self.dir()))?;
        write_atomically(&spec_file, 0o600, &json).map_err(self.io("write", &spec_file))?;
        let failed = |reason: String| GuestError::Boot {
            name: spec.name.clone(),
            reason,
            console: self.console(),
        };

        let mut child = self.spawn_init(init_command)?;
        let deadline = Instant::now() + BOOT_PATIENCE;
        let mut pause = Duration::from_millis(1);
        while !self.answers().await {
            if let Ok(Some(status)) = child.try_wait() {
                // Another boot may have been faster. Then this init process found the lock taken.
                if !self.is_running().await {
                    return Err(failed(format!("its init process exited with {status}")));
                }
            }
            if Instant::now() > deadline {
                return Err(failed(format!(
                    "its init process did not respond within {BOOT_PATIENCE:?}"
                )));
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(10));
        }
        // Dropped, not awaited: the init process outlives this one; otherwise the runtime reaps it.
        drop(child);
        Ok(())
    }

    /// Whether the init process lives, paused or not.
    pub async fn is_running(&self) -> bool {
        matches!(self.init_process(), Ok(Some(_)))
    }

    /// Resolves when the init process has exited; at once if there is none.
    pub async fn exited(&self) {
        if let Ok(Some(init)) = self.init_process() {
            // Without a descriptor to wait on, poll: this must not resolve too early.
            if init.ended().await.is_err() {
                while self.is_running().await {
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Stops the units in reverse order, then the machine. Succeeds if it isn't running. A paused machine
    /// can't react to the power button, so it is killed.
    pub async fn shut_down(&self) -> Result<(), GuestError> {
        let Some(init) = self.init_process()? else {
            return self.kill().await;
        };
        if init.is_stopped() {
            return self.kill().await;
        }
        match self.request("shut down", &Request::ShutDown).await {
            Ok(_) => {}
            Err(GuestError::NotRunning { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        init.ended()
            .await
            .map_err(self.io("wait for the init process of", self.dir()))
    }

    /// Cuts the power: SIGKILL to the init process and every process of the machine. Succeeds if it isn't
    /// running. Processes left behind by a crashed init process are killed as well.
    pub async fn kill(&self) -> Result<(), GuestError> {
        let error = |error| self.io("cut the power of", self.dir())(error);
        let init = self.init_process()?;
        if let Some(init) = init {
            // Stopped first, so that it starts nothing but still adopts orphans.
            init.signal(Signal::STOP).map_err(error)?;
            signal_until(Some(init.pid), &self.mark(), Signal::KILL, |_, _| false)
                .await
                .map_err(error)?;
            init.signal(Signal::KILL).map_err(error)?;
            init.ended().await.map_err(error)?;
        }
        signal_until(None, &self.mark(), Signal::KILL, |_, _| false)
            .await
            .map_err(error)
    }

    /// Stops (SIGSTOP) every process of the machine.
    pub async fn pause(&self) -> Result<(), GuestError> {
        let (init, mark) = (self.running_init()?, self.mark());
        let error = |error| self.io("pause the machine in", self.dir())(error);
        init.signal(Signal::STOP).map_err(error)?;
        // A process in uninterruptible sleep (D) stops only when it wakes up, which may be never: the parent
        // of a vfork waits for its stopped child.
        let stops = signal_until(Some(init.pid), &mark, Signal::STOP, |process, told| {
            process.state == 'T' || (told && process.state == 'D')
        });
        stops.await.map_err(error)
    }

    /// Continues (SIGCONT) every process of the machine.
    pub async fn resume(&self) -> Result<(), GuestError> {
        let (init, mark) = (self.running_init()?, self.mark());
        let error = |error| self.io("resume the machine in", self.dir())(error);
        let goes_on = signal_until(Some(init.pid), &mark, Signal::CONT, |process, told| {
            told && process.state != 'T'
        });
        goes_on.await.map_err(error)?;
        init.signal(Signal::CONT).map_err(error)
    }

    /// Writes files of the machine, each atomically and with exactly its mode, all of them or none (unless a
    /// rename fails). Creates missing parent directories and notifies path units.
    pub async fn put_files(&self, files: Vec<NewFile>) -> Result<(), GuestError> {
        self.request("write files", &Request::PutFiles(files))
            .await
            .map(drop)
    }

    /// Replaces the keys of users who may log in, lines `USER:KEY`.
    pub async fn set_ssh_keys(&self, lines: Vec<String>) -> Result<(), GuestError> {
        let request = Request::SshKeys { lines };
        self.request("set its ssh keys", &request).await.map(drop)
    }

    /// Deletes the directory of the machine, which doesn't run, with all its files.
    pub async fn remove(&self) -> Result<(), GuestError> {
        self.unmount()?;
        match tokio::fs::remove_dir_all(self.dir()).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.io("remove", self.dir())(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes what the machine has mounted below its directory, as the end of its kernel would.
    fn unmount(&self) -> Result<(), GuestError> {
        let dir = std::path::absolute(self.dir()).map_err(self.io("find", self.dir()))?;
        mounts::remove_below(&dir).map_err(self.io("unmount file systems in", &dir))
    }

    /// The file system that holds a directory of the running machine; `None` if the directory doesn't exist.
    pub fn disk_space(&self, path: &str) -> Result<Option<DiskSpace>, GuestError> {
        self.running_init()?;
        let directory = self.file(path, "inspect a disk")?;
        match rustix::fs::statvfs(&directory) {
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(self.io("look at", &directory)(error.into())),
            Ok(found) => Ok(Some(DiskSpace {
                bytes: found.f_blocks.saturating_mul(found.f_frsize),
                free: found.f_bavail.saturating_mul(found.f_frsize),
            })),
        }
    }

    /// The path of a machine's file on this host.
    fn file(&self, path: &str, action: &'static str) -> Result<PathBuf, GuestError> {
        let refused = |reason: String| self.refused(action, reason);
        let root = std::path::absolute(self.layout.root())
            .map_err(self.io("find a file of the machine in", self.dir()))?;
        let root = Root::new(&root).ok_or_else(|| refused("its directory isn't UTF-8".into()))?;
        root.file(path).map_err(|bad| refused(bad.to_string()))
    }

    /// The content of a file of the running machine; `None` if it doesn't exist.
    pub async fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, GuestError> {
        self.running_init()?;
        let file = self.file(path, "read a file")?;
        match tokio::fs::read(&file).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            content => content.map(Some).map_err(self.io("read", &file)),
        }
    }

    /// The machine's units, by name.
    pub async fn units(&self) -> Result<Vec<UnitStatus>, GuestError> {
        match self.request("list its units", &Request::Units).await? {
            Response::Units(units) => Ok(units),
            other => Err(self.refused("list its units", format!("protocol violation: {other:?}"))),
        }
    }

    /// The machine's guest attributes: values by key by namespace.
    pub async fn guest_attributes(
        &self,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, GuestError> {
        let file = self.layout.guest_attributes();
        let content = match tokio::fs::read(&file).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            content => content.map_err(self.io("read", &file))?,
        };
        serde_json::from_slice(&content).map_err(|error| self.io("read", &file)(error.into()))
    }

    /// Sets or removes a guest attribute. Calls must not overlap.
    pub async fn keep_attribute(
        &self,
        (namespace, key): (&str, &str),
        value: Option<&str>,
    ) -> Result<(), GuestError> {
        let mut attributes = self.guest_attributes().await?;
        let values = attributes.entry(namespace.to_owned()).or_default();
        match value {
            Some(value) => drop(values.insert(key.to_owned(), value.to_owned())),
            None => drop(values.remove(key)),
        }
        attributes.retain(|_, values| !values.is_empty());
        let file = self.layout.guest_attributes();
        let content = serde_json::to_vec_pretty(&attributes);
        let written = content
            .map_err(io::Error::from)
            .and_then(|content| write_atomically(&file, 0o600, &content));
        written.map_err(self.io("write", &file))
    }

    /// The file with the machine's console: boots, unit starts and stops, unsupported settings.
    pub fn console(&self) -> PathBuf {
        self.layout.console()
    }

    /// The file with a unit's output. The suffix `.service` is optional.
    pub fn unit_log(&self, unit: &str) -> PathBuf {
        if unit.contains('.') {
            self.layout.unit_log(unit)
        } else {
            self.layout.unit_log(&format!("{unit}.service"))
        }
    }

    fn spawn_init(&self, init_command: &[OsString]) -> Result<Child, GuestError> {
        let console_path = self.console();
        let console = append(&console_path).map_err(self.io("open", &console_path))?;
        let console_too = console
            .try_clone()
            .map_err(self.io("open", &console_path))?;
        let dir = std::path::absolute(self.dir()).map_err(self.io("find", self.dir()))?;
        let (program, arguments) = init_command.split_first().ok_or_else(|| {
            self.io("run the init command of", self.dir())(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is empty",
            ))
        })?;
        Command::new(program)
            .args(arguments)
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(console)
            .stderr(console_too)
            .spawn()
            .map_err(self.io("run", Path::new(program)))
    }

    async fn answers(&self) -> bool {
        control::call(self.dir(), &Request::Ping).await.is_ok()
    }

    fn init_process(&self) -> Result<Option<InitProcess>, GuestError> {
        let lock = self.layout.lock();
        InitProcess::find(&lock).map_err(self.io("read the lock", &lock))
    }

    fn running_init(&self) -> Result<InitProcess, GuestError> {
        self.init_process()?.ok_or_else(|| GuestError::NotRunning {
            dir: self.dir().to_owned(),
        })
    }

    async fn request(
        &self,
        action: &'static str,
        request: &Request,
    ) -> Result<Response, GuestError> {
        if self.running_init()?.is_stopped() {
            return Err(GuestError::Paused {
                dir: self.dir().to_owned(),
            });
        }
        match control::call(self.dir(), request).await {
            Ok(Response::Refused(reason)) => Err(self.refused(action, reason)),
            Ok(response) => Ok(response),
            // It may have exited during the call.
            Err(_) if !self.is_running().await => Err(GuestError::NotRunning {
                dir: self.dir().to_owned(),
            }),
            Err(error) => Err(self.refused(action, error.to_string())),
        }
    }

    fn refused(&self, action: &'static str, reason: String) -> GuestError {
        GuestError::Refused {
            dir: self.dir().to_owned(),
            action,
            reason,
        }
    }

    /// The environment variable that marks every process of the machine.
    fn mark(&self) -> String {
        let root = std::path::absolute(self.layout.root()).unwrap_or_else(|_| self.layout.root());
        mark(&root.to_string_lossy())
    }

    fn io(&self, action: &'static str, path: &Path) -> impl Fn(io::Error) -> GuestError + use<> {
        let path = path.to_owned();
        move |source| GuestError::Io {
            action,
            path: path.clone(),
            source,
        }
    }
}
