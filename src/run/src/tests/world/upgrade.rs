//! Releases of programs on machines.

use super::World;
use super::machine::Instance;
use hakube_machine::START;

/// The last file of a release. It restarts the machine's programs.
pub(super) const RELEASE: &str = "/etc/hakube/release";

/// The release that a machine boots with: its document says which.
pub(super) fn booted(user_data: &str) -> Option<String> {
    let (_, file) = user_data.split_once("path: /etc/hakube/release.in-force\n")?;
    let (_, content) = file.split_once("content:")?;
    let lines = content
        .lines()
        .map(|line| line.trim().trim_matches(['|', '"']));
    let mark = lines.map(str::trim).find(|line| !line.is_empty())?;
    Some(mark.trim_end_matches("\\n").to_owned())
}

impl World {
    /// Whether the machine's API server exits because of its release.
    pub(super) fn has_bad_release(&self, machine: &Instance) -> bool {
        let bad = self.bad_release.as_deref();
        let has = machine.files.get(RELEASE);
        bad.zip(has).is_some_and(|(bad, has)| has.starts_with(bad))
    }

    /// Restarts the replica's programs. All other replicas must serve.
    pub(super) fn restart_with_release(&mut self, name: &str) {
        let mut machines = self.cloud.machines.iter();
        let down = machines.find(|(other, machine)| {
            *other != name && machine.files.contains_key(START) && !self.api_ready(other)
        });
        let down = down.map(|(other, _)| other.clone());
        self.forbid(down.is_some(), || {
            format!(
                "{name} restarts while {} doesn't serve",
                down.unwrap_or_default()
            )
        });
    }
}
