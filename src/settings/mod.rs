//! Settings: flags > environment > `--env-file` > `env/<profile>.env` > defaults.
//!
//! One [`table`] says what there is. [`resolve`] turns text into typed [`Settings`] once, with the origin
//! of each value, everything that is wrong at once, and warnings about what is valid but not what
//! somebody may think. Nothing global is read: what the operator gave comes in as [`Sources`].

mod addons;
mod advice;
mod arch;
mod assemble;
mod components;
mod controllers;
mod derive;
pub mod docs;
mod env_file;
mod error;
mod eviction;
mod gcloud;
mod hosts;
mod libvirt;
mod network;
mod origin;
mod parse;
mod path;
mod quorum_reads;
mod reader;
mod source;
pub mod table;
mod types;
mod validate;
mod warning;

#[cfg(test)]
mod tests;

pub use addons::{AddonWishes, PodNetwork};
pub use arch::Arch;
pub use error::SettingErrors;
pub use hosts::{Host, HostRole, HostSsh, Hosts};
#[cfg(feature = "libvirt")]
pub use libvirt::{Boot, HostNetwork, Virtualization};
pub use libvirt::{Hypervisor, Libvirt};
pub use quorum_reads::QuorumReads;
pub use reader::ResolvedValue;
pub use source::Sources;
pub use types::ProxyMode;
pub use types::{
    Api, ControllerManager, Etcd, LoadBalancer, Network, Nodes, ProviderKind, ReplicaMachines,
    Settings, Versions, Zone,
};
pub use warning::{Severity, Warning};

use gcloud::Gcloud;
use path::Directories;
use reader::Reader;

/// Settings with everything that is known about where they come from.
#[derive(Debug)]
pub struct Resolved {
    /// The settings.
    pub settings: Settings,
    /// Each setting as text with its origin, in the table's order.
    pub values: Vec<ResolvedValue>,
    /// What the operator should know.
    pub warnings: Vec<Warning>,
}

impl Resolved {
    /// Whether somebody gave the setting a value.
    pub fn is_given(&self, setting: &table::Setting) -> bool {
        let mut values = self.values.iter();
        values.any(|value| value.key == setting.key && value.origin.is_given())
    }
}

impl Resolved {
    /// A setting as errors name it: `KUBE_GCE_ZONE is "mars-1", from --zone`.
    pub fn quote(&self, setting: &table::Setting) -> String {
        let found = self.values.iter().find(|value| value.key == setting.key);
        found.map_or_else(
            || setting.key.to_owned(),
            |value| format!("{} is {:?}, {}", value.key, value.value, value.origin),
        )
    }
}

/// Resolves the settings, or says everything that is wrong with them.
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
