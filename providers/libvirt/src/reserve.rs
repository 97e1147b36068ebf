//! Addresses that are in use: finds them, and reserves the endpoint's.

use crate::Libvirt;
use crate::host::Host;
use crate::mark::{NetworkMark, network_name};
use futures::future::try_join_all;
use hakube_provider::{Address, AddressSpec, Attempt, ErrorKind, Owner, Result};
use std::net::{IpAddr, Ipv4Addr};

impl Libvirt {
    /// See [`hakube_provider::Provider::ensure_address`].
    pub(crate) async fn put_address(&self, spec: &AddressSpec) -> Result<Address> {
        let attempt = Attempt::new("reserve", format!("address {}", spec.name));
        let hosts = self.answering().await?;
        let _alone = self.agreeing.lock().await;
        let mut agreed = self.agreed(&spec.cluster, &hosts).await?;
        let number = match &agreed.mark.endpoint {
            Some((name, number)) if *name == spec.name => *number,
            Some((other, number)) => {
                let message = format!("{number} is already reserved as {other}");
                return Err(attempt.error(ErrorKind::Conflict, message));
            }
            None => {
                let number = self.config.addresses.endpoint();
                if spec
                    .wanted
                    .is_some_and(|wanted| wanted != IpAddr::V4(number))
                {
                    let message = format!("the cluster's address plan has {number} for it");
                    return Err(attempt.error(ErrorKind::Conflict, message));
                }
                self.confirm_unused(&attempt, &spec.cluster, number, &hosts)
                    .await?;
                number
            }
        };
        agreed.mark.endpoint = Some((spec.name.clone(), number));
        self.networks_on_all(&agreed, &hosts).await?;
        Ok(Address {
            name: spec.name.clone(),
            address: IpAddr::V4(number),
        })
    }

    /// Fails if the address is in use.
    async fn confirm_unused(
        &self,
        attempt: &Attempt,
        cluster: &str,
        address: Ipv4Addr,
        hosts: &[&Host],
    ) -> Result<()> {
        let in_use = |message: String| {
            attempt
                .error(ErrorKind::Conflict, message)
                .with_hint("give the cluster a range of addresses that nothing else uses")
        };
        for mark in self.networks_of_all(hosts).await? {
            let other = mark.endpoint.filter(|(_, number)| *number == address);
            if other.is_some() && mark.cluster != cluster {
                let message = format!(
                    "{address} is the endpoint of {}",
                    Owner::of_mark(&mark.cluster)
                );
                return Err(in_use(message));
            }
        }
        if self.machines_of_all(hosts).await?.contains(&address) {
            return Err(in_use(format!(
                "{address} is in use by a machine of another cluster"
            )));
        }
        match self.neighbours.at(address).await {
            None => Ok(()),
            Some(mac) => Err(in_use(format!(
                "{address} is in use: the network card {mac} responds there"
            ))),
        }
    }

    /// Deletes the reservation from every host.
    pub(crate) async fn address_gone(&self, attempt: &Attempt, cluster: &str) -> Result<()> {
        let _alone = self.agreeing.lock().await;
        let hosts = self.hosts.iter().map(async |host| {
            let mark = match host.network(attempt, &network_name(cluster)).await? {
                Some(found) => {
                    NetworkMark::from_xml(&found.xml).map_err(|fault| attempt.failed(&fault))?
                }
                None => None,
            };
            match mark {
                Some(mark) if mark.cluster == cluster && mark.endpoint.is_some() => {
                    let without = NetworkMark {
                        endpoint: None,
                        ..mark
                    };
                    self.network_on(host, &without).await
                }
                _ => Ok(()),
            }
        });
        try_join_all(hosts).await.map(drop)
    }

    /// The lowest address of the zone that isn't in use, as far as known.
    pub(crate) async fn free_address(
        &self,
        attempt: &Attempt,
        zone: &str,
        agreed: &NetworkMark,
        hosts: &[&Host],
    ) -> Result<Ipv4Addr> {
        let zones = self.zone_names();
        let mut taken = self.machines_of_all(hosts).await?;
        taken.extend(agreed.known.values().flatten());
        let endpoints = self.networks_of_all(hosts).await?.into_iter();
        taken.extend(endpoints.filter_map(|mark| Some(mark.endpoint?.1)));
        let mut in_use = Vec::new();
        for address in self.config.addresses.free(&zones, zone, &taken) {
            match self.neighbours.at(address).await {
                None => return Ok(address),
                Some(mac) => in_use.push(format!(
                    "{address} is in use: the network card {mac} responds there"
                )),
            }
        }
        let plan = &self.config.addresses;
        let part = plan.part(&zones, zone);
        let part = part.map_or_else(
            || "none".to_owned(),
            |part| format!("{}-{}", part.start(), part.end()),
        );
        let mut message = format!(
            "no free address: of {}-{}, zone {zone} has {part}",
            plan.first, plan.last
        );
        for user in in_use {
            message.push_str("; ");
            message.push_str(&user);
        }
        Err(attempt
            .error(ErrorKind::Quota, message)
            .with_hint("give the cluster a larger address range that nothing else uses"))
    }
}
