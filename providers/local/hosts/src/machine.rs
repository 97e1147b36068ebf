//! One machine.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use hakube_local_machine::{
    Attributes, DiskSpace, Guest, GuestError, GuestSpec, Machine, MachineDisk, NewFile, UnitStatus,
};
use hakube_yard::Host;

use crate::fleet::Fleet;
use crate::units;

/// How often to look whether a machine still has power.
const LOOK: Duration = Duration::from_millis(200);

/// A machine of a fleet. It need not exist or run.
#[derive(Debug, Clone)]
pub(crate) struct HostMachine {
    fleet: Weak<Fleet>,
    zone: String,
    name: String,
}

impl HostMachine {
    pub fn new(fleet: Weak<Fleet>, zone: &str, name: &str) -> Self {
        Self {
            fleet,
            zone: zone.to_owned(),
            name: name.to_owned(),
        }
    }

    fn fleet(&self) -> Result<Arc<Fleet>, GuestError> {
        self.fleet.upgrade().ok_or_else(|| self.not_running())
    }

    fn host(&self) -> Option<Host> {
        self.fleet.upgrade()?.host(&self.zone, &self.name)
    }

    fn running(&self) -> Result<Host, GuestError> {
        self.host()
            .filter(Host::is_on)
            .ok_or_else(|| self.not_running())
    }

    fn directory(&self) -> PathBuf {
        let fleet = self.fleet.upgrade();
        fleet.map_or_else(PathBuf::new, |fleet| {
            fleet.machine_directory(&self.zone, &self.name)
        })
    }

    fn not_running(&self) -> GuestError {
        GuestError::NotRunning {
            dir: self.directory(),
        }
    }

    fn refused(&self, action: &'static str, reason: impl ToString) -> GuestError {
        GuestError::Refused {
            dir: self.directory(),
            action,
            reason: reason.to_string(),
        }
    }

    /// Does something that blocks.
    async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        function: impl FnOnce(&Self) -> Result<T, hakube_yard::Error> + Send + 'static,
    ) -> Result<T, GuestError> {
        let own = self.clone();
        let done = tokio::task::spawn_blocking(move || function(&own)).await;
        match done {
            Ok(done) => done.map_err(|error| self.refused(action, error)),
            Err(error) => Err(self.refused(action, error)),
        }
    }

    /// Runs a command on the running machine, with this input, and returns its output if it succeeds.
    async fn run(
        &self,
        action: &'static str,
        command: Vec<String>,
        input: Vec<u8>,
    ) -> Result<std::process::Output, GuestError> {
        let host = self.running()?;
        let ran = self.blocking(action, move |_| {
            let (program, arguments) = command
                .split_first()
                .ok_or_else(|| hakube_yard::Error::Asked("no command to run".to_owned()))?;
            let io = |source| hakube_yard::Error::Io {
                what: format!("running {program}"),
                source,
            };
            let mut child = host
                .command(program)?
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(io)?;
            // The commands here read all of their input before they write.
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(&input).map_err(io)?;
            }
            child.wait_with_output().map_err(io)
        });
        ran.await
    }

    async fn checked(
        &self,
        action: &'static str,
        command: &[&str],
        input: Vec<u8>,
    ) -> Result<Vec<u8>, GuestError> {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        let ran = self.run(action, command, input).await?;
        if ran.status.success() {
            return Ok(ran.stdout);
        }
        Err(self.refused(action, String::from_utf8_lossy(&ran.stderr).trim()))
    }
}

/// Writes one file from standard input: atomically, with exactly its mode.
const WRITE: &str = "umask 077; mkdir -p -m 755 \"${1%/*}\"; cat >\"$1.new\"; chmod \"$2\" \"$1.new\"; sync \"$1.new\"";
/// Prints a file, or exits with 44 if there is none.
const READ: &str = "test -e \"$1\" || exit 44; cat \"$1\"";
const MISSING: i32 = 44;

#[async_trait]
impl Machine for HostMachine {
    async fn boot(&self, spec: &GuestSpec) -> Result<(), GuestError> {
        let fleet = self.fleet()?;
        let own = spec.clone();
        self.blocking("boot", move |machine| fleet.boot(&machine.zone, &own))
            .await
    }

    async fn is_running(&self) -> bool {
        self.host().is_some_and(|host| host.is_on())
    }

    async fn exited(&self) {
        while self.is_running().await {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn shut_down(&self) -> Result<(), GuestError> {
        let Some(host) = self.host().filter(Host::is_on) else {
            return Ok(());
        };
        let down = self.blocking("shut down", move |_| host.shut_down()).await;
        // It may have lost its power meanwhile.
        if self.is_running().await {
            down
        } else {
            Ok(())
        }
    }

    async fn kill(&self) -> Result<(), GuestError> {
        let Some(host) = self.host().filter(Host::is_on) else {
            return Ok(());
        };
        let cut = self
            .blocking("lose its power", move |_| host.cut_power())
            .await;
        if self.is_running().await { cut } else { Ok(()) }
    }

    async fn pause(&self) -> Result<(), GuestError> {
        let host = self.running()?;
        self.blocking("pause", move |_| host.pause()).await
    }

    async fn resume(&self) -> Result<(), GuestError> {
        let host = self.running()?;
        self.blocking("resume", move |_| host.resume()).await
    }

    async fn put_files(&self, files: Vec<NewFile>) -> Result<(), GuestError> {
        const ACTION: &str = "write files";
        for file in &files {
            let content = file
                .content()
                .map_err(|error| self.refused(ACTION, error))?;
            let mode = format!("{:o}", file.mode);
            let write = ["sh", "-euc", WRITE, "write", &file.path, &mode];
            self.checked(ACTION, &write, content).await?;
        }
        for file in &files {
            let new = format!("{}.new", file.path);
            self.checked(ACTION, &["mv", "-fT", &new, &file.path], Vec::new())
                .await?;
        }
        Ok(())
    }

    async fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, GuestError> {
        const ACTION: &str = "read a file";
        let command = ["sh", "-euc", READ, "read", path].map(str::to_owned);
        let ran = self.run(ACTION, command.to_vec(), Vec::new()).await?;
        match ran.status.code() {
            Some(0) => Ok(Some(ran.stdout)),
            Some(MISSING) => Ok(None),
            _ => Err(self.refused(ACTION, String::from_utf8_lossy(&ran.stderr).trim())),
        }
    }

    async fn disk_space(&self, path: &str) -> Result<Option<DiskSpace>, GuestError> {
        const ACTION: &str = "inspect a disk";
        const STAT: &str =
            "test -e \"$1\" || exit 44; stat --file-system --format='%b %a %S' \"$1\"";
        let command = ["sh", "-euc", STAT, "stat", path].map(str::to_owned);
        let ran = self.run(ACTION, command.to_vec(), Vec::new()).await?;
        if ran.status.code() == Some(MISSING) {
            return Ok(None);
        }
        let printed = String::from_utf8_lossy(&ran.stdout);
        let numbers: Vec<u64> = printed
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        match numbers.as_slice() {
            &[blocks, free, size] => Ok(Some(DiskSpace {
                bytes: blocks.saturating_mul(size),
                free: free.saturating_mul(size),
            })),
            _ => Err(self.refused(ACTION, String::from_utf8_lossy(&ran.stderr).trim())),
        }
    }

    async fn units(&self) -> Result<Vec<UnitStatus>, GuestError> {
        let shown = self
            .checked("list its units", &units::COMMAND, Vec::new())
            .await?;
        Ok(units::parse(&String::from_utf8_lossy(&shown)))
    }

    async fn log(&self, unit: Option<&str>) -> Result<Option<Vec<u8>>, GuestError> {
        let Some(unit) = unit else {
            return Ok(self.host().map(|host| host.console().into_bytes()));
        };
        let unit = format!("--unit={unit}");
        let command = ["journalctl", &unit, "--output=cat", "--no-pager", "--quiet"];
        let log = self.checked("read a log", &command, Vec::new()).await?;
        Ok((!log.is_empty()).then_some(log))
    }

    /// Its guest agent reads them from the metadata.
    async fn set_ssh_keys(&self, _: Vec<String>) -> Result<(), GuestError> {
        Ok(())
    }

    async fn set_disks(&self, disks: Vec<MachineDisk>) -> Result<(), GuestError> {
        let fleet = self.fleet()?;
        let host = self.running()?;
        self.blocking("attach disks", move |_| {
            let wanted = fleet.devices(&disks)?;
            let there = host.devices()?;
            for gone in there.iter().filter(|device| !wanted.contains(device)) {
                host.detach(&gone.name)?;
            }
            for new in wanted.iter().filter(|device| !there.contains(device)) {
                host.attach(new)?;
            }
            Ok(())
        })
        .await
    }

    async fn guest_attributes(&self) -> Result<Attributes, GuestError> {
        Guest::at(self.directory()).guest_attributes().await
    }

    async fn keep_attribute(
        &self,
        name: (&str, &str),
        value: Option<&str>,
    ) -> Result<(), GuestError> {
        Guest::at(self.directory())
            .keep_attribute(name, value)
            .await
    }

    async fn remove(&self) -> Result<(), GuestError> {
        let fleet = self.fleet()?;
        self.blocking("be deleted", move |machine| {
            fleet.forget(&machine.zone, &machine.name)
        })
        .await?;
        let directory = self.directory();
        match tokio::fs::remove_dir_all(&directory).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(GuestError::Io {
                action: "remove",
                path: directory,
                source: error,
            }),
            _ => Ok(()),
        }
    }
}
