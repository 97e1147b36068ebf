//! Alias IP ranges: additional internal addresses of a NIC. In the primary range they are single addresses, which
//! this host serves; in a secondary one they are only allocated, for pods that don't run here.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::base::{ApiError, link};
use crate::rules::{addresses, subnetwork};
use crate::state::State;
use crate::types::{AliasIpRange, NetworkInterface, Subnetwork};

/// An alias range as a client may request it.
enum Wanted {
    Range(Ipv4Net),
    Length(u8),
}

const FIELD: &str = "networkInterfaces[0].aliasIpRanges.ipCidrRange";

/// What a client requests.
fn wanted(alias: &AliasIpRange) -> Result<Wanted, ApiError> {
    let text = alias.ip_cidr_range.as_str();
    let length = text
        .strip_prefix('/')
        .and_then(|length| length.parse().ok());
    if let Some(length) = length.filter(|length| (1..=32).contains(length)) {
        return Ok(Wanted::Length(length));
    }
    alias.range().map(Wanted::Range).ok_or_else(|| {
        let why = "Must be an address, a range, or a length such as /24.";
        ApiError::invalid(FIELD, text, why)
    })
}

impl NetworkInterface {
    /// Reserves its alias ranges, and rejects those that aren't free ranges of the subnetwork.
    pub fn settle_aliases(&mut self, state: &State, subnet: &Subnetwork) -> Result<(), ApiError> {
        let mut settled: Vec<Ipv4Net> = self.network_ip.map(Ipv4Net::from).into_iter().collect();
        for alias in &mut self.alias_ip_ranges {
            let wanted = wanted(alias)?;
            let range = match alias.secondary_name() {
                None => in_primary(state, subnet.ip_cidr_range, wanted, &settled)?,
                Some(name) => {
                    let within = subnet.secondary(name).ok_or_else(|| {
                        let why = format!(
                            "The subnetwork '{}' has no secondary range with this name.",
                            subnet.meta.self_link
                        );
                        let field = "networkInterfaces[0].aliasIpRanges.subnetworkRangeName";
                        ApiError::invalid(field, name, why)
                    })?;
                    in_secondary(state, subnet, within, wanted, &settled)?
                }
            };
            settled.push(range);
            alias.ip_cidr_range = range.to_string();
        }
        Ok(())
    }
}

/// A single address of the primary range. Each is one of this host's, with listeners.
fn in_primary(
    state: &State,
    primary: Ipv4Net,
    wanted: Wanted,
    settled: &[Ipv4Net],
) -> Result<Ipv4Net, ApiError> {
    let address = match wanted {
        Wanted::Range(range) if range.prefix_len() == 32 => Some(range.addr()),
        Wanted::Length(32) => None,
        _ => {
            return Err(ApiError::not_emulated(
                "alias IP ranges of more than one address in a subnetwork's primary range",
            ));
        }
    };
    let twice = address.is_some_and(|address| settled.contains(&address.into()));
    if twice {
        return Err(ApiError::bad_request(
            "ipInUseByAnotherResource",
            "An alias IP range is given twice, or is the machine's own address.",
        ));
    }
    if let Some(address) = address {
        return subnetwork::take(state, primary, FIELD, Some(address)).map(Ipv4Net::from);
    }
    let taken: BTreeSet<Ipv4Addr> = addresses::internal(state)
        .chain(settled.iter().map(Ipv4Net::addr))
        .collect();
    // The first two are the network's and the gateway's.
    let mut free = primary.hosts().skip(1).filter(|host| !taken.contains(host));
    free.next()
        .map(Ipv4Net::from)
        .ok_or_else(|| exhausted(primary))
}

/// A free range of a secondary range.
fn in_secondary(
    state: &State,
    subnet: &Subnetwork,
    within: Ipv4Net,
    wanted: Wanted,
    settled: &[Ipv4Net],
) -> Result<Ipv4Net, ApiError> {
    let nics = state
        .instances
        .iter()
        .flat_map(|(_, instance)| instance.network_interfaces.iter())
        .filter(|nic| link::same(&nic.subnetwork, &subnet.meta.self_link));
    let taken: Vec<Ipv4Net> = nics
        .flat_map(NetworkInterface::alias_ranges)
        .chain(settled.iter().copied())
        .filter(|range| within.contains(range))
        .collect();
    match wanted {
        Wanted::Range(range) if !within.contains(&range) => {
            let why = format!("The range is outside the secondary range {within}.");
            Err(ApiError::invalid(FIELD, range, why))
        }
        Wanted::Range(range) if first_free(std::iter::once(range), &taken).is_some() => Ok(range),
        Wanted::Range(range) => Err(ApiError::bad_request(
            "ipInUseByAnotherResource",
            format!("IP range '{range}' is already being used by another resource."),
        )),
        Wanted::Length(length) => {
            let all = within.subnets(length).map_err(|_| {
                let why = format!("The range would be larger than the secondary range {within}.");
                ApiError::invalid(FIELD, format_args!("/{length}"), why)
            })?;
            first_free(all, &taken).ok_or_else(|| exhausted(within))
        }
    }
}

/// The first range that overlaps none of those taken.
fn first_free(mut all: impl Iterator<Item = Ipv4Net>, taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    all.find(|range| !taken.iter().any(|taken| subnetwork::overlap(taken, range)))
}

fn exhausted(range: Ipv4Net) -> ApiError {
    ApiError::bad_request(
        "ipSpaceExhausted",
        format!("IP space of '{range}' is exhausted."),
    )
}
