//! Deleting: what is the cluster's, and nothing else.
//!
//! A machine's domain is the record of it, so it goes last: what is left when a deletion is cut short is still the
//! machine's. From the first moment on it says that it isn't complete: nobody starts what has lost half its disks.

use crate::host::Host;
use crate::hypervisor::DomainState;
use crate::machine::{Found, read};
use crate::mark::{MachineMark, Volume, short, strange};
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
                let message = format!("a {kind} doesn't live in scope {scope:?}");
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
            // There never is one.
            _ => Ok(()),
        }
    }

    /// The machine is gone, with all that is its own. Its data disk stays, unless it is a group's.
    pub(crate) async fn machine_gone(
        &self,
        host: &Host,
        attempt: &Attempt,
        cluster: &str,
        zone: &str,
        name: &str,
    ) -> Result<()> {
        let looked_up = name.to_owned();
        let found = host
            .ask(attempt, move |hypervisor| hypervisor.domain(&looked_up))
            .await?;
        let mut disk = None;
        let mut is_there = false;
        if let Some(found) = found {
            let described = found.xml.clone();
            let Some(found) = read(attempt, found)? else {
                return Err(strange(attempt, cluster, None));
            };
            if found.mark.cluster != cluster {
                return Err(strange(attempt, cluster, Some(&found.mark.cluster)));
            }
            // In another zone of the host: of that name there is none in this one.
            if found.mark.zone == zone {
                is_there = true;
                if found.mark.complete {
                    self.unfinished(host, attempt, &described).await?;
                }
                self.off(host, attempt, name).await?;
                disk = found.mark.data_disk.filter(|_| found.mark.group.is_some());
            }
        }
        self.volumes_gone(host, attempt, cluster, |volume| match volume {
            Volume::Machine {
                zone: its,
                name: whose,
                ..
            } => its == zone && whose == name,
            Volume::Data { zone: its, name } => its == zone && disk.as_ref() == Some(name),
            Volume::Image(_) | Volume::Verified(_) => false,
        })
        .await?;
        if !is_there {
            return Ok(());
        }
        let name = name.to_owned();
        host.ask(attempt, move |hypervisor| hypervisor.undefine_domain(&name))
            .await
    }

    /// The machine says that it isn't complete.
    async fn unfinished(&self, host: &Host, attempt: &Attempt, described: &str) -> Result<()> {
        let unfinished =
            MachineMark::unfinished(described).map_err(|fault| attempt.failed(&fault))?;
        host.ask(attempt, move |hypervisor| {
            hypervisor.define_domain(&unfinished)
        })
        .await
    }

    /// The machine doesn't run.
    pub(crate) async fn off(&self, host: &Host, attempt: &Attempt, name: &str) -> Result<()> {
        let name = name.to_owned();
        host.ask(attempt, move |hypervisor| hypervisor.destroy_domain(&name))
            .await
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

    /// A data disk, or what is left of a machine that is gone.
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
            let message = format!("{} still uses it, and would lose it", user.name);
            return Err(attempt
                .error(ErrorKind::Transient { retry_after: None }, message)
                .with_hint("delete what uses it first"));
        }
        let of_a_machine = machines
            .iter()
            .any(|found| found.name == name && found.mark.zone == zone);
        self.volumes_gone(host, attempt, cluster, |volume| match volume {
            Volume::Data {
                zone: its,
                name: disk,
            } => its == zone && disk == name,
            Volume::Machine {
                zone: its,
                name: whose,
                ..
            } => its == zone && whose == name && !of_a_machine,
            Volume::Image(_) | Volume::Verified(_) => false,
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
        // That an image is complete goes before the image.
        names.sort();
        names.reverse();
        for (_, name) in names {
            self.delete_volume(host, attempt, name).await?;
        }
        Ok(())
    }

    /// Refuses the endpoint's address while there is a machine that may hold it.
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
                    .error(ErrorKind::Transient { retry_after: None }, message)
                    .with_hint("delete what uses it first"))
            }
        }
    }
}
