//! The endpoint's address on the replicas: each goes by what was put on it, for as long as it is up.

use super::World;
use crate::cluster::{Arrangement, Sharer};
use crate::machine::{ARRANGEMENT, IN_FORCE};

impl World {
    /// What a file of a machine that is up has. What was put is in force at once.
    pub(super) fn file(&self, name: &str, path: &str) -> Option<&String> {
        let path = if path == IN_FORCE { ARRANGEMENT } else { path };
        self.cloud.machines.get(name)?.files.get(path)
    }

    /// The machines that may take the address, and as what they were told.
    pub fn holders(&self) -> Vec<(String, Arrangement)> {
        let machines = self.cloud.machines.iter();
        let up = machines.filter(|(_, machine)| machine.is_up(self.now));
        let told = up.filter_map(|(name, _)| {
            let text = self.file(name, ARRANGEMENT)?;
            let told: Arrangement = serde_json::from_str(text).ok()?;
            told.sharer(name).is_some().then_some((name.clone(), told))
        });
        told.collect()
    }

    /// Each that may take the address is known to all others that may: else two could have it at once.
    pub(super) fn check_holders(&mut self) {
        let holders = self.holders();
        for (one, told) in &holders {
            for (other, _) in &holders {
                let known = Sharer {
                    name: other.clone(),
                    address: self.cloud.machines[other].address,
                };
                self.forbid(!told.sharers.contains(&known), || {
                    format!("{other} may take the address, and {one} doesn't know")
                });
            }
        }
    }
}
