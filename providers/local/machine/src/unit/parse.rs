//! Converts a unit file's assignments to a [`Unit`], with a remark on each setting without effect here.

use std::time::Duration;

use super::{
    command_line::{command, resolve},
    file::{self, Entry},
    settings,
    types::{
        EnvironmentFile, Kind, PathUnit, RestartPolicy, Service, ServiceType, StartLimit,
        SuccessStatus, Unit,
    },
    words::split,
};
use rustix::process::Signal;

/// A parsed unit, and remarks on settings without effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    pub unit: Unit,
    pub remarks: Vec<String>,
}

/// A unit file that systemd would refuse to load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("{0} is not a .service, .path or .target: other unit types are not emulated")]
    Suffix(String),
    #[error("Service has no ExecStart= setting. Refusing.")]
    NoCommand,
    #[error(
        "Service has more than one ExecStart= setting, which is only allowed for Type=oneshot services. Refusing."
    )]
    ManyCommands,
    #[error(
        "Service has Restart= set to either always or on-success, which isn't allowed for Type=oneshot. Refusing."
    )]
    OneshotRestart,
    #[error("Path unit lacks path setting. Refusing.")]
    NoPath,
}

/// Parses the file of the unit `name` on the machine called `host`.
pub fn parse(name: &str, host: &str, text: &str) -> Result<Parsed, UnitError> {
    let (entries, remarks) = file::parse(text);
    let mut unit = Unit::target(name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    unit.kind = match name.rsplit_once('.').map(|(_, suffix)| suffix) {
        Some("service") => Kind::Service(Box::default()),
        Some("path") => Kind::Path(PathUnit {
            exists: Vec::new(),
            changed: Vec::new(),
            unit: format!("{stem}.service"),
        }),
        Some("target") => Kind::Target,
        _ => return Err(UnitError::Suffix(name.to_owned())),
    };
    let mut reader = Reader {
        unit,
        host: host.to_owned(),
        remarks,
    };
    for entry in &entries {
        if let Err(remark) = reader.assign(entry) {
            reader.remarks.push(remark);
        }
    }
    if let Kind::Service(service) = &mut reader.unit.kind
        && service.kind == ServiceType::Oneshot
        && !entries
            .iter()
            .any(|entry| matches!(entry.key.as_str(), "TimeoutStartSec" | "TimeoutSec"))
    {
        // A oneshot has no timeout by default.
        service.timeout_start = None;
    }
    check(&reader.unit)?;
    Ok(Parsed {
        unit: reader.unit,
        remarks: reader.remarks,
    })
}

fn check(unit: &Unit) -> Result<(), UnitError> {
    match &unit.kind {
        Kind::Service(service) if service.kind == ServiceType::Oneshot => match service.restart {
            RestartPolicy::Always | RestartPolicy::OnSuccess => Err(UnitError::OneshotRestart),
            _ if service.exec_start.is_empty() => Err(UnitError::NoCommand),
            _ => Ok(()),
        },
        Kind::Service(service) => match service.exec_start.len() {
            0 => Err(UnitError::NoCommand),
            1 => Ok(()),
            _ => Err(UnitError::ManyCommands),
        },
        Kind::Path(path) if path.exists.is_empty() && path.changed.is_empty() => {
            Err(UnitError::NoPath)
        }
        Kind::Path(_) | Kind::Target => Ok(()),
    }
}

impl Default for Service {
    fn default() -> Self {
        Self {
            kind: ServiceType::Simple,
            exec_start_pre: Vec::new(),
            exec_start: Vec::new(),
            exec_stop: Vec::new(),
            environment: Vec::new(),
            environment_files: Vec::new(),
            restart: RestartPolicy::No,
            restart_delay: Duration::from_millis(100),
            start_limit: StartLimit {
                interval: Duration::from_secs(10),
                burst: 5,
            },
            timeout_start: Some(Duration::from_secs(90)),
            timeout_stop: Some(Duration::from_secs(90)),
            kill_signal: Signal::TERM,
            open_files: None,
            remain_after_exit: false,
            working_directory: None,
            success: SuccessStatus::default(),
        }
    }
}

struct Reader {
    unit: Unit,
    host: String,
    remarks: Vec<String>,
}

impl Reader {
    fn assign(&mut self, entry: &Entry) -> Result<(), String> {
        let Entry {
            section,
            key,
            value,
        } = entry;
        match (section.as_str(), &self.unit.kind) {
            ("Unit", _) => self.assign_unit(entry),
            ("Install", _) if key == "WantedBy" => {
                list(&mut self.unit.wanted_by, value);
                Ok(())
            }
            ("Service", Kind::Service(_)) => self.assign_service(entry),
            ("Path", Kind::Path(_)) => self.assign_path(entry),
            (section, _) if section.starts_with("X-") => Ok(()),
            _ => Err(no_effect(entry)),
        }
    }

    fn specifiers(&self, text: &str) -> String {
        resolve(text, &self.unit.name, &self.host)
    }

    fn assign_unit(&mut self, entry: &Entry) -> Result<(), String> {
        let value = self.specifiers(&entry.value);
        let unit = &mut self.unit;
        match entry.key.as_str() {
            "Description" => unit.description = Some(value).filter(|text| !text.is_empty()),
            "After" => list(&mut unit.after, &value),
            "Before" => list(&mut unit.before, &value),
            "Wants" => list(&mut unit.wants, &value),
            "Requires" => list(&mut unit.requires, &value),
            "Documentation" => {}
            "StartLimitIntervalSec" | "StartLimitInterval" | "StartLimitBurst" => {
                if let Kind::Service(service) = &mut unit.kind {
                    return start_limit(&mut service.start_limit, entry);
                }
            }
            _ => return Err(no_effect(entry)),
        }
        Ok(())
    }

    fn assign_path(&mut self, entry: &Entry) -> Result<(), String> {
        let value = self.specifiers(&entry.value);
        let Kind::Path(path) = &mut self.unit.kind else {
            return Err(no_effect(entry));
        };
        match entry.key.as_str() {
            "PathExists" if value.is_empty() => path.exists.clear(),
            "PathExists" if value.starts_with('/') => path.exists.push(value),
            "PathChanged" if value.is_empty() => path.changed.clear(),
            "PathChanged" if value.starts_with('/') => path.changed.push(value),
            "PathExists" | "PathChanged" => return Err(bad(entry, "an absolute path")),
            "Unit" => path.unit = value,
            _ => return Err(no_effect(entry)),
        }
        Ok(())
    }

    fn assign_service(&mut self, entry: &Entry) -> Result<(), String> {
        if let "ExecStart" | "ExecStartPre" | "ExecStop" = entry.key.as_str() {
            return self.assign_commands(entry);
        }
        let value = self.specifiers(&entry.value);
        let Kind::Service(service) = &mut self.unit.kind else {
            return Err(no_effect(entry));
        };
        match entry.key.as_str() {
            "Type" => {
                service.kind = match value.as_str() {
                    "simple" | "exec" => ServiceType::Simple,
                    "notify" => ServiceType::Notify,
                    "oneshot" => ServiceType::Oneshot,
                    _ => {
                        return Err(bad(
                            entry,
                            "simple, exec, oneshot or notify (others are not emulated)",
                        ));
                    }
                };
            }
            "Environment" if value.is_empty() => service.environment.clear(),
            "Environment" => {
                for word in split(&value).map_err(|_| bad(entry, "balanced quotes"))? {
                    let (name, value) = word
                        .split_once('=')
                        .ok_or_else(|| bad(entry, "NAME=VALUE"))?;
                    service
                        .environment
                        .push((name.to_owned(), value.to_owned()));
                }
            }
            "EnvironmentFile" if value.is_empty() => service.environment_files.clear(),
            "EnvironmentFile" => {
                let optional = value.starts_with('-');
                let path = value.strip_prefix('-').unwrap_or(&value);
                if !path.starts_with('/') {
                    return Err(bad(entry, "an absolute path"));
                }
                service.environment_files.push(EnvironmentFile {
                    path: path.to_owned(),
                    optional,
                });
            }
            "Restart" => {
                service.restart = match value.as_str() {
                    "no" => RestartPolicy::No,
                    "on-success" => RestartPolicy::OnSuccess,
                    "on-failure" => RestartPolicy::OnFailure,
                    "on-abnormal" => RestartPolicy::OnAbnormal,
                    "on-abort" => RestartPolicy::OnAbort,
                    "always" => RestartPolicy::Always,
                    _ => {
                        return Err(bad(
                            entry,
                            "no, on-success, on-failure, on-abnormal, on-abort or always",
                        ));
                    }
                }
            }
            "RestartSec" => {
                service.restart_delay = settings::time_span(&value)
                    .filter(|span| *span != Duration::MAX)
                    .ok_or_else(|| bad(entry, TIME))?;
            }
            "TimeoutStartSec" => service.timeout_start = timeout(entry)?,
            "TimeoutStopSec" => service.timeout_stop = timeout(entry)?,
            "TimeoutSec" => {
                service.timeout_start = timeout(entry)?;
                service.timeout_stop = timeout(entry)?;
            }
            "StartLimitInterval" | "StartLimitIntervalSec" | "StartLimitBurst" => {
                return start_limit(&mut service.start_limit, entry);
            }
            "KillSignal" => {
                service.kill_signal =
                    settings::signal(&value).ok_or_else(|| bad(entry, "a signal"))?
            }
            "LimitNOFILE" => {
                service.open_files =
                    Some(settings::soft_limit(&value).ok_or_else(|| bad(entry, "a limit"))?);
            }
            "RemainAfterExit" => {
                service.remain_after_exit =
                    settings::boolean(&value).ok_or_else(|| bad(entry, "yes or no"))?;
            }
            "WorkingDirectory" => {
                service.working_directory = Some(value).filter(|path| !path.is_empty())
            }
            "SuccessExitStatus" if value.is_empty() => service.success = SuccessStatus::default(),
            "SuccessExitStatus" => {
                for word in value.split_whitespace() {
                    match (word.parse::<u8>(), settings::signal(word)) {
                        (Ok(code), _) => drop(service.success.codes.insert(code.into())),
                        (_, Some(signal)) => drop(service.success.signals.insert(signal.as_raw())),
                        _ => return Err(bad(entry, "exit codes and signal names")),
                    }
                }
            }
            // Always true here: every process of a unit is stopped with it, and its output is logged.
            "KillMode" if value == "control-group" => {}
            "NotifyAccess" | "StandardOutput" | "StandardError" | "SyslogIdentifier"
            | "OOMScoreAdjust" => {}
            "User" | "Group" => {
                return Err(format!(
                    "{}= is not emulated: units run as the local cloud's user",
                    entry.key
                ));
            }
            _ => return Err(no_effect(entry)),
        }
        Ok(())
    }

    fn assign_commands(&mut self, entry: &Entry) -> Result<(), String> {
        let words = split(&entry.value).map_err(|_| bad(entry, "balanced quotes"))?;
        let mut commands = Vec::new();
        for words in words
            .split(|word| word == ";")
            .filter(|words| !words.is_empty())
        {
            commands.push(
                command(words, |word| self.specifiers(word))
                    .ok_or_else(|| bad(entry, "a program and its arguments"))?,
            );
        }
        let Kind::Service(service) = &mut self.unit.kind else {
            return Err(no_effect(entry));
        };
        let list = match entry.key.as_str() {
            "ExecStartPre" => &mut service.exec_start_pre,
            "ExecStop" => &mut service.exec_stop,
            _ => &mut service.exec_start,
        };
        // An empty assignment resets the list.
        if commands.is_empty() {
            list.clear();
        }
        list.extend(commands);
        Ok(())
    }
}

const TIME: &str = "a time span such as 5s or 1min 30s";

/// Appends the words of a value to a list; an empty value clears it.
fn list(list: &mut Vec<String>, value: &str) {
    if value.is_empty() {
        list.clear();
    }
    list.extend(value.split_whitespace().map(str::to_owned));
}

/// A timeout; 0 and `infinity` mean none.
fn timeout(entry: &Entry) -> Result<Option<Duration>, String> {
    let span = settings::time_span(&entry.value).ok_or_else(|| bad(entry, TIME))?;
    Ok(Some(span).filter(|span| !span.is_zero() && *span != Duration::MAX))
}

fn start_limit(limit: &mut StartLimit, entry: &Entry) -> Result<(), String> {
    if entry.key == "StartLimitBurst" {
        limit.burst = entry.value.parse().map_err(|_| bad(entry, "a number"))?;
    } else {
        let span = settings::time_span(&entry.value).ok_or_else(|| bad(entry, TIME))?;
        limit.interval = span;
    }
    Ok(())
}

fn bad(entry: &Entry, expected: &str) -> String {
    format!(
        "{}={}: ignoring, expected {expected}",
        entry.key, entry.value
    )
}

fn no_effect(entry: &Entry) -> String {
    format!(
        "{}= in section [{}] is not emulated",
        entry.key, entry.section
    )
}

#[cfg(test)]
mod tests;
