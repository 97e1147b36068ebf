//! The table of settings. It drives lookup, validation, `hakube env` and docs/configuration.md.

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

/// A setting: its names, kind, default and documentation.
#[derive(Debug)]
pub struct Setting {
    /// The canonical variable: kube-up's if there is one, otherwise `HAKUBE_…`.
    pub key: &'static str,
    /// Other variables with the same meaning.
    pub aliases: &'static [&'static str],
    /// The flag, with its dashes.
    pub flag: Option<&'static str>,
    /// The kind of its values.
    pub kind: Kind,
    /// Its default.
    pub default: Default,
    /// Its documentation, in one line of Markdown.
    pub doc: &'static str,
}

/// A setting's default.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// This value. Profiles may override it.
    Value(&'static str),
    /// Computed; the words follow "derived".
    Derived(&'static str),
    /// No value; the words describe what that means.
    Unset(&'static str),
}

/// The kind of a setting's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds, inclusive.
    Integer(u64, u64),
    /// A non-negative number.
    Factor,
    /// A size in GB within bounds.
    SizeGb(u64, u64),
    /// A duration with units.
    Duration,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A zone.
    Zone,
    /// Zones, each with its host's libvirt URI.
    Hypervisors,
    /// The machines' network.
    HostNetwork,
    /// The provider's name for a machine type.
    MachineType,
    /// A Compute Engine resource name.
    Name,
    /// A Google Cloud project ID.
    Project,
    /// An address range.
    Range,
    /// Address ranges, or `none`.
    Ranges,
    /// An IP address.
    Address,
    /// An IP address and a port.
    Socket,
    /// Several IP addresses.
    Addresses,
    /// A span of addresses with its network's prefix length.
    AddressSpan,
    /// A DNS name.
    Domain,
    /// DNS names and IP addresses.
    CertificateNames,
    /// A release's version.
    Version,
    /// An https URL.
    Issuer,
    /// The URL of a directory.
    ReleaseUrl,
    /// A registry's host and a path.
    Repository,
    /// A path.
    Path,
    /// Several paths.
    Paths,
    /// age public keys.
    Recipients,
    /// The URL of a state store.
    StateUrl,
    /// A word without white space.
    Word,
    /// Command-line arguments.
    Arguments,
    /// A kernel's command line.
    KernelArguments,
    /// A SHA-256.
    Sha256,
    /// A CPU platform.
    CpuPlatform,
    /// Named switches.
    Switches,
    /// Controllers to run or not to run.
    Controllers,
    /// Eviction thresholds.
    Thresholds,
    /// Labels.
    Labels,
    /// Taints.
    Taints,
}

impl Kind {
    /// The valid form, as a noun phrase that completes "expected …".
    pub fn form(self) -> String {
        match self {
            Self::Bool => "true or false",
            Self::Integer(min, max) => return format!("a whole number from {min} to {max}"),
            Self::Factor => "a number, 0 or more",
            Self::SizeGb(min, max) => {
                return format!("{min}GB to {max}GB, the unit is optional");
            }
            Self::Duration => "a duration such as 90s, 10m or 1h30m",
            Self::Choice(words) => return words.join(" or "),
            Self::Zone => "a zone such as europe-west1-b",
            Self::Name => "a name that matches [a-z]([-a-z0-9]{0,61}[a-z0-9])?",
            Self::Project => "a project ID such as my-project-1234",
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
            Self::Version => "a full version such as v1.36.3 or 3.6.6",
            Self::Issuer => "an https URL",
            Self::ReleaseUrl => "an https or http URL without query",
            Self::Repository => "a registry's host and a path such as mirror.example:5000/k8s",
            Self::Path => "a path",
            Self::Paths => "a path, or several separated by colons",
            Self::Recipients => "age public keys such as age1ql3z…, separated by commas",
            Self::StateUrl => {
                "a URL: file:///directory, s3://bucket/path, gs://bucket/path or memory://"
            }
            Self::Word => "text without white space",
            Self::Arguments => "arguments of the form --flag=value, separated by spaces",
            Self::CpuPlatform => "a CPU platform such as Intel Ice Lake",
            Self::Switches => "name=true or name=false, separated by commas",
            Self::Controllers => {
                "controllers' names, separated by commas: * is all that run by default, -name switches one off"
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

/// A group of related settings, for documentation.
#[derive(Debug)]
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// An introduction of a sentence or two.
    pub intro: &'static str,
    /// The settings, in the order of the documentation.
    pub settings: &'static [&'static Setting],
}

/// Declares settings as statics, and the group that lists them.
macro_rules! group {
    ($group:ident: $title:literal, $intro:literal; $($name:ident = $setting:expr;)*) => {
        $(#[doc = concat!("The setting `", stringify!($name), "` of the group ", $title, ".")]
        pub static $name: Setting = $setting;)*

        #[doc = concat!("The group ", $title, ".")]
        pub static $group: Group = Group { title: $title, intro: $intro, settings: &[$(&$name),*] };
    };
}
use group;

/// All groups.
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
