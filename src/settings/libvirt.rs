//! Hypervisors, and what their machines share: from text to typed settings.

use super::parse::{self, Malformed, Parsed};
use super::path::Directories;
use super::reader::Reader;
use super::table;
use super::types::{ProviderKind, Zone};
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Where libvirt's machines are made, and what they share. Kept with the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Libvirt {
    /// The zones, in the operator's order.
    pub zones: Vec<Hypervisor>,
    /// The storage pool of each host.
    pub pool: String,
    /// What machines are connected to.
    pub network: HostNetwork,
    /// The addresses that may be given out; the first is the endpoint's.
    pub addresses: AddressSpan,
    /// The router to other networks.
    pub gateway: Option<Ipv4Addr>,
    /// The name servers that machines ask.
    pub dns: Vec<Ipv4Addr>,
    /// Who runs machines' processors.
    pub virtualization: Virtualization,
    /// What boots them.
    pub boot: Boot,
}

impl Libvirt {
    /// The same with these zones: reached as they say, or new.
    pub fn with(&self, zones: &[Hypervisor]) -> Self {
        let mut all = self.zones.clone();
        for given in zones {
            match all.iter_mut().find(|known| known.zone == given.zone) {
                Some(known) => known.uri.clone_from(&given.uri),
                None => all.push(given.clone()),
            }
        }
        Self {
            zones: all,
            ..self.clone()
        }
    }
}

/// A zone, and libvirt's address of the host that it is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hypervisor {
    /// The zone.
    pub zone: Zone,
    /// libvirt's URI: `qemu:///system`; or [`GONE`].
    pub uri: String,
}

/// In the place of a URI: the host was given up. Nobody asks it any more, and what was on it is lost.
const GONE: &str = "gone";

impl Hypervisor {
    /// Whether the host was given up.
    pub fn is_gone(&self) -> bool {
        self.uri == GONE
    }
}

/// What machines are connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostNetwork {
    /// A network of hakube's own of this range, behind the host's address.
    Nat(Ipv4Net),
    /// A network of libvirt's that is there.
    Network(String),
    /// A bridge of the host's that is there.
    Bridge(String),
}

/// A span of addresses in a network. IPv4: what keepalived, haproxy and hypervisors' networks were tried with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressSpan {
    /// The first.
    pub first: Ipv4Addr,
    /// The last.
    pub last: Ipv4Addr,
    /// The length in bits of the network's prefix.
    pub prefix_len: u8,
}

/// Who runs machines' processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Virtualization {
    /// The host's processors where they can, else software.
    Auto,
    /// The host's processors.
    Kvm,
    /// Software.
    Qemu,
}

/// What boots machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Boot {
    /// The image's boot loader, by UEFI.
    Uefi,
    /// The same, if it is signed with a key that the firmware has.
    SecureUefi,
    /// The image's boot loader, by BIOS.
    Bios,
    /// A kernel of the host's.
    Kernel {
        /// Its file.
        kernel: PathBuf,
        /// The file of its initial RAM disk.
        initrd: Option<PathBuf>,
        /// Its command line.
        arguments: String,
    },
}

/// Reads the rest; `None` where the provider is another, or something is wrong.
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
    // Who names zones and another provider, or none, speaks of a cluster that is there: the rest of it is known.
    let zones = zones.filter(|_| provider == Some(ProviderKind::Libvirt))?;
    if is_own {
        one_host(read, &zones);
    }
    if is_own && node_range.is_some() && own.is_none() {
        read.object(
            &table::LIBVIRT_NETWORK,
            "its range would be NODE_IP_RANGE, which isn't one of IPv4 addresses",
        );
    } else if addresses.is_none() && read.is_unset(&table::LIBVIRT_ADDRESSES) {
        read.missing(
            &table::LIBVIRT_ADDRESSES,
            "a network that is there already has other users, and one of fewer than 16 addresses no room",
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

/// The first partition of the first disk, and messages where hakube finds them.
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

/// Machines behind one host's address aren't reached from another host.
fn one_host(read: &mut Reader<'_>, zones: &[Hypervisor]) {
    let hosts = zones.iter().filter(|host| !host.is_gone());
    let hosts: BTreeSet<&str> = hosts.map(|host| host.uri.as_str()).collect();
    if hosts.len() > 1 {
        read.object_with_form(
            &table::LIBVIRT_NETWORK,
            "machines behind the address of one host can't be reached from those of another",
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
            &format!("it would be given out: {given_out}"),
        );
    }
}

/// The tenth and all after it but the last, which is the broadcast address. None of a range that is smaller.
fn own_span(range: Ipv4Net) -> Option<String> {
    let first = u32::from(range.network()).saturating_add(10);
    let last = u32::from(range.broadcast()).saturating_sub(1);
    let (first, last) = (Ipv4Addr::from(first), Ipv4Addr::from(last));
    (first < last).then(|| format!("{first}-{last}/{}", range.prefix_len()))
}

/// Zones, and libvirt's addresses of their hosts.
pub fn hypervisors(text: &str) -> Parsed<Vec<Hypervisor>> {
    let mut zones: Vec<Hypervisor> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (name, uri) = part
            .split_once('=')
            .filter(|(_, uri)| uri.contains("://") || *uri == GONE)
            .ok_or_else(|| {
                Malformed(format!(
                    "{part:?} isn't a zone and libvirt's address of its host"
                ))
            })?;
        let zone: Zone = name.parse()?;
        if zones.iter().any(|other| other.zone == zone) {
            return Err(Malformed(format!("zone {zone} is there twice")));
        }
        if let Some(other) = zones
            .first()
            .filter(|other| other.zone.region() != zone.region())
        {
            return Err(Malformed(format!(
                "zones {} and {zone} are named as if they were in two regions",
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

/// One that is there already; none for `nat`.
fn existing_network(text: &str) -> Parsed<Option<HostNetwork>> {
    // The kernel's limit for a name of an interface is 15 characters (IFNAMSIZ).
    match text.split_once(':') {
        None if text == "nat" => Ok(None),
        Some(("network", name)) if !name.is_empty() => {
            Ok(Some(HostNetwork::Network(name.to_owned())))
        }
        Some(("bridge", name)) if (1..=15).contains(&name.len()) => {
            Ok(Some(HostNetwork::Bridge(name.to_owned())))
        }
        _ => Err(Malformed::new("there is no such choice")),
    }
}

fn span(text: &str) -> Parsed<AddressSpan> {
    let malformed = || Malformed::new("it isn't a span of addresses");
    let (addresses, prefix) = text.split_once('/').ok_or_else(malformed)?;
    let (first, last) = addresses.split_once('-').ok_or_else(malformed)?;
    let first: Ipv4Addr = first.trim().parse().map_err(|_| malformed())?;
    let last: Ipv4Addr = last.trim().parse().map_err(|_| malformed())?;
    let prefix_len: u8 = prefix.parse().map_err(|_| malformed())?;
    let network = Ipv4Net::new(first, prefix_len).map_err(|_| malformed())?;
    if !network.contains(&last) {
        Err(Malformed(format!("{last} isn't in the network of {first}")))
    } else if first >= last {
        // The endpoint's, and at least one machine's.
        Err(Malformed::new("it has fewer than two addresses"))
    } else if network.network() == first || network.broadcast() == last {
        Err(Malformed::new(
            "the network's first and last address are nobody's",
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
        _ => Err(Malformed::new("there is no such choice")),
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
        Err(Malformed::new("it isn't a kernel's command line"))
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

/// A machine's size in libvirt's terms, which has no catalogue: `2x4GiB` is two processors and 4 GiB.
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
            "it isn't a number of processors and a size of memory, as 2x4GiB is",
        )),
    }
}
