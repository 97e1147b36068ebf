//! Chooses a new machine's address. Pure.
//!
//! Each zone has its own part of the address plan. So two hosts never assign the same address, and
//! an unreachable host doesn't prevent the others from creating machines. Adding a zone moves those
//! parts. The other hosts remember the addresses of an unreachable host's machines (`mark.rs`).

use crate::config::AddressPlan;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

impl AddressPlan {
    /// The endpoint's address.
    pub fn endpoint(&self) -> Ipv4Addr {
        self.endpoint.unwrap_or(self.first)
    }

    pub(crate) fn range(&self) -> Option<ipnet::Ipv4Net> {
        let net = ipnet::Ipv4Net::new(self.first, self.prefix_len).ok()?;
        Some(net.trunc())
    }

    /// Whether the plan includes the address.
    pub(crate) fn has(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// The plan's errors, as messages; empty if it is valid.
    pub(crate) fn faults(&self) -> Vec<String> {
        let (first, last) = (self.first, self.last);
        let Some(range) = self.range() else {
            return vec![format!("/{} is not a valid prefix length", self.prefix_len)];
        };
        let mut faults = Vec::new();
        if first > last {
            faults.push(format!(
                "the range ends ({last}) before it starts ({first})"
            ));
        }
        let inside = [("last address", Some(last)), ("gateway", self.gateway)];
        let endpoint = [("endpoint's address", Some(self.endpoint()))];
        for (what, address) in inside.into_iter().chain(endpoint) {
            if let Some(address) = address.filter(|address| !range.contains(address)) {
                faults.push(format!("the {what} {address} isn't in {range}"));
            }
        }
        let ends = [range.network(), range.broadcast()];
        if ends.iter().any(|end| self.has(*end)) && range.prefix_len() < 31 {
            faults.push(format!(
                "{first}-{last} includes the network or broadcast address of {range}"
            ));
        }
        if self.gateway == Some(self.endpoint()) {
            faults.push(format!(
                "the endpoint can't have the gateway's address {}",
                self.endpoint()
            ));
        }
        faults
    }

    /// Addresses in the range that aren't for machines.
    fn kept(&self) -> BTreeSet<Ipv4Addr> {
        let kept = self.gateway.iter().chain(&self.dns).copied();
        kept.chain([self.endpoint()]).collect()
    }

    /// A zone's part of the range. `zones` are all zones, sorted.
    pub(crate) fn part(&self, zones: &[&str], zone: &str) -> Option<RangeInclusive<Ipv4Addr>> {
        let index = zones.iter().position(|other| *other == zone)? as u64;
        let (first, last) = (
            u64::from(u32::from(self.first)),
            u64::from(u32::from(self.last)),
        );
        let (all, count) = (last.checked_sub(first)? + 1, zones.len() as u64);
        let at = |index: u64| first + all * index / count;
        let (from, to) = (at(index), at(index + 1).checked_sub(1)?);
        let address = |number: u64| u32::try_from(number).ok().map(Ipv4Addr::from);
        Some(address(from)?..=address(to)?)
    }

    /// The addresses available for a zone's next machine, lowest first.
    pub(crate) fn free<'a>(
        &self,
        zones: &[&str],
        zone: &str,
        taken: &'a BTreeSet<Ipv4Addr>,
    ) -> impl Iterator<Item = Ipv4Addr> + use<'a> {
        let part = self.part(zones, zone);
        // An empty range if the zone has no part.
        let (from, to) = part.map_or((1, 0), |part| {
            (u32::from(*part.start()), u32::from(*part.end()))
        });
        let kept = self.kept();
        (from..=to)
            .map(Ipv4Addr::from)
            .filter(move |address| !taken.contains(address) && !kept.contains(address))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn plan() -> AddressPlan {
        AddressPlan {
            first: Ipv4Addr::new(10, 0, 0, 10),
            last: Ipv4Addr::new(10, 0, 0, 19),
            prefix_len: 24,
            gateway: Some(Ipv4Addr::new(10, 0, 0, 1)),
            dns: vec![Ipv4Addr::new(10, 0, 0, 12)],
            endpoint: None,
        }
    }

    fn free(plan: &AddressPlan, zones: &[&str], zone: &str, taken: &[u8]) -> Vec<u8> {
        let taken = taken
            .iter()
            .map(|last| Ipv4Addr::new(10, 0, 0, *last))
            .collect();
        plan.free(zones, zone, &taken)
            .map(|address| address.octets()[3])
            .collect()
    }

    #[test]
    fn the_lowest_unused_address_comes_first() {
        // .10 is the endpoint's, .12 a name server's.
        assert_eq!(
            free(&plan(), &["a"], "a", &[13, 15]),
            [11, 14, 16, 17, 18, 19]
        );
    }

    #[test]
    fn zones_partition_the_plan() {
        let zones = ["a", "b", "c"];
        let parts: Vec<_> = zones
            .iter()
            .map(|zone| plan().part(&zones, zone).unwrap())
            .map(|part| (part.start().octets()[3], part.end().octets()[3]))
            .collect();
        assert_eq!(parts, [(10, 12), (13, 15), (16, 19)]);
        assert_eq!(free(&plan(), &zones, "b", &[13, 14, 15]), [] as [u8; 0]);
        assert_eq!(free(&plan(), &zones, "d", &[]), [] as [u8; 0]);
    }

    #[test]
    fn more_zones_than_addresses_leave_some_with_none() {
        let small = AddressPlan {
            last: Ipv4Addr::new(10, 0, 0, 11),
            ..plan()
        };
        let zones = ["a", "b", "c"];
        let all: Vec<u8> = zones
            .iter()
            .flat_map(|zone| free(&small, &zones, zone, &[]))
            .collect();
        assert_eq!(all, [11]);
    }

    #[test]
    fn a_plan_of_a_whole_range_is_sound() {
        let plan = AddressPlan::of("192.168.77.0/24".parse().unwrap());
        assert_eq!(plan.faults(), [] as [&str; 0]);
        assert_eq!(plan.endpoint(), Ipv4Addr::new(192, 168, 77, 2));
        assert_eq!(plan.last, Ipv4Addr::new(192, 168, 77, 254));
    }

    #[test]
    fn errors_of_a_plan_are_reported() {
        let wrong = AddressPlan {
            first: Ipv4Addr::new(10, 0, 0, 20),
            last: Ipv4Addr::new(10, 0, 1, 255),
            gateway: Some(Ipv4Addr::new(10, 9, 9, 9)),
            ..plan()
        };
        assert_eq!(
            wrong.faults(),
            [
                "the last address 10.0.1.255 isn't in 10.0.0.0/24",
                "the gateway 10.9.9.9 isn't in 10.0.0.0/24",
                "10.0.0.20-10.0.1.255 includes the network or broadcast address of 10.0.0.0/24",
            ]
        );
        let backwards = AddressPlan {
            last: Ipv4Addr::new(10, 0, 0, 2),
            ..plan()
        };
        assert_eq!(
            backwards.faults(),
            ["the range ends (10.0.0.2) before it starts (10.0.0.10)"]
        );
    }
}
