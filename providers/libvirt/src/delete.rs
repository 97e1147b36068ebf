//! Deletes resources that are the cluster's, and nothing else.
//!
//! A machine's domain is its record, so it is deleted last: leftovers of an interrupted deletion
//! still belong to the machine. Before anything else, the domain is labelled incomplete, so that a
//! machine without some of its disks isn't started.

use crate::host::Host;
use crate::hypervisor::DomainState;
use crate::machine::{Found, ours};
use crate::mark::MachineMark;
use crate::volumes::{Volume, short};
use crate::{Libvirt, of_those_that_answer};
use futures::future::join_all;
use hakube_provider::{Attempt, ErrorKind, ResourceId, ResourceKind, Result, Scope};

impl Libvirt {
    /// See [`hakube_provider::Provider::delete`].
    pub(crate) async fn gone(&self, cluster: &str, resource: &ResourceId) -> Result<()> {
        use ResourceKind as Kind;
        let attempt = Attempt::new("delete", resource);
        let name = &resource.name;
        let zone = match (&resource.scope, resource.kind) {
            (Scope::Zone(zone), _) => zone,
            (Scope::Global, Kind::Address) => {
                self.unused(&attempt, cluster).await?;
                return self.address_gone(&attempt, cluster).await;
            }
            (scope, kind) => {
                let message = format!("a {kind} can't be in scope {scope:?}");
                return Err(attempt.error(ErrorKind::Invalid, message));
            }
        };
        let host = self.host_of(&attempt, zone)?;
        match resource.kind {
            Kind::Machine => self.machine_gone(host, &attempt, cluster, zone, name).await,
            Kind::NodeGroup => self.node_group_gone(host, &attempt, cluster, zone, name).await,
            Kind::Disk => self.disk_gone(host, &attempt, cluster, zone, name).await,
            Kind::Image => {
                self.volumes_gone(host, &attempt, cluster, |volume| {
                    matches!(volume, Volume::Image(sum) | Volume::Verified(sum) if short(name) == short(sum))
                })
                .await
            }
            Kind::Network => self.network_gone(host, &attempt, cluster, name).await,
            // libvirt never has one of these.
            _ => Ok(()),
        }
    }

    /// Deletes a machine and everything of its own. Keeps its data disk, unless a group owns the machine.
    pub(crate) async fn machine_gone(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        zone: &str,
        name: &str,
    ) -> Result<()> {
        let mut disk = None;
        let mut is_there = false;
        if let Some(found) = host.domain(attempt, name).await? {
            let described = found.xml.clone();
            let found = ours(attempt, cluster, found)?;
            // A machine of another zone on the same host isn't the one to delete.
            if found.mark.zone == zone {
                is_there = true;
                if found.mark.complete {
                    let unfinished = MachineMark::unfinished(&described)
                        .map_err(|fault| attempt.failed(&fault))?;
                    host.define_domain(attempt, &unfinished).await?;
                }
                host.destroy_domain(attempt, name).await?;
                disk = found.mark.data_disk.filter(|_| found.mark.group.is_some());
            }
        }
        self.volumes_gone(host, attempt, cluster, |volume| {
            let is_its_disk = |disk: &String| volume.is_data_disk(zone, disk);
            volume.is_of_machine(zone, name) || disk.as_ref().is_some_and(is_its_disk)
        })
        .await?;
        if !is_there {
            return Ok(());
        }
        host.undefine_domain(attempt, name).await
    }

    async fn node_group_gone(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        zone: &str,
        group: &str,
    ) -> Result<()> {
        for found in self.group_on(host, attempt, cluster, zone, group).await? {
            self.machine_gone(host, attempt, cluster, zone, &found.name)
                .await?;
        }
        Ok(())
    }

    /// Deletes a data disk or leftovers of a deleted machine.
    async fn disk_gone(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        zone: &str,
        name: &str,
    ) -> Result<()> {
        let machines = self.machines_on(host, attempt).await?;
        let uses = |found: &&Found| {
            let ours = found.mark.cluster == cluster && found.mark.zone == zone;
            let its = found.mark.data_disk.as_deref() == Some(name) || found.name == name;
            ours && its && found.state != DomainState::Off
        };
        if let Some(user) = machines.iter().find(uses) {
            let message = format!("{} still uses it", user.name);
            return Err(attempt
                .error(ErrorKind::TRANSIENT, message)
                .with_hint("delete that machine first"));
        }
        let of_a_machine = machines
            .iter()
            .any(|found| found.name == name && found.mark.zone == zone);
        self.volumes_gone(host, attempt, cluster, |volume| {
            volume.is_data_disk(zone, name) || !of_a_machine && volume.is_of_machine(zone, name)
        })
        .await
    }

    async fn volumes_gone(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        which: impl Fn(&Volume) -> bool,
    ) -> Result<()> {
        let mut names: Vec<(Volume, String)> = self
            .volumes_on(host, attempt)
            .await?
            .into_iter()
            .filter_map(|name| Some((Volume::of(cluster, &name)?, name)))
            .filter(|(volume, _)| which(volume))
            .collect();
        // Delete the volume that records an image as complete before the image itself.
        names.sort();
        names.reverse();
        for (_, name) in names {
            self.delete_volume(host, attempt, &name).await?;
        }
        Ok(())
    }

    /// Fails if a machine exists that may hold the endpoint's address.
    async fn unused(&self, attempt: &Attempt, cluster: &str) -> Result<()> {
        let hosts = self.hosts.iter();
        let machines = join_all(hosts.map(|host| self.machines_on(host, attempt))).await;
        let holder = of_those_that_answer(machines)?;
        let holder = holder
            .iter()
            .flatten()
            .find(|found| found.mark.cluster == cluster && found.mark.group.is_none());
        match holder {
            None => Ok(()),
            Some(holder) => {
                let message = format!("{} may still hold it", holder.name);
                Err(attempt
                    .error(ErrorKind::TRANSIENT, message)
                    .with_hint("delete that machine first"))
            }
        }
    }
}
