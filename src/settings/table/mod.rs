//! The one table that lookup, validation, `hakube env` and docs/configuration.md are driven by.

mod addons;
mod cluster;
mod hakube;
mod hosts;
mod kubernetes;
mod libvirt;
mod machines;
mod network;
mod not_honoured;

pub use addons::*;
pub use cluster::*;
pub use hakube::*;
pub use hosts::*;
pub use kubernetes::*;
pub use libvirt::*;
pub use machines::*;
pub use network::*;
pub use not_honoured::NOT_HONOURED;

/// A setting: its names, its kind, what it is when nobody sets it, what it means.
#[derive(Debug)]
pub struct Setting {
    /// The canonical variable: kube-up's where it has one, else `HAKUBE_…`.
    pub key: &'static str,
    /// Other variables that mean the same.
    pub aliases: &'static [&'static str],
    /// The flag, with its dashes.
    pub flag: Option<&'static str>,
    /// What its values look like.
    pub kind: Kind,
    /// What it is when nobody sets it.
    pub default: Default,
    /// What it means, in one line of Markdown.
    pub doc: &'static str,
}

/// What a setting is when nobody sets it.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// This value. Profiles may have another one.
    Value(&'static str),
    /// Computed; the words follow "derived".
    Derived(&'static str),
    /// Nothing; the words say what that means.
    Unset(&'static str),
}

/// What a setting's values look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds.
    Integer(u64, u64),
    /// A number that isn't negative.
    Factor,
    /// A size in GB within bounds.
    SizeGb(u64, u64),
    /// A span of time with units.
    Duration,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A zone.
    Zone,
    /// Zones, and libvirt's addresses of their hosts.
    Hypervisors,
    /// What machines are connected to.
    HostNetwork,
    /// The provider's name for a machine's size.
    MachineType,
    /// A name as Compute Engine wants it.
    Name,
    /// A Google Cloud project's id.
    Project,
    /// An address range.
    Range,
    /// Address ranges, or none.
    Ranges,
    /// An IP address.
    Address,
    /// An IP address and a port.
    Socket,
    /// Several of them.
    Addresses,
    /// A span of addresses, and the length of their network's prefix.
    AddressSpan,
    /// A DNS name.
    Domain,
    /// Names and addresses.
    CertificateNames,
    /// A release's version.
    Version,
    /// An https URL.
    Issuer,
    /// The URL of a directory.
    ReleaseUrl,
    /// A registry's host, and a path there.
    Repository,
    /// A path.
    Path,
    /// Several paths.
    Paths,
    /// Public keys of age.
    Recipients,
    /// The URL of a state store.
    StateUrl,
    /// A word of the provider's or of kubectl's.
    Word,
    /// Command-line arguments.
    Arguments,
    /// A kernel's command line.
    KernelArguments,
    /// A SHA-256.
    Sha256,
    /// A generation of processors.
    CpuPlatform,
    /// Switches by name.
    Switches,
    /// Controllers that run or don't.
    Controllers,
    /// When pods are evicted.
    Thresholds,
    /// Labels.
    Labels,
    /// Taints.
    Taints,
}

impl Kind {
    /// The valid form, in words that complete "valid is …".
    pub fn form(self) -> String {
        match self {
            Self::Bool => "true or false",
            Self::Integer(min, max) => return format!("a whole number from {min} to {max}"),
            Self::Factor => "a number, 0 or more",
            Self::SizeGb(min, max) => {
                return format!("{min}GB to {max}GB, the unit may be left out");
            }
            Self::Duration => "a duration such as 90s, 10m or 1h30m",
            Self::Choice(words) => return words.join(" or "),
            Self::Zone => "a zone such as europe-west1-b",
            Self::Name => "a name that matches [a-z]([-a-z0-9]{0,61}[a-z0-9])?",
            Self::Project => "a project's id such as my-project-1234",
            Self::Range => "an address range such as 10.64.0.0/14",
            Self::Ranges => "address ranges such as 203.0.113.7/32, separated by commas, or none",
            Self::Address => "an IP address",
            Self::Socket => "an IP address and a port such as 192.0.2.10:443",
            Self::Addresses => "IP addresses, separated by commas",
            Self::AddressSpan => "two addresses and a prefix, as in 192.168.1.50-192.168.1.80/24",
            Self::Hypervisors => "zones and URIs, as in rack-a=qemu:///system, separated by commas",
            Self::HostNetwork => "nat, bridge:NAME or network:NAME",
            Self::MachineType => "a machine type such as e2-standard-2; for libvirt 2x4GiB",
            Self::KernelArguments => "words separated by spaces",
            Self::Sha256 => "64 hexadecimal digits",
            Self::Domain => "a DNS name in lower case",
            Self::CertificateNames => "DNS names and IP addresses, separated by commas",
            Self::Version => "a full version such as v1.36.0 or 3.6.6",
            Self::Issuer => "an https URL",
            Self::ReleaseUrl => "an https or http URL without query",
            Self::Repository => "a registry's host and a path, as in mirror.example:5000/k8s",
            Self::Path => "a path",
            Self::Paths => "a path, or several separated by colons",
            Self::Recipients => "age public keys such as age1ql3z…, separated by commas",
            Self::StateUrl => {
                "a URL: file:///directory, s3://bucket/path, gs://bucket/path or memory://"
            }
            Self::Word => "text without white space",
            Self::Arguments => "arguments of the form --flag=value, separated by spaces",
            Self::CpuPlatform => "a generation of processors such as Intel Ice Lake",
            Self::Switches => "name=true or name=false, separated by commas",
            Self::Controllers => {
                "controllers' names, separated by commas: * is all that run by default, -name one that doesn't"
            }
            Self::Thresholds => {
                "signal<quantity or signal<percentage, separated by commas, such as memory.available<250Mi"
            }
            Self::Labels => "key=value pairs, separated by commas",
            Self::Taints => {
                "key=value:Effect, separated by commas; the effect is NoSchedule, \
                             PreferNoSchedule or NoExecute"
            }
        }
        .to_owned()
    }
}

impl Setting {
    /// A setting without flag or aliases.
    const fn new(key: &'static str, kind: Kind, default: Default, doc: &'static str) -> Self {
        Self {
            key,
            aliases: &[],
            flag: None,
            kind,
            default,
            doc,
        }
    }

    const fn flag(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The variables that set it, the canonical one first.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.key).chain(self.aliases.iter().copied())
    }
}

/// Settings that belong together, for readers.
#[derive(Debug)]
pub struct Group {
    /// A heading.
    pub title: &'static str,
    /// A sentence or two below it.
    pub intro: &'static str,
    /// The settings, in the order in which a reader wants them.
    pub settings: &'static [&'static Setting],
}

/// Declares settings as statics of their own, and the group that lists them all.
macro_rules! group {
    ($group:ident: $title:literal, $intro:literal; $($name:ident = $setting:expr;)*) => {
        $(#[doc = concat!("The setting `", stringify!($name), "` of the group ", $title, ".")]
        pub static $name: Setting = $setting;)*

        #[doc = concat!("The group ", $title, ".")]
        pub static $group: Group = Group { title: $title, intro: $intro, settings: &[$(&$name),*] };
    };
}
use group;

/// The whole table, group by group.
pub static GROUPS: &[&Group] = &[
    &CLUSTER,
    &HIGH_AVAILABILITY,
    &NETWORK,
    &LIBVIRT,
    &OWN_HOSTS,
    &REPLICA_MACHINES,
    &NODES,
    &ETCD,
    &API_SERVER,
    &ADDONS,
    &RELEASES,
    &CERTIFICATES,
    &THIS_MACHINE,
];

/// Every setting, in the table's order.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.settings).copied()
}
