//! Settings: flags > environment > `--env-file` > `env/<profile>.env` > defaults.
//!
//! The [`table`] defines all settings. [`resolve`] turns text into typed [`Settings`] once, with
//! the origin of each value, all errors at once, and warnings about values that are valid but may
//! not be what the operator expects. It reads no global state: its input is [`Sources`].

mod addons;
mod advice;
mod assemble;
mod components;
mod derive;
pub mod docs;
mod env_file;
mod error;
mod eviction;
mod gcloud;
mod hosts;
mod libvirt;
mod location;
mod network;
mod origin;
mod parse;
mod path;
mod quorum_reads;
mod reader;
mod source;
mod spec;
pub mod table;
mod types;
mod validate;
mod warning;

#[cfg(test)]
mod tests;

use addons::AddonWishes;
pub use error::SettingErrors;
pub use location::{Bucket, Location, SealKeys, Service};
pub use reader::ResolvedValue;
pub use source::Sources;
pub use types::Settings;
pub use warning::{Severity, Warning};

use gcloud::Gcloud;
use path::Directories;
use reader::Reader;

/// Settings with their origins.
#[derive(Debug)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// Each setting as text with its origin, in the table's order.
    pub values: Vec<ResolvedValue>,
    /// Warnings and notes for the operator.
    pub warnings: Vec<Warning>,
}

impl Resolved {
    /// Whether the operator set the value.
    pub fn is_given(&self, setting: &table::Setting) -> bool {
        let mut values = self.values.iter();
        values.any(|value| value.key == setting.key && value.origin.is_given())
    }
}

impl Resolved {
    /// A setting as it appears in errors: `KUBE_GCE_ZONE is "mars-1", from --zone`.
    pub fn quote(&self, setting: &table::Setting) -> String {
        let found = self.values.iter().find(|value| value.key == setting.key);
        found.map_or_else(
            || setting.key.to_owned(),
            |value| format!("{} is {:?}, {}", value.key, value.value, value.origin),
        )
    }
}

/// Resolves the settings, or returns all errors.
pub fn resolve(sources: &Sources) -> Result<Resolved, SettingErrors> {
    let source::Read {
        layers,
        errors,
        mut warnings,
    } = source::Read::from(sources);
    let directories = Directories {
        home: sources.home_dir.as_deref(),
        working: &sources.working_dir,
    };
    let state_home = sources.env.get("XDG_STATE_HOME").map(String::as_str);
    let mut read = Reader::new(&layers, errors);
    let settings = assemble::settings(&mut read, &directories, &Gcloud(sources), state_home);
    let Reader {
        mut values, errors, ..
    } = read;
    match settings {
        Some(settings) if errors.is_empty() => {
            warnings.extend(advice::on(&settings));
            values.sort_by_key(|value| table::settings().position(|known| known.key == value.key));
            Ok(Resolved {
                settings,
                values,
                warnings,
            })
        }
        _ => Err(SettingErrors(errors)),
    }
}
