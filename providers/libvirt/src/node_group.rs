//! Groups of identical machines. libvirt has no groups, so a group is just its machines, whose
//! metadata names it.

use crate::Libvirt;
use crate::host::Host;
use crate::machine::Found;
use crate::mark::Group;
use hakube_provider::{Attempt, MachineRef, MachineSpec, NodeGroupSpec, Result};
use rand::Rng;

/// Letters that form no words and aren't easily confused.
const LETTERS: &[u8] = b"bcdfghjkmnpqrstvwxz";

impl Libvirt {
    /// See [`hakube_provider::Provider::ensure_node_group`].
    pub(crate) async fn put_node_group(&self, spec: &NodeGroupSpec) -> Result<()> {
        let zone = &spec.machine.machine.zone;
        let attempt = Attempt::new("create", format!("node group {} in {zone}", spec.name));
        let host = self.host_of(&attempt, zone)?;
        let cluster = &spec.machine.cluster;
        let mut machines = self
            .group_on(host, &attempt, cluster, zone, &spec.name)
            .await?;
        let wanted = usize::try_from(spec.size).unwrap_or(usize::MAX);
        // Those not named as leaving are removed newest first: they have the least on them.
        machines.sort_by_key(|found| spec.leaving.contains(&found.name));
        while machines.len() > wanted {
            if let Some(newest) = machines.pop() {
                self.machine_gone(host, &attempt, cluster, zone, &newest.name)
                    .await?;
            }
        }
        for found in &machines {
            if !found.is_up() {
                let machine = member(spec, &found.name);
                self.put_machine(&machine, found.mark.group.clone()).await?;
            }
        }
        let groups = machines
            .iter()
            .filter_map(|found| found.mark.group.as_ref());
        let numbers = groups.map(|group| group.number).max().unwrap_or(0) + 1..;
        for (number, _) in numbers.zip(machines.len()..wanted) {
            let group = Group {
                name: spec.name.clone(),
                template: spec.template.clone(),
                number,
            };
            let stem = &spec.machine.machine.name;
            let machine = member(spec, &format!("{stem}-{}", suffix()));
            self.put_machine(&machine, Some(group)).await?;
        }
        Ok(())
    }

    /// A group's machines, oldest first.
    pub(crate) async fn group_on(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        zone: &str,
        group: &str,
    ) -> Result<Vec<Found>> {
        let number = |found: &Found| {
            let its = found.mark.group.as_ref();
            its.filter(|its| its.name == group).map(|its| its.number)
        };
        let mut machines = self.machines_on(host, attempt).await?;
        machines.retain(|found| {
            found.mark.cluster == cluster && found.mark.zone == zone && number(found).is_some()
        });
        machines.sort_by_key(|found| (number(found), found.name.clone()));
        Ok(machines)
    }
}

fn member(spec: &NodeGroupSpec, name: &str) -> MachineSpec {
    MachineSpec {
        machine: MachineRef {
            name: name.to_owned(),
            zone: spec.machine.machine.zone.clone(),
        },
        ..spec.machine.clone()
    }
}

fn suffix() -> String {
    let mut random = rand::rng();
    let letter = |_| char::from(LETTERS[random.random_range(0..LETTERS.len())]);
    (0..4).map(letter).collect()
}
