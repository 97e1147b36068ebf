//! The types of a parsed unit file.

use std::{collections::BTreeSet, time::Duration};

use rustix::process::Signal;

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

    /// A target without a file: all well-known ones exist like this.
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

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Service(Box<Service>),
    Path(PathUnit),
    Target,
}

/// `[Path]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathUnit {
    /// Paths of the machine; one that exists triggers.
    pub exists: Vec<String>,
    /// Paths of the machine; one that is written or replaced triggers.
    pub changed: Vec<String>,
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
    /// `None`: no timeout.
    pub timeout_start: Option<Duration>,
    /// `None`: no timeout.
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
    /// `simple` and `exec`: started once the process runs. The only difference between them, the detection
    /// of a missing executable, doesn't exist here: it is detected before the process is spawned.
    Simple,
    Oneshot,
    Notify,
}

/// A command line of `ExecStart=` or a similar setting: unquoted, specifiers resolved, variables not
/// expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub argv: Vec<String>,
    /// The prefix `-`: failures are ignored.
    pub ignore_failure: bool,
    /// The prefix `:`: no expansion of variables.
    pub literal: bool,
}

/// `EnvironmentFile=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentFile {
    /// A path of the machine.
    pub path: String,
    /// The prefix `-`: the file is optional.
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

/// `SuccessExitStatus=`: results that count as success in addition to 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuccessStatus {
    pub codes: BTreeSet<i32>,
    /// Signal numbers.
    pub signals: BTreeSet<i32>,
}
