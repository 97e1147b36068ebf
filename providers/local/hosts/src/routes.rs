//! The router's addresses and routes, as commands of `ip`: a pure function of the wiring.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv4Addr;

use hakube_local_net::Wiring;

/// Arguments of `ip`: an object, then what to add to it, or to delete.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Routes(BTreeSet<(&'static str, String)>);

/// The address that packets of the namespace itself come from.
const OPERATOR: Ipv4Addr = hakube_yard::ADDRESS;

/// The mark of a connection to this backend of a balancer, and the number of its routing table.
pub(crate) fn mark(backend: Ipv4Addr) -> u32 {
    u32::from(backend)
}

impl Routes {
    /// The routes of a wiring.
    pub fn of(wiring: &Wiring) -> Self {
        let mut all = BTreeSet::new();
        for gateway in &wiring.gateways {
            all.insert(("address", format!("{gateway}/32 dev br0")));
        }
        for (address, wire) in &wiring.machines {
            all.insert((
                "route",
                format!("{address}/32 dev br0 scope link src {OPERATOR}"),
            ));
            // For connections of a balancer. A backend that becomes unhealthy keeps its own.
            let table = mark(*address);
            all.insert((
                "route",
                format!("default via {address} dev br0 onlink table {table}"),
            ));
            all.insert((
                "rule",
                format!("priority 100 fwmark {table} lookup {table}"),
            ));
            for alias in &wire.aliases {
                all.insert((
                    "route",
                    format!("{alias} via {address} dev br0 src {OPERATOR} onlink"),
                ));
            }
        }
        for (range, hop) in &wiring.routes {
            all.insert((
                "route",
                format!("{range} via {hop} dev br0 src {OPERATOR} onlink"),
            ));
        }
        // Before the rules decide where a packet goes, it needs a route. Without a machine, nothing responds there.
        if !wiring.machines.is_empty() {
            let external = wiring.external;
            all.insert(("route", format!("{external} dev br0 src {OPERATOR}")));
        }
        for balancer in &wiring.balancers {
            let address = balancer.address;
            if !wiring.external.contains(&address) {
                all.insert(("route", format!("{address}/32 dev br0 src {OPERATOR}")));
            }
        }
        Self(all)
    }

    /// The commands that turn these routes into `others`: what is new, and what goes.
    pub fn to(&self, others: &Self) -> (String, String) {
        let commands = |all: BTreeSet<&(&str, String)>, verb: &str| {
            let mut text = String::new();
            for (object, what) in all {
                let _ = writeln!(text, "{object} {verb} {what}");
            }
            text
        };
        let new = others.0.difference(&self.0).collect();
        let gone = self.0.difference(&others.0).collect();
        (commands(new, "add"), commands(gone, "delete"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use hakube_local_net::{Balancer, Wire};

    use super::*;

    #[test]
    fn changes_are_what_is_new_and_what_goes() {
        let wire = Wire {
            network: "default".into(),
            external: None,
            aliases: vec!["10.64.3.0/24".parse().unwrap()],
            forwards: false,
            ingress: Vec::new(),
        };
        let address = Ipv4Addr::new(10, 128, 1, 2);
        let mut wiring = Wiring {
            external: "198.18.240.0/20".parse().unwrap(),
            machines: [(address, wire)].into(),
            gateways: [Ipv4Addr::new(10, 128, 1, 1)].into(),
            ..Wiring::default()
        };
        let first = Routes::of(&wiring);
        let (new, gone) = Routes::default().to(&first);
        let expected = [
            "address add 10.128.1.1/32 dev br0",
            "route add 10.128.1.2/32 dev br0 scope link src 10.77.0.1",
            "route add 10.64.3.0/24 via 10.128.1.2 dev br0 src 10.77.0.1 onlink",
            "route add 198.18.240.0/20 dev br0 src 10.77.0.1",
            "route add default via 10.128.1.2 dev br0 onlink table 176161026",
            "rule add priority 100 fwmark 176161026 lookup 176161026",
        ];
        assert_eq!(new.lines().collect::<Vec<_>>(), expected);
        assert_eq!(gone, "");

        wiring.balancers.push(Balancer {
            address: Ipv4Addr::new(10, 128, 1, 9),
            ports: Vec::new(),
            backends: vec![(address, None)],
            chosen: vec![address],
        });
        let second = Routes::of(&wiring);
        let balanced = "route add 10.128.1.9/32 dev br0 src 10.77.0.1\n";
        assert_eq!(
            first.to(&second),
            (balanced.to_owned(), String::new()),
            "an internal balancer"
        );
        let removed = balanced.replace(" add ", " delete ");
        assert_eq!(second.to(&first), (String::new(), removed));
    }
}
