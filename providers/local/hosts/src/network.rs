//! The network's current state, and how it is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use hakube_local_net::Wiring;
use hakube_yard::{Error, Result, Yard};

use crate::fleet::Ports;
use crate::routes::Routes;
use crate::rules;

/// What the router needs once: a hardware address that stays (without one, a bridge has that of one of its ports, and
/// machines keep an earlier one in mind); to forward packets, also between addresses of one interface; the metadata
/// server's address, and the one that health checks come from.
const SET_UP: &str = "
ip link set br0 address 42:01:0a:4d:00:01
cd /proc/sys/net
echo 1 >ipv4/ip_forward
for interface in all default br0; do
    echo 0 >ipv4/conf/$interface/rp_filter
    echo 0 >ipv4/conf/$interface/send_redirects
done
if [ -e bridge/bridge-nf-call-iptables ]; then echo 0 >bridge/bridge-nf-call-iptables; fi
ip address add 169.254.169.254/32 dev br0
ip address add 35.191.0.1/32 dev br0
";

/// The wiring in force.
#[derive(Debug, Default)]
pub(crate) struct Network {
    wiring: Wiring,
    ports: Ports,
    routes: Routes,
}

/// Prepares a yard's network.
pub(crate) fn set_up(yard: &Yard) -> Result<()> {
    feed(yard, "sh", &["-eu"], SET_UP)?;
    feed(
        yard,
        "nft",
        &["-f", "-"],
        &rules::of(&Wiring::default(), &Ports::new()),
    )
}

impl Network {
    /// Applies another wiring.
    pub fn apply(&mut self, yard: &Yard, wiring: Wiring) -> Result<()> {
        // Routes that packets need come first, firewalls before routes that packets no longer need go.
        let routes = Routes::of(&wiring);
        let (new, gone) = self.routes.to(&routes);
        if !new.is_empty() {
            feed(yard, "ip", &["-batch", "-"], &new)?;
        }
        if wiring.machines != self.wiring.machines
            || wiring.balancers != self.wiring.balancers
            || wiring.routes != self.wiring.routes
        {
            feed(yard, "nft", &["-f", "-"], &rules::of(&wiring, &self.ports))?;
        }
        if !gone.is_empty() {
            feed(yard, "ip", &["-force", "-batch", "-"], &gone)?;
        }
        let moved = moved(&self.wiring, &wiring);
        self.routes = routes;
        self.wiring = wiring;
        for address in moved {
            forget_connections(yard, address)?;
        }
        Ok(())
    }

    /// A machine's address belongs to this port of the bridge from now on.
    pub fn plug(&mut self, yard: &Yard, address: Ipv4Addr, port: String) -> Result<()> {
        self.ports.insert(address, port);
        feed(
            yard,
            "nft",
            &["-f", "-"],
            &rules::of(&self.wiring, &self.ports),
        )
    }

    /// This port no longer exists.
    pub fn unplug(&mut self, port: &str) {
        self.ports.retain(|_, own| own != port);
    }
}

/// The addresses that have moved to, from or between machines. Connections that exist would still go to the earlier
/// holder, or nowhere. As on Compute Engine, the new one gets their packets and resets them. A balancer keeps its
/// connections, also those to unhealthy backends.
fn moved(before: &Wiring, after: &Wiring) -> BTreeSet<Ipv4Addr> {
    let (before, after) = (holders(before), holders(after));
    let moved = before
        .into_iter()
        .filter(|(address, holder)| after.get(address) != Some(holder));
    moved.map(|(address, _)| address).collect()
}

/// Who has each external address: a machine, or `None` for a balancer.
fn holders(wiring: &Wiring) -> BTreeMap<Ipv4Addr, Option<Ipv4Addr>> {
    let machines = wiring.machines.iter();
    let machines = machines.filter_map(|(internal, wire)| Some((wire.external?, Some(*internal))));
    let balancers = wiring.balancers.iter();
    let balancers = balancers.map(|balancer| (balancer.address, None));
    machines.chain(balancers).collect()
}

/// Forgets the connections to an address. The program that does it is one of the hosts' image.
fn forget_connections(yard: &Yard, address: Ipv4Addr) -> Result<()> {
    let image = yard.image();
    let address = address.to_string();
    let image = image.to_string_lossy();
    let arguments = [&*image, "conntrack", "--delete", "--orig-dst", &address];
    match feed(yard, "chroot", &arguments, "") {
        // It fails if there is none.
        Err(Error::Program { output, .. }) if output.contains("0 flow entries") => Ok(()),
        done => done,
    }
}

/// Runs a program in the network with this input.
fn feed(yard: &Yard, program: &str, arguments: &[&str], input: &str) -> Result<()> {
    let io = |source| Error::Io {
        what: format!("running {program} in the machines' network"),
        source,
    };
    let network = format!("--net={}", yard.network()?);
    let mut child = Command::new("nsenter")
        .args([&network, "--", program])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(io)?;
    }
    let output = child.wait_with_output().map_err(io)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Program {
        what: format!("{program} {}", arguments.join(" ")),
        output: format!(
            "{}: {}\nInput:\n{input}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ),
    })
}
