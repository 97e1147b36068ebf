//! Parses the settings of hypervisors and their machines.

use super::parse::{self, Malformed, Parsed};
use super::path::Directories;
use super::reader::Reader;
use super::table;
use hakube_model::{
    AddressSpan, Boot, HostNetwork, Hypervisor, Libvirt, ProviderKind, Virtualization, Zone,
};
use ipnet::{IpNet, Ipv4Net};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Reads the remaining settings; `None` if the provider isn't libvirt or a setting is invalid.
pub fn libvirt(
    read: &mut Reader<'_>,
    directories: &Directories<'_>,
    provider: Option<ProviderKind>,
    zones: Option<Vec<Hypervisor>>,
    node_range: Option<IpNet>,
) -> Option<Libvirt> {
    let pool = read.read(&table::LIBVIRT_POOL, parse::word);
    let existing = read.read(&table::LIBVIRT_NETWORK, existing_network);
    let is_own = matches!(existing, Some(None));
    let own = match node_range {
        Some(IpNet::V4(range)) if is_own => Some(range),
        _ => None,
    };
    let addresses = read.derive(&table::LIBVIRT_ADDRESSES, span, own.and_then(own_span));
    let gateway = own.and_then(|range| range.hosts().next());
    let gateway = read.derive(
        &table::LIBVIRT_GATEWAY,
        ipv4,
        gateway.map(|own| own.to_string()),
    );
    let dns = read.derive(
        &table::LIBVIRT_DNS,
        |text| text.split(',').map(str::trim).map(ipv4).collect(),
        gateway.map(|address| address.to_string()),
    );
    let virtualization = read.read(&table::LIBVIRT_TYPE, virtualization);
    let boot = boot(read, directories);
    // With zones but another or no provider, the command is about an existing cluster, which has
    // the other settings.
    let zones = zones.filter(|_| provider == Some(ProviderKind::Libvirt))?;
    if is_own {
        one_host(read, &zones);
    }
    if is_own && node_range.is_some() && own.is_none() {
        read.object(
            &table::LIBVIRT_NETWORK,
            "its range would be NODE_IP_RANGE, which isn't an IPv4 range",
        );
    } else if addresses.is_none() && read.is_unset(&table::LIBVIRT_ADDRESSES) {
        read.missing(
            &table::LIBVIRT_ADDRESSES,
            "an existing network has other users, and a network needs at least 16 addresses",
        );
    }
    if let (Some(span), Some(gateway)) = (addresses, gateway) {
        reachable(read, span, gateway);
    }
    Some(Libvirt {
        zones,
        pool: pool?,
        network: match existing? {
            Some(network) => network,
            None => HostNetwork::Nat(own?),
        },
        addresses: addresses?,
        gateway,
        dns: dns.unwrap_or_default(),
        virtualization: virtualization?,
        boot: boot?,
    })
}

/// The first partition of the first disk, and the console where hakube reads messages.
const KERNEL_ARGUMENTS: &str = "root=/dev/vda1 ro console=ttyS0";

fn boot(read: &mut Reader<'_>, directories: &Directories<'_>) -> Option<Boot> {
    let firmware = read.choice(&table::LIBVIRT_FIRMWARE, None);
    let kernel = read.read(&table::LIBVIRT_KERNEL, |text| directories.resolve(text));
    let initrd = read.read(&table::LIBVIRT_INITRD, |text| directories.resolve(text));
    let arguments = read.read(&table::LIBVIRT_KERNEL_ARGUMENTS, kernel_arguments);
    match kernel {
        Some(kernel) => Some(Boot::Kernel {
            kernel,
            initrd,
            arguments: arguments.unwrap_or_else(|| KERNEL_ARGUMENTS.to_owned()),
        }),
        None => Some(match firmware?.as_str() {
            "bios" => Boot::Bios,
            "secure-uefi" => Boot::SecureUefi,
            _ => Boot::Uefi,
        }),
    }
}

/// Machines behind one host's address can't be reached from another host.
fn one_host(read: &mut Reader<'_>, zones: &[Hypervisor]) {
    let hosts = zones.iter().filter(|host| !host.is_gone());
    let hosts: BTreeSet<&str> = hosts.map(|host| host.uri.as_str()).collect();
    if hosts.len() > 1 {
        read.object_with_form(
            &table::LIBVIRT_NETWORK,
            "machines behind one host's address can't be reached from other hosts",
            "bridge:NAME or network:NAME, the same network on all hosts".to_owned(),
        );
    }
}

fn reachable(read: &mut Reader<'_>, span: AddressSpan, gateway: Ipv4Addr) {
    let within = Ipv4Net::new(span.first, span.prefix_len).is_ok_and(|net| net.contains(&gateway));
    if !within {
        let network = read.quote(&table::LIBVIRT_ADDRESSES);
        read.object(
            &table::LIBVIRT_GATEWAY,
            &format!("it isn't in the network of {network}"),
        );
    } else if (span.first..=span.last).contains(&gateway) {
        let given_out = read.quote(&table::LIBVIRT_ADDRESSES);
        read.object(
            &table::LIBVIRT_GATEWAY,
            &format!("it is within the assigned addresses: {given_out}"),
        );
    }
}

/// The tenth to the second-to-last address; the last is the broadcast address. `None` for smaller ranges.
fn own_span(range: Ipv4Net) -> Option<String> {
    let first = u32::from(range.network()).saturating_add(10);
    let last = u32::from(range.broadcast()).saturating_sub(1);
    let (first, last) = (Ipv4Addr::from(first), Ipv4Addr::from(last));
    (first < last).then(|| format!("{first}-{last}/{}", range.prefix_len()))
}

/// Parses zones with their hosts' libvirt URIs.
pub fn hypervisors(text: &str) -> Parsed<Vec<Hypervisor>> {
    let mut zones: Vec<Hypervisor> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (name, uri) = part
            .split_once('=')
            .filter(|(_, uri)| uri.contains("://") || *uri == Hypervisor::GONE)
            .ok_or_else(|| Malformed(format!("{part:?} isn't of the form ZONE=URI")))?;
        let zone: Zone = name.parse()?;
        if zones.iter().any(|other| other.zone == zone) {
            return Err(Malformed(format!("zone {zone} is listed twice")));
        }
        if let Some(other) = zones
            .first()
            .filter(|other| other.zone.region() != zone.region())
        {
            return Err(Malformed(format!(
                "the names of zones {} and {zone} put them in different regions",
                other.zone
            )));
        }
        zones.push(Hypervisor {
            zone,
            uri: uri.to_owned(),
        });
    }
    Ok(zones)
}

/// An existing network; `None` for `nat`.
fn existing_network(text: &str) -> Parsed<Option<HostNetwork>> {
    // The kernel limits interface names to 15 characters (IFNAMSIZ).
    match text.split_once(':') {
        None if text == "nat" => Ok(None),
        Some(("network", name)) if !name.is_empty() => {
            Ok(Some(HostNetwork::Network(name.to_owned())))
        }
        Some(("bridge", name)) if (1..=15).contains(&name.len()) => {
            Ok(Some(HostNetwork::Bridge(name.to_owned())))
        }
        _ => Err(Malformed::new("it isn't a valid choice")),
    }
}

fn span(text: &str) -> Parsed<AddressSpan> {
    let malformed = || Malformed::new("it isn't an address span");
    let (addresses, prefix) = text.split_once('/').ok_or_else(malformed)?;
    let (first, last) = addresses.split_once('-').ok_or_else(malformed)?;
    let first: Ipv4Addr = first.trim().parse().map_err(|_| malformed())?;
    let last: Ipv4Addr = last.trim().parse().map_err(|_| malformed())?;
    let prefix_len: u8 = prefix.parse().map_err(|_| malformed())?;
    let network = Ipv4Net::new(first, prefix_len).map_err(|_| malformed())?;
    if !network.contains(&last) {
        Err(Malformed(format!("{last} isn't in the network of {first}")))
    } else if first >= last {
        // One for the endpoint, and at least one for a machine.
        Err(Malformed::new("it has fewer than two addresses"))
    } else if network.network() == first || network.broadcast() == last {
        Err(Malformed::new(
            "the network's first and last address can't be assigned",
        ))
    } else {
        Ok(AddressSpan {
            first,
            last,
            prefix_len,
        })
    }
}

fn ipv4(text: &str) -> Parsed<Ipv4Addr> {
    text.parse()
        .map_err(|_| Malformed::new("it isn't an IPv4 address"))
}

fn virtualization(text: &str) -> Parsed<Virtualization> {
    match text {
        "auto" => Ok(Virtualization::Auto),
        "kvm" => Ok(Virtualization::Kvm),
        "qemu" => Ok(Virtualization::Qemu),
        _ => Err(Malformed::new("it isn't a valid choice")),
    }
}

fn kernel_arguments(text: &str) -> Parsed<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let is_argument = |word: &str| {
        let name = word.split_once('=').map_or(word, |(name, _)| name);
        name.chars().all(is_name) && word.chars().all(|c| c.is_ascii_graphic())
    };
    if text.split(' ').all(is_argument) {
        Ok(text.to_owned())
    } else {
        Err(Malformed::new("it isn't a kernel command line"))
    }
}

/// A SHA-256 in hexadecimal digits.
pub fn sha256(text: &str) -> Parsed<String> {
    if text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(Malformed::new("it isn't 64 hexadecimal digits"))
    }
}

/// A machine's size for libvirt, which has no machine types: `2x4GiB` is two CPUs and 4 GiB of memory.
pub fn machine_size(text: &str) -> Parsed<String> {
    let whole = |part: &str| part.parse::<u32>().is_ok_and(|number| number > 0);
    let memory = |part: &str| {
        let number = part
            .strip_suffix("GiB")
            .or_else(|| part.strip_suffix("MiB"));
        number.is_some_and(whole)
    };
    match text.split_once('x') {
        Some((processors, size)) if whole(processors) && memory(size) => Ok(text.to_owned()),
        _ => Err(Malformed::new(
            "it isn't a number of CPUs and a memory size, such as 2x4GiB",
        )),
    }
}
