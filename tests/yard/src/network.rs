//! The yard's network: a namespace with a bridge that hosts are plugged into, without a route out.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::error::{Error, Result, While, checked};
use crate::place::Place;
use crate::process::Process;
use crate::until::until;

/// The yard's own address. It is the hosts' gateway, but forwards nothing.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// The address of the host with this number.
pub(crate) fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number)
}

/// The bridge's end of a host's cable. systemd-nspawn chooses the name.
pub(crate) fn port(number: u8) -> String {
    format!("vb-{}", machine(number))
}

/// A host's name for systemd-nspawn, short enough as part of an interface name.
pub(crate) fn machine(number: u8) -> String {
    format!("h{number}")
}

const SETUP: &str = "
ip link set lo up
ip link add br0 type bridge
ip address add 10.77.0.1/24 dev br0
ip link set br0 up
echo 0 >/proc/sys/net/ipv4/ip_forward
nft -f - <<'RULES'
table bridge yard {
    set unplugged { type ifname; }
    chain between { type filter hook forward priority -10; iifname @unplugged drop; oifname @unplugged drop; }
    chain to_yard { type filter hook input priority -10; iifname @unplugged drop; }
    chain from_yard { type filter hook output priority -10; oifname @unplugged drop; }
    chain split { type filter hook forward priority 0; }
}
RULES
";

/// Creates the namespace. A sleeping process in it keeps it alive.
pub(crate) fn make(place: &Place) -> Result<()> {
    let own = namespace_of("self");
    let mut holder = joining(
        &place.groups.sub("yard").doors(),
        "exec unshare --net sleep infinity",
    );
    let pid = spawn(holder.stdout(Stdio::null()).stderr(Stdio::null()))?;
    place.write("holder", &pid.to_string())?;
    until(
        "the network namespace exists",
        Duration::from_secs(10),
        || {
            let held = namespace_of(&pid.pid.to_string());
            held.is_some() && held != own
        },
    )?;
    inside(place, "sh", &["-euc", SETUP]).map(drop)
}

fn namespace_of(process: &str) -> Option<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{process}/ns/net")).ok()
}

/// Runs a program of this machine in the namespace.
pub(crate) fn inside(place: &Place, program: &str, arguments: &[&str]) -> Result<String> {
    let network = format!("--net={}", place.network()?);
    checked(
        Command::new("nsenter")
            .args([&network, "--", program])
            .args(arguments),
    )
}

/// Blocks or allows all traffic through a cable. This also applies to a port that doesn't exist
/// yet, such as a booting host's.
pub(crate) fn let_pass(place: &Place, number: u8, plugged: bool) -> Result<()> {
    let port = port(number);
    let change = |what: &str| format!("{what} element bridge yard unplugged {{ \"{port}\" }}");
    // Adding an existing element does nothing; deleting a missing one fails.
    let rules = if plugged {
        format!("{}; {}", change("add"), change("delete"))
    } else {
        change("add")
    };
    inside(place, "nft", &[&rules]).map(drop)
}

/// Sets whether the host sees a carrier on its cable.
pub(crate) fn set_carrier(place: &Place, number: u8, plugged: bool) -> Result<()> {
    let state = if plugged { "up" } else { "down" };
    inside(place, "ip", &["link", "set", &port(number), state]).map(drop)
}

/// Removes the host's network card, and with it both ends of the cable.
pub(crate) fn remove_port(place: &Place, number: u8) -> Result<()> {
    let removed = inside(place, "ip", &["link", "delete", &port(number)]);
    match removed {
        // A host that is just starting has none yet.
        Err(_) if !has_port(place, number) => Ok(()),
        removed => removed.map(drop),
    }
}

pub(crate) fn has_port(place: &Place, number: u8) -> bool {
    inside(place, "ip", &["link", "show", &port(number)]).is_ok()
}

/// Drops bridged traffic between these hosts in both directions, including ARP.
pub(crate) fn split(place: &Place, some: &[u8], others: &[u8]) -> Result<()> {
    if some.is_empty() || others.is_empty() {
        let what = "split requires two groups of hosts, neither of them empty";
        return Err(Error::Asked(what.to_owned()));
    }
    if let Some(both) = some.iter().find(|number| others.contains(number)) {
        let what = format!(
            "the host with the address {} can't be on both sides",
            address(*both)
        );
        return Err(Error::Asked(what));
    }
    let set = |numbers: &[u8]| {
        let ports: Vec<_> = numbers
            .iter()
            .map(|number| format!("\"{}\"", port(*number)))
            .collect();
        format!("{{ {} }}", ports.join(", "))
    };
    let (some, others) = (set(some), set(others));
    // In one transaction.
    let rules = format!(
        "add rule bridge yard split iifname {some} oifname {others} drop\n\
         add rule bridge yard split iifname {others} oifname {some} drop"
    );
    inside(place, "nft", &[&rules]).map(drop)
}

pub(crate) fn heal(place: &Place) -> Result<()> {
    inside(place, "nft", &["flush chain bridge yard split"]).map(drop)
}

/// A shell that joins the cgroups with these `cgroup.procs` files before it runs the script.
/// Further arguments are the script's.
pub(crate) fn joining(doors: &[String], script: &str) -> Command {
    let mut command = Command::new("sh");
    let joins: String = doors
        .iter()
        .map(|door| format!("echo $$ >{}\n", quoted(door)))
        .collect();
    command.args(["-euc", &format!("{joins}{script}"), "yard"]);
    command
}

/// Quotes a word for the shell.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Starts a process in its own process group, so Ctrl-C at the caller's terminal doesn't reach it.
pub(crate) fn spawn(command: &mut Command) -> Result<Process> {
    use std::os::unix::process::CommandExt;
    let mut child = command
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .while_(|| "starting a shell".to_owned())?;
    let process = i32::try_from(child.id()).ok().and_then(Process::of);
    // Wait for it, or it stays a zombie for the lifetime of this process.
    std::thread::spawn(move || child.wait());
    process.ok_or_else(|| Error::Unfit("a shell exited immediately".to_owned()))
}
