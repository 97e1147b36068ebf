//! Whether another machine already uses the endpoint's address: merges the hosts' observations into
//! one finding.

use hakube_provider::{ErrorKind, ProviderError};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A host's observation of an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    /// The host itself has the address.
    Own,
    /// Another machine on the host's network has the address.
    Taken(Seen),
}

/// The kind of response.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seen {
    /// An ARP reply from a network card with this MAC address.
    Card(String),
    /// A ping reply.
    Ping,
    /// A TCP response on this port, even a refusal.
    Tcp(String),
}

impl Claim {
    /// Parses a line of the probe script: `own ADDRESS`, `taken ADDRESS arp MAC`, `taken ADDRESS
    /// ping` or `taken ADDRESS tcp PORT`.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["own", _] => Some(Self::Own),
            ["taken", _, "arp", card] => Some(Self::Taken(Seen::Card(card.to_owned()))),
            ["taken", _, "tcp", port] => Some(Self::Taken(Seen::Tcp(port.to_owned()))),
            ["taken", _, "ping"] => Some(Self::Taken(Seen::Ping)),
            _ => None,
        }
    }
}

/// Merges the observations of all hosts, by name, into one finding. `None` if a host of the inventory has the
/// address: that host's own finding reports it, and that host is what the others saw.
pub(super) fn judge(
    address: IpAddr,
    claims: &[(&str, Claim)],
    action: &str,
) -> Option<ProviderError> {
    if claims.iter().any(|(_, claim)| *claim == Claim::Own) {
        return None;
    }
    let mut by_answer: BTreeMap<&Seen, Vec<&str>> = BTreeMap::new();
    for (host, claim) in claims {
        if let Claim::Taken(seen) = claim {
            by_answer.entry(seen).or_default().push(host);
        }
    }
    let (_, first) = by_answer.first_key_value()?;
    let first = first.first().copied().unwrap_or_default();
    let seen: Vec<String> = by_answer
        .iter()
        .map(|(seen, hosts)| {
            let hosts = hosts.join(", ");
            match seen {
                Seen::Card(card) => format!("from {hosts}, network card {card} has it"),
                Seen::Ping => format!("from {hosts}, it responds to ping"),
                Seen::Tcp(port) => format!("from {hosts}, it responds on TCP {port}"),
            }
        })
        .collect();
    let message = format!("another machine uses it: {}", seen.join("; "));
    let resource = format!("the endpoint's address {address}");
    let error = ProviderError::new(ErrorKind::Conflict, action, resource, message);
    Some(error.with_hint(format!(
        "choose an unused address in the inventory, or find that machine: on {first}, run ip neigh show to {address}"
    )))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn judged(lines: &[(&'static str, &str)]) -> Option<ProviderError> {
        let claims: Vec<(&str, Claim)> = lines
            .iter()
            .map(|(host, line)| (*host, Claim::parse(line).unwrap()))
            .collect();
        judge("10.0.0.9".parse().unwrap(), &claims, "use")
    }

    #[test]
    fn each_host_is_named_with_the_response_it_saw() {
        assert_eq!(judged(&[]), None);
        let error = judged(&[
            ("n1", "taken 10.0.0.9 ping"),
            ("r1", "taken 10.0.0.9 arp 52:54:00:00:00:01"),
            ("r2", "taken 10.0.0.9 arp 52:54:00:00:00:01"),
            ("n2", "taken 10.0.0.9 tcp 6443"),
        ])
        .unwrap();
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert_eq!(
            error.to_string(),
            "could not use the endpoint's address 10.0.0.9: another machine uses it: \
             from r1, r2, network card 52:54:00:00:00:01 has it; from n1, it responds to ping; \
             from n2, it responds on TCP 6443"
        );
        assert!(
            error
                .hint
                .unwrap()
                .contains("on r1, run ip neigh show to 10.0.0.9")
        );
    }

    #[test]
    fn no_finding_if_a_host_of_the_inventory_has_the_address() {
        let found = judged(&[
            ("r1", "own 10.0.0.9"),
            ("r2", "taken 10.0.0.9 arp 52:54:00:00:00:01"),
        ]);
        assert_eq!(found, None);
    }

    #[test]
    fn unreachable_ports_are_not_claims() {
        for line in ["10.0.0.9 2380", "taken 10.0.0.9", "", "own"] {
            assert_eq!(Claim::parse(line), None, "{line}");
        }
    }
}
