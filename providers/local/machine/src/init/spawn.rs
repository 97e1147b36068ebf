//! Spawns a unit's processes: environment, program, limits.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::PathBuf,
    process::{Command as StdCommand, Stdio},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, setrlimit};
use tokio::{net::unix::pipe, sync::oneshot};

use super::{entry::Entry, exit::Exit, log, machine::Machine};
use crate::{
    processes::mark,
    search::{check_executable, find_in_path, host_path},
    unit::{Command, Environment, Service, environment_file, expand_argv},
};

#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("Failed to load environment files: {path}: {source}")]
    EnvironmentFile { path: String, source: io::Error },
    #[error("Changing to the requested working directory failed: {path}: {source}")]
    WorkingDirectory { path: String, source: io::Error },
    #[error("Failed to locate executable {program}: {source}")]
    Executable { program: String, source: io::Error },
    #[error("Failed to spawn: {0}")]
    Spawn(#[from] io::Error),
}

impl SpawnError {
    /// The exit status that systemd's child process would have had.
    pub fn exit(&self) -> Option<Exit> {
        match self {
            Self::WorkingDirectory { .. } => Some(Exit::Code(200)),
            Self::Executable { .. } => Some(Exit::Code(203)),
            Self::EnvironmentFile { .. } | Self::Spawn(_) => None,
        }
    }
}

/// A unit's process, the leader of its own process group.
pub struct Process {
    pub pid: Pid,
    exit: oneshot::Receiver<Exit>,
    ended: Option<Exit>,
}

impl Process {
    /// Waits for its exit; may be called again afterwards.
    pub async fn ended(&mut self) -> Exit {
        if let Some(exit) = self.ended {
            return exit;
        }
        // The reaper drops no sender. If it did, the process would be lost; -1 stands for that.
        let exit = (&mut self.exit).await.unwrap_or(Exit::Code(-1));
        *self.ended.insert(exit)
    }

    /// Signals its group, unless it has ended.
    pub fn signal_group(&mut self, signal: Signal) {
        if self.ended.is_none() && self.exit.is_empty() {
            // ESRCH: it is about to be reaped.
            let _ = kill_process_group(self.pid, signal);
        }
    }
}

pub fn spawn(
    machine: &Machine,
    entry: &Entry,
    service: &Service,
    command: &Command,
    extra: &[(&str, &str)],
) -> Result<Process, SpawnError> {
    let environment = environment(machine, entry, service, extra)?;
    let mapped: Vec<String> = command
        .argv
        .iter()
        .map(|word| machine.root.map(word))
        .collect();
    let argv = if command.literal {
        mapped
    } else {
        expand_argv(&mapped, &environment)
    };
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command line is empty"))?;
    let program = executable(program, &environment)?;
    let directory = working_directory(machine, service)?;

    let (reader, writer) = io::pipe()?;
    // The unit ends when this process's main thread, its parent, exits: a machine whose init process is
    // killed leaves none of its services behind. That has to be set between fork and exec, which safe Rust
    // can't do but setpriv can.
    let mut unit = StdCommand::new(&machine.setpriv);
    unit.args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args(arguments)
        .env_clear()
        .envs(&environment)
        .current_dir(directory)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let child = with_open_files(service.open_files, || unit.spawn())?;
    // The command holds the pipe's other end; the log is complete when every copy is closed.
    drop(unit);
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    let exit = machine.reaper.watch(pid);
    let output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
    if let Some(log) = entry.log(machine) {
        machine.logs.spawn_local(log::copy(output, log));
    }
    Ok(Process {
        pid,
        exit,
        ended: None,
    })
}

/// The environment of every process of the machine.
pub fn common_environment(machine: &Machine) -> Environment {
    let root = machine.root.as_str();
    let path = format!("{root}/usr/local/bin:{root}/opt/bin:{}", host_path());
    let mut environment = Environment::new();
    for (name, value) in [
        ("PATH", path),
        ("HOME", format!("{root}/root")),
        ("HOSTNAME", machine.hostname.borrow().clone()),
    ] {
        environment.insert(name.to_owned(), value);
    }
    // Google's libraries use this address instead of 169.254.169.254, which isn't available.
    let metadata = machine.spec.metadata.map(|server| server.to_string());
    for name in ["GCE_METADATA_HOST", "GCE_METADATA_IP"] {
        environment.extend(metadata.clone().map(|server| (name.to_owned(), server)));
    }
    environment.extend(own_mark(machine));
    environment
}

/// The environment variable that identifies the machine's processes.
fn own_mark(machine: &Machine) -> Option<(String, String)> {
    let mark = mark(machine.root.as_str());
    let (name, value) = mark.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}

/// A unit's environment: the machine's, `Environment=`, `EnvironmentFile=`, and systemd's additions.
fn environment(
    machine: &Machine,
    entry: &Entry,
    service: &Service,
    extra: &[(&str, &str)],
) -> Result<Environment, SpawnError> {
    let mut environment = common_environment(machine);
    let mut set = |name: &str, value: String| drop(environment.insert(name.to_owned(), value));
    for (name, value) in &service.environment {
        set(name, machine.root.map(value));
    }
    for file in &service.environment_files {
        match fs::read_to_string(machine.root.locate(&file.path)) {
            Ok(text) => environment_file(&text)
                .into_iter()
                .for_each(|(name, value)| set(&name, machine.root.map(&value))),
            Err(error) if file.optional && error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(SpawnError::EnvironmentFile {
                    path: file.path.clone(),
                    source,
                });
            }
        }
    }
    for (name, value) in extra {
        set(name, (*value).to_owned());
    }
    // The unit can't override this.
    environment.extend(own_mark(machine));
    let log = std::path::absolute(machine.layout.unit_log(&entry.name))?;
    environment.insert("MACHINE_LOG".to_owned(), log.to_string_lossy().into_owned());
    Ok(environment)
}

fn executable(program: &str, environment: &Environment) -> Result<PathBuf, SpawnError> {
    let error = |source| SpawnError::Executable {
        program: program.to_owned(),
        source,
    };
    if program.contains('/') {
        let path = PathBuf::from(program);
        return check_executable(&path).map(|()| path).map_err(error);
    }
    let path = environment.get("PATH").map_or("", String::as_str);
    find_in_path(program, path).ok_or_else(|| error(io::ErrorKind::NotFound.into()))
}

/// The machine's `/` unless the unit sets another directory, which with the prefix `-` may be missing.
fn working_directory(machine: &Machine, service: &Service) -> Result<PathBuf, SpawnError> {
    let root = PathBuf::from(machine.root.as_str());
    let Some(wanted) = service.working_directory.as_deref() else {
        return Ok(root);
    };
    let optional = wanted.starts_with('-');
    let directory = match wanted.trim_start_matches('-') {
        "/" => return Ok(root),
        "~" => machine.root.locate("/root"),
        path => machine.root.locate(path),
    };
    match fs::metadata(&directory).and_then(|found| {
        if found.is_dir() {
            Ok(())
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }) {
        Ok(()) => Ok(directory),
        Err(_) if optional => Ok(root),
        Err(source) => Err(SpawnError::WorkingDirectory {
            path: wanted.to_owned(),
            source,
        }),
    }
}

/// Runs `spawn` with another soft limit of open files, which the child inherits. This process has one
/// thread, so nothing else sees the limit meanwhile. The hard limit bounds it: raising that needs root.
fn with_open_files<T>(soft: Option<u64>, spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let Some(soft) = soft else { return spawn() };
    let before = getrlimit(Resource::Nofile);
    let soft = before.maximum.map_or(soft, |hard| soft.min(hard));
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(soft),
            ..before
        },
    )?;
    let result = spawn();
    setrlimit(Resource::Nofile, before)?;
    result
}
