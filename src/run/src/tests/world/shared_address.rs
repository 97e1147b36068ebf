//! The endpoint's address on the replicas. A running machine follows its last arrangement.

use super::World;
use hakube_machine::{ARRANGEMENT, IN_FORCE};
use hakube_model::{Arrangement, Sharer};

impl World {
    /// The content of a file. A written arrangement is in force at once.
    pub(super) fn file(&self, name: &str, path: &str) -> Option<&String> {
        let path = if path == IN_FORCE { ARRANGEMENT } else { path };
        let path = path.strip_suffix(".in-force").unwrap_or(path);
        let nodes = || self.node_files.get(name);
        let machine = self.cloud.machines.get(name);
        machine.map(|found| &found.files).or_else(nodes)?.get(path)
    }

    /// The machines that may take the address, with their arrangements.
    pub fn holders(&self) -> Vec<(String, Arrangement)> {
        let machines = self.cloud.machines.iter();
        let up = machines.filter(|(_, machine)| machine.is_up(self.now));
        let holders = up.filter_map(|(name, _)| {
            let text = self.file(name, ARRANGEMENT)?;
            let arrangement: Arrangement = serde_json::from_str(text).ok()?;
            arrangement
                .sharer(name)
                .is_some()
                .then_some((name.clone(), arrangement))
        });
        holders.collect()
    }

    /// All machines that may take the address must know each other. Otherwise two could hold it at once.
    pub(super) fn check_holders(&mut self) {
        let holders = self.holders();
        for (one, arrangement) in &holders {
            for (other, _) in &holders {
                let known = Sharer {
                    name: other.clone(),
                    address: self.cloud.machines[other].address,
                };
                self.forbid(!arrangement.sharers.contains(&known), || {
                    format!("{other} may take the address, but {one} doesn't know it")
                });
            }
        }
    }
}
