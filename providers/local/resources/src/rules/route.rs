//! Routes that clients create.

use std::net::Ipv4Addr;

use crate::base::{ApiError, Key, link};
use crate::rules::managed::{Managed, Seen};
use crate::rules::subnetwork::overlap;
use crate::state::State;
use crate::types::{Instance, Network, Route};

impl Seen for Route {}

impl Route {
    /// The address of the instance that packets go to; `None` if it doesn't exist.
    pub fn next_hop(&self, state: &State) -> Option<Ipv4Addr> {
        let by_name = self.next_hop_instance.as_deref().and_then(|link| {
            let key = link::key_of(link)?;
            state.instances.get(&key)?.resource.internal_ip()
        });
        by_name.or(self.next_hop_ip)
    }
}

impl Managed for Route {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        if !state.block.hosts {
            // Loopback has no routing.
            return Err(ApiError::not_emulated("custom routes among processes"));
        }
        let network =
            state.reference::<Network>("network", &self.network, key.project.as_deref())?;
        state.ready::<Network>(&network)?;
        self.network = state.link_of::<Network>(&network);
        if let Some(link) = &self.next_hop_instance {
            let instance = state.reference::<Instance>("nextHopInstance", link, None)?;
            state.ready::<Instance>(&instance)?;
            self.next_hop_instance = Some(state.link_of::<Instance>(&instance));
        }
        if self.next_hop_instance.is_some() == self.next_hop_ip.is_some() {
            let why = "Exactly one of nextHopInstance and nextHopIp is emulated.";
            return Err(ApiError::invalid("resource.nextHopInstance", "", why));
        }
        let Some(range) = self.dest_range else {
            let why = "A route must have a range of destinations.";
            return Err(ApiError::invalid("resource.destRange", "", why));
        };
        let within = |own| overlap(&range, own) && range.prefix_len() > 0;
        let mut subnetworks = state.subnetworks.iter();
        if let Some((_, subnetwork)) = subnetworks.find(|(_, own)| within(&own.ip_cidr_range)) {
            let why = format!(
                "The range conflicts with that of a subnetwork, {}.",
                subnetwork.ip_cidr_range
            );
            return Err(ApiError::invalid("resource.destRange", range, why));
        }
        Ok(())
    }

    fn user(&self, _: &State, _: &Key) -> Option<String> {
        None
    }
}
