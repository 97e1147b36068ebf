//! Command lines as the real components read them: pflag's grammar, pflag's words.
//!
//! Every flag is in a table ([`apiserver`], [`controllers`], [`kubelet`]); one that isn't is refused,
//! as by the real component. A stand-in that swallowed unknown flags would hide the very mistakes
//! that it is there to find.

pub mod apiserver;
pub mod controllers;
mod kind;
pub mod kubelet;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub use kind::Kind;

use crate::error::{Result, StartError};

/// A component's flag: its name without dashes, what its value must look like, its default.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Name without dashes.
    pub name: &'static str,
    /// Form of the value.
    pub kind: Kind,
    /// Value when the flag isn't given; empty for none.
    pub default: &'static str,
}

/// A flag without default.
pub const fn flag(name: &'static str, kind: Kind) -> Flag {
    Flag {
        name,
        kind,
        default: "",
    }
}

/// A flag with a default.
pub const fn flag_or(name: &'static str, kind: Kind, default: &'static str) -> Flag {
    Flag {
        name,
        kind,
        default,
    }
}

/// A parsed command line. Values have been checked against their kind.
#[derive(Debug, Default)]
pub struct Flags {
    values: HashMap<&'static str, String>,
    given: HashSet<&'static str>,
}

impl Flags {
    /// Parses `args` (without the component's name) against the component's tables.
    pub fn parse(
        component: &str,
        tables: &[&'static [Flag]],
        args: impl Iterator<Item = OsString>,
    ) -> Result<Self> {
        let known: HashMap<&'static str, &'static Flag> = tables
            .iter()
            .flat_map(|table| table.iter())
            .map(|flag| (flag.name, flag))
            .collect();
        let mut flags = Self::default();
        for flag in known.values().filter(|flag| !flag.default.is_empty()) {
            flags.values.insert(flag.name, flag.default.to_owned());
        }

        let mut args = args;
        while let Some(arg) = args.next() {
            let arg = arg.into_string().map_err(|arg| {
                StartError::Usage(format!("argument {} is not UTF-8", arg.to_string_lossy()))
            })?;
            let Some(rest) = arg.strip_prefix("--").or_else(|| short(&arg)) else {
                return Err(StartError::Usage(format!(
                    "unknown command {arg:?} for {component:?}"
                )));
            };
            let (name, inline) = match rest.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (rest, None),
            };
            // Kubernetes normalises word separators: --secure_port is --secure-port.
            let normalised = name.replace('_', "-");
            let Some(flag) = known.get(normalised.as_str()) else {
                return Err(StartError::Usage(format!("unknown flag: --{name}")));
            };
            let value = match (inline, flag.kind) {
                (Some(value), _) => value,
                (None, Kind::Bool) => "true".to_owned(),
                (None, _) => args
                    .next()
                    .and_then(|value| value.into_string().ok())
                    .ok_or_else(|| {
                        StartError::Usage(format!("flag needs an argument: --{name}"))
                    })?,
            };
            flag.kind.check(&value).map_err(|why| {
                StartError::Usage(format!(
                    "invalid argument {value:?} for \"--{name}\" flag: {why}"
                ))
            })?;
            flags.values.insert(flag.name, value);
            flags.given.insert(flag.name);
        }
        flags.check_files(&known)?;
        Ok(flags)
    }

    /// Every file that a flag names has to be readable now, not when it is first needed.
    fn check_files(&self, known: &HashMap<&'static str, &'static Flag>) -> Result<()> {
        let mut files: Vec<_> = known
            .values()
            .filter(|flag| flag.kind == Kind::File)
            .collect();
        files.sort_by_key(|flag| flag.name);
        for flag in files {
            if self.text(flag.name).is_some() {
                self.read(flag.name)?;
            }
        }
        Ok(())
    }

    /// The value, or its default; `None` for a flag that has neither, or is empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether the flag was on the command line.
    pub fn given(&self, name: &str) -> bool {
        self.given.contains(name)
    }

    /// The value of a flag that the component can't do without.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.text(name)
            .ok_or_else(|| StartError::Usage(format!("--{name} must be specified")))
    }

    /// A boolean; absent is false.
    pub fn bool(&self, name: &str) -> bool {
        self.text(name).and_then(kind::parse_bool).unwrap_or(false)
    }

    /// A duration; absent is zero.
    pub fn duration(&self, name: &str) -> Duration {
        self.text(name)
            .and_then(kind::parse_duration)
            .unwrap_or_default()
    }

    /// A comma-separated list.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.text(name)
            .map(|value| {
                value
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .collect()
            })
            .unwrap_or_default()
    }

    /// A path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    /// `address:port` from the two flags that every server has.
    pub fn listen_address(&self) -> Result<String> {
        let address = self.required("bind-address")?;
        let port = self.required("secure-port")?;
        Ok(if address.contains(':') {
            format!("[{address}]:{port}")
        } else {
            format!("{address}:{port}")
        })
    }

    /// The content of the file that a required flag names.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = PathBuf::from(self.required(name)?);
        std::fs::read(&path).map_err(|source| StartError::File {
            flag: name.to_owned(),
            path,
            source,
        })
    }

    /// An error about the content of the file that a flag names.
    pub fn bad_content(&self, name: &str, reason: impl ToString) -> StartError {
        StartError::Content {
            flag: name.to_owned(),
            path: self.path(name).unwrap_or_default(),
            reason: reason.to_string(),
        }
    }
}

/// The two shorthands of klog and cobra: `-v=2` and `-h`.
fn short(arg: &str) -> Option<&str> {
    match arg {
        "-h" => Some("help"),
        _ if arg == "-v" || arg.starts_with("-v=") => arg.strip_prefix('-'),
        _ => None,
    }
}

/// Logging and version flags, which every component has.
pub const COMMON: &[Flag] = &[
    flag_or("v", Kind::Text, "0"),
    flag("vmodule", Kind::Text),
    flag("help", Kind::Bool),
    flag("version", Kind::Text),
    flag("feature-gates", Kind::Text),
    flag("logging-format", Kind::Text),
    flag("log-flush-frequency", Kind::Duration),
    flag("log-json-info-buffer-size", Kind::Text),
    flag("log-json-split-stream", Kind::Bool),
    flag("log-text-info-buffer-size", Kind::Text),
    flag("log-text-split-stream", Kind::Bool),
    flag("emulated-version", Kind::Text),
    flag("min-compatibility-version", Kind::Text),
    flag("show-hidden-metrics-for-version", Kind::Text),
    flag("disabled-metrics", Kind::Text),
    flag("allow-metric-labels", Kind::Text),
    flag("allow-metric-labels-manifest", Kind::Text),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn parse(args: &[&str]) -> Result<Flags> {
        Flags::parse(
            "kube-apiserver",
            &[apiserver::FLAGS, COMMON],
            args.iter().map(OsString::from),
        )
    }

    fn refusal(args: &[&str]) -> String {
        parse(args).expect_err("must be refused").to_string()
    }

    #[test]
    fn flags_that_kubernetes_removed_are_unknown_here_too() {
        assert_eq!(
            refusal(&["--etcd-quorum-read=true"]),
            "unknown flag: --etcd-quorum-read"
        );
        assert_eq!(
            refusal(&["--insecure-port=0"]),
            "unknown flag: --insecure-port"
        );
    }

    #[test]
    fn both_spellings_of_a_value_and_underscores_are_understood() {
        let flags = parse(&[
            "--secure_port",
            "6443",
            "--bind-address=127.0.0.7",
            "--profiling=false",
        ])
        .unwrap();
        assert_eq!(flags.listen_address().unwrap(), "127.0.0.7:6443");
        assert!(!flags.bool("profiling"));
        assert!(
            parse(&["--enable-bootstrap-token-auth"])
                .unwrap()
                .bool("enable-bootstrap-token-auth")
        );
    }

    #[test]
    fn values_are_checked_in_pflags_words() {
        assert_eq!(
            refusal(&["--profiling=maybe"]),
            "invalid argument \"maybe\" for \"--profiling\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax"
        );
        assert_eq!(
            refusal(&["--request-timeout=1"]),
            "invalid argument \"1\" for \"--request-timeout\" flag: time: missing unit in duration \"1\""
        );
        assert!(
            refusal(&["--service-cluster-ip-range=10.0.0.0"])
                .contains("invalid CIDR address: 10.0.0.0")
        );
        assert_eq!(
            refusal(&["--secure-port"]),
            "flag needs an argument: --secure-port"
        );
    }

    #[test]
    fn an_unreadable_file_is_named_with_its_flag() {
        let said = refusal(&["--client-ca-file=/nowhere/ca.crt"]);
        assert!(
            said.starts_with("--client-ca-file: can't read /nowhere/ca.crt: "),
            "{said}"
        );
    }
}
