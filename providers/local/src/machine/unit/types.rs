//! What a unit file says, typed.

use std::{collections::BTreeSet, time::Duration};

use rustix::process::Signal;

/// A unit as it was read from its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// With the suffix: `etcd.service`.
    pub name: String,
    pub description: Option<String>,
    pub after: Vec<String>,
    pub before: Vec<String>,
    pub wants: Vec<String>,
    pub requires: Vec<String>,
    pub wanted_by: Vec<String>,
    pub kind: Kind,
}

impl Unit {
    /// The unit as systemd names it in its messages: `etcd.service - Key-value store`.
    pub fn title(&self) -> String {
        match &self.description {
            Some(description) => format!("{} - {description}", self.name),
            None => self.name.clone(),
        }
    }

    /// A target without a file: every well-known one exists in this way.
    pub fn target(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            description: None,
            after: Vec::new(),
            before: Vec::new(),
            wants: Vec::new(),
            requires: Vec::new(),
            wanted_by: Vec::new(),
            kind: Kind::Target,
        }
    }
}

/// What kind of unit it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Service(Box<Service>),
    Path(PathUnit),
    Target,
}

/// `[Path]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathUnit {
    /// Paths of the machine; one that exists is enough.
    pub exists: Vec<String>,
    /// The unit to start.
    pub unit: String,
}

/// `[Service]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub kind: ServiceType,
    pub exec_start_pre: Vec<Command>,
    pub exec_start: Vec<Command>,
    pub exec_stop: Vec<Command>,
    pub environment: Vec<(String, String)>,
    pub environment_files: Vec<EnvironmentFile>,
    pub restart: RestartPolicy,
    pub restart_delay: Duration,
    pub start_limit: StartLimit,
    /// `None`: as long as it takes.
    pub timeout_start: Option<Duration>,
    /// `None`: as long as it takes.
    pub timeout_stop: Option<Duration>,
    pub kill_signal: Signal,
    /// The soft limit of open files.
    pub open_files: Option<u64>,
    pub remain_after_exit: bool,
    pub working_directory: Option<String>,
    pub success: SuccessStatus,
}

/// `Type=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceType {
    /// `simple` and `exec`: started once the process runs. A missing executable is found before the
    /// process is made, which is all the difference that there is between the two.
    Simple,
    Oneshot,
    Notify,
}

/// One command line of `ExecStart=` and its like, unquoted, specifiers resolved, variables not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub argv: Vec<String>,
    /// The prefix `-`: failing is fine.
    pub ignore_failure: bool,
    /// The prefix `:`: no variables.
    pub literal: bool,
}

/// `EnvironmentFile=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentFile {
    /// A path of the machine.
    pub path: String,
    /// The prefix `-`: may be missing.
    pub optional: bool,
}

/// `Restart=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartPolicy {
    No,
    OnSuccess,
    OnFailure,
    OnAbnormal,
    OnAbort,
    Always,
}

/// `StartLimitIntervalSec=` and `StartLimitBurst=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLimit {
    pub interval: Duration,
    pub burst: u32,
}

/// `SuccessExitStatus=`: what counts as success besides 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuccessStatus {
    pub codes: BTreeSet<i32>,
    /// Signal numbers.
    pub signals: BTreeSet<i32>,
}
