//! Where a value comes from.

use serde::{Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;

/// A value's origin. Displayed as words that follow the value: "from --zone".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This flag.
    Flag(&'static str),
    /// The environment, by the canonical name or this alias.
    Environment(Option<&'static str>),
    /// A line of the file in `--env-file`, by the canonical name or this alias.
    EnvFile {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The alias used there, if it isn't the canonical name.
        alias: Option<&'static str>,
    },
    /// The settings that the cluster was created with.
    Cluster,
    /// The embedded profile of this name.
    Profile(&'static str),
    /// The default for all profiles.
    Default,
    /// Computed; the words name the source: "from NUM_NODES".
    Derived(&'static str),
    /// No value.
    Unset,
}

impl Origin {
    /// Whether the operator set the value, rather than a profile or a default.
    pub fn is_given(&self) -> bool {
        matches!(
            self,
            Self::Flag(_) | Self::Environment(_) | Self::EnvFile { .. }
        )
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alias = match self {
            Self::Flag(flag) => return write!(f, "from {flag}"),
            Self::Environment(alias) => {
                f.write_str("from the environment")?;
                alias
            }
            Self::EnvFile { path, line, alias } => {
                write!(f, "from env file {} line {line}", path.display())?;
                alias
            }
            Self::Cluster => return f.write_str("from the cluster"),
            Self::Profile(profile) => return write!(f, "default for {profile}"),
            Self::Default => return f.write_str("default"),
            Self::Derived(from) => return write!(f, "derived {from}"),
            Self::Unset => return f.write_str("not set"),
        };
        match alias {
            Some(alias) => write!(f, " as {alias}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
