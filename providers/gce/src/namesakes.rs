//! Clusters of the same name. An operator who creates one has to know of the others.

use crate::Gce;
use crate::link::name_in;
use crate::mark::{any_label_filter, whose};
use crate::operation::{every, every_zone, request};
use hakube_provider::{Attempt, Namesake, ResourceId, ResourceKind, Result, Scope, namesakes};

impl Gce {
    /// See [`hakube_provider::Provider::namesakes`].
    pub(crate) async fn clusters_named(&self, name: &str) -> Result<Vec<Namesake>> {
        let instances = every_zone!(self.instances, any_label_filter());
        let disks = every_zone!(self.disks, any_label_filter());
        let addresses = async {
            let attempt = Attempt::new("list", "the addresses of the project");
            let list = request!(self.addresses.list in region);
            Ok(every!(attempt, list))
        };
        let (instances, disks, addresses) = futures::try_join!(instances, disks, addresses)?;
        let zonal = |kind, zone: Option<&String>, name: Option<&String>| {
            ResourceId::in_zone(
                kind,
                name_in(zone.map_or("", String::as_str)),
                name.cloned().unwrap_or_default(),
            )
        };
        let found = whose(&instances, |one| {
            zonal(ResourceKind::Machine, one.zone.as_ref(), one.name.as_ref())
        })
        .chain(whose(&disks, |one| {
            zonal(ResourceKind::Disk, one.zone.as_ref(), one.name.as_ref())
        }))
        .chain(whose(&addresses, |one| {
            ResourceId::new(
                ResourceKind::Address,
                Scope::Region(self.config.region.clone()),
                one.name.clone().unwrap_or_default(),
            )
        }));
        Ok(namesakes(name, found))
    }
}
