//! The version that a stand-in stands in for.

use std::ffi::OsString;
use std::fmt;
use std::iter::Peekable;

use crate::error::{Result, StartError};

/// The build metadata of every version that a stand-in reports (`v1.36.0+hakube.stand-in`), so that
/// nobody takes it for the real thing.
pub const VERSION_MARK: &str = "hakube.stand-in";

const FLAG: &str = "--stand-in-version=";

/// `v1.36.0`; displays as `v1.36.0+hakube.stand-in`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Default for Version {
    fn default() -> Self {
        Self {
            major: 1,
            minor: 36,
            patch: 0,
        }
    }
}

impl Version {
    /// Takes our own flag off the front of a component's arguments.
    pub fn take(args: &mut Peekable<impl Iterator<Item = OsString>>) -> Result<Self> {
        let value = args
            .peek()
            .and_then(|arg| arg.to_str())
            .and_then(|arg| arg.strip_prefix(FLAG));
        let Some(value) = value.map(str::to_owned) else {
            return Ok(Self::default());
        };
        args.next();
        Self::parse(&value).ok_or_else(|| {
            StartError::Usage(format!(
                "{FLAG}{value}: not a Kubernetes version; the form is v1.36.0"
            ))
        })
    }

    fn parse(value: &str) -> Option<Self> {
        // What a release candidate or a build adds is left out: v1.36.0-rc.1, v1.35.2+build.7.
        let number = value.strip_prefix('v').unwrap_or(value);
        let number = number.split(['-', '+']).next().unwrap_or_default();
        let mut parts = number.split('.').map(str::parse);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Some(Self {
                major,
                minor,
                patch,
            }),
            _ => None,
        }
    }

    /// `v1.36.0`, without the mark of a stand-in.
    pub fn kubernetes(&self) -> String {
        format!("v{}.{}.{}", self.major, self.minor, self.patch)
    }

    /// What `/version` says.
    pub fn info(&self) -> serde_json::Value {
        serde_json::json!({
            "major": self.major.to_string(),
            "minor": self.minor.to_string(),
            "gitVersion": self.to_string(),
            "gitCommit": "",
            "gitTreeState": "",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "none",
            "compiler": "rustc",
            "platform": format!("{}/{}", std::env::consts::OS, go_arch()),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{VERSION_MARK}", self.kubernetes())
    }
}

/// This machine's architecture in Go's words, as node labels and versions have it.
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

    #[test]
    fn our_flag_is_taken_off_and_the_rest_left() {
        let mut args = ["--stand-in-version=v1.31.4", "--v=2"]
            .into_iter()
            .map(OsString::from)
            .peekable();
        assert_eq!(
            Version::take(&mut args).unwrap().to_string(),
            "v1.31.4+hakube.stand-in"
        );
        assert_eq!(args.next().unwrap(), "--v=2");
    }

    #[test]
    fn release_candidates_and_builds_are_versions() {
        let shown = |text| Version::parse(text).map(|version| version.kubernetes());
        assert_eq!(shown("v1.36.0-rc.1").unwrap(), "v1.36.0");
        assert_eq!(shown("1.35.2+build.7").unwrap(), "v1.35.2");
        assert_eq!(shown("v1.36-rc.1"), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut args = ["--stand-in-version=latest"]
            .into_iter()
            .map(OsString::from)
            .peekable();
        assert!(Version::take(&mut args).is_err());
    }
}
