//! Who makes machines, and where.

use super::malformed::{Malformed, name};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The provider of machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// The Compute Engine emulator, whose machines are processes on this host.
    Local,
    /// Google Compute Engine.
    Gce,
    /// libvirt.
    Libvirt,
    /// Existing hosts.
    Hosts,
}

impl ProviderKind {
    /// The name used in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Gce => "gce",
            Self::Libvirt => "libvirt",
            Self::Hosts => "hosts",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ProviderKind {
    type Err = Malformed;

    fn from_str(name: &str) -> Result<Self, Malformed> {
        [Self::Local, Self::Gce, Self::Libvirt, Self::Hosts]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Malformed::new("it isn't a valid provider"))
    }
}

/// A zone: a region's name and one more part, as in `europe-west1-b`.
///
/// Only its syntax is checked; the provider knows whether it exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(String);

impl Zone {
    /// The full name: `europe-west1-b`.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The region's name, without the zone's last part: `europe-west1`.
    pub fn region(&self) -> &str {
        self.0
            .rsplit_once('-')
            .map_or(self.0.as_str(), |(region, _)| region)
    }
}

impl FromStr for Zone {
    type Err = Malformed;

    /// Any name: zones of your own hosts can have any name.
    fn from_str(name: &str) -> Result<Self, Malformed> {
        self::name(name)
            .map(Self)
            .map_err(|_| Malformed::new("it isn't a valid zone name"))
    }
}

impl Zone {
    /// Checks that the name could be a zone of Compute Engine: `europe-west1-b`.
    ///
    /// # Errors
    /// It couldn't.
    pub fn check_compute_engine(&self) -> Result<(), Malformed> {
        let name = &self.0;
        let parts: Vec<&str> = name.split('-').collect();
        let is_made_of_words = parts.iter().all(|part| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        });
        let is_place = |part: &str| part.ends_with(|c: char| c.is_ascii_digit());
        match parts.as_slice() {
            [_, .., place, _] if is_made_of_words && is_place(place) => Ok(()),
            [_, .., place] if is_made_of_words && is_place(place) => Err(Malformed(format!(
                "it is a region; a zone has one more part, as in {name}-b"
            ))),
            _ => Err(Malformed::new("it isn't a valid zone name")),
        }
    }
}

impl TryFrom<String> for Zone {
    type Error = Malformed;

    fn try_from(name: String) -> Result<Self, Malformed> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
