//! The version of the component that a stand-in replaces.

use std::ffi::OsString;
use std::fmt;
use std::iter::Peekable;

use serde_json::{Value, json};

use crate::Result;

/// The build metadata of every version that a stand-in reports (`v1.36.0+hakube.stand-in`), which
/// distinguishes it from the real component.
pub const VERSION_MARK: &str = "hakube.stand-in";

const FLAG: &str = "--stand-in-version=";

/// `v1.36.0`; displays as `v1.36.0+hakube.stand-in`.
#[derive(Debug, Clone)]
pub struct Version(semver::Version);

impl Version {
    /// Removes the stand-in's own flag from the front of a component's arguments.
    pub fn take(args: &mut Peekable<impl Iterator<Item = OsString>>) -> Result<Self> {
        let value = args
            .peek()
            .and_then(|arg| arg.to_str()?.strip_prefix(FLAG).map(str::to_owned));
        let Some(value) = value else {
            return Ok(Self(semver::Version::new(1, 36, 0)));
        };
        args.next();
        semver::Version::parse(value.trim_start_matches('v'))
            .map(Self)
            .map_err(|why| format!("{FLAG}{value}: {why}; the form is v1.36.0"))
    }

    /// `v1.36.0`: without the suffix of a release candidate, and without a stand-in's mark.
    pub fn kubernetes(&self) -> String {
        format!("v{}.{}.{}", self.0.major, self.0.minor, self.0.patch)
    }

    /// The content of `/version`.
    pub fn info(&self) -> Value {
        json!({
            "major": self.0.major.to_string(),
            "minor": self.0.minor.to_string(),
            "gitVersion": self.to_string(),
            "gitCommit": "",
            "gitTreeState": "",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "none",
            "compiler": "rustc",
            "platform": format!("linux/{}", go_arch()),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{VERSION_MARK}", self.kubernetes())
    }
}

/// This machine's architecture in Go's terms, as in node labels and versions.
pub fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn take(args: &[&str]) -> (Result<String>, usize) {
        let mut args = args.iter().map(OsString::from).peekable();
        let version = Version::take(&mut args).map(|version| version.to_string());
        (version, args.count())
    }

    #[test]
    fn the_version_flag_is_removed_from_the_arguments() {
        for (given, version) in [
            ("v1.31.4", "v1.31.4"),
            ("1.35.2+build.7", "v1.35.2"),
            ("v1.36.0-rc.1", "v1.36.0"),
        ] {
            let (taken, left) = take(&[&format!("{FLAG}{given}"), "--v=2"]);
            assert_eq!(taken.unwrap(), format!("{version}+hakube.stand-in"));
            assert_eq!(left, 1);
        }
        assert!(take(&["--stand-in-version=latest"]).0.is_err());
    }
}
