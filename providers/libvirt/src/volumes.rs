//! Volumes: their names and their XML. Pure.
//!
//! Volumes have no metadata, so the ownership label is their whole name.
//!
//! Source: <https://libvirt.org/formatstorage.html>

use crate::hypervisor::{Format, VolumeSeen};
use crate::xml;
use hakube_provider::DiskSpec;
use serde_json::{Value, json};

/// This provider counts a GB as a GiB.
pub(crate) const GIB: u64 = 1 << 30;

/// A cluster's volume, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Volume {
    /// A base image, by its SHA-256.
    Image(String),
    /// Records that a base image is complete and has this SHA-256: an empty volume, created last.
    Verified(String),
    /// A part of a machine, deleted with it.
    Machine {
        zone: String,
        name: String,
        part: Part,
    },
    /// A data disk.
    Data { zone: String, name: String },
}

/// A volume's role in a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The boot disk.
    Boot,
    /// The cloud-init seed.
    Seed,
    /// The console log; a rotated one has a number.
    Log(Option<u32>),
}

/// The first part of a volume's name.
const PREFIX: &str = "hakube";

impl Volume {
    /// The volume's name. None of its parts may contain a dot; names of clusters, zones and machines don't.
    pub(crate) fn name(&self, cluster: &str) -> String {
        match self {
            Self::Image(sum) => format!("{PREFIX}.{cluster}.{}.image", short(sum)),
            Self::Verified(sum) => format!("{PREFIX}.{cluster}.{}.verified", short(sum)),
            Self::Machine { zone, name, part } => {
                let part = match part {
                    Part::Boot => "boot".to_owned(),
                    Part::Seed => "seed".to_owned(),
                    Part::Log(None) => "log".to_owned(),
                    Part::Log(Some(number)) => format!("log.{number}"),
                };
                format!("{PREFIX}.{cluster}.{zone}.{name}.{part}")
            }
            Self::Data { zone, name } => format!("{PREFIX}.{cluster}.{zone}.{name}.disk"),
        }
    }

    /// Whether it is a part of this machine.
    pub(crate) fn is_of_machine(&self, at: &str, whose: &str) -> bool {
        matches!(self, Self::Machine { zone, name, .. } if zone == at && name == whose)
    }

    /// Whether it is this data disk.
    pub(crate) fn is_data_disk(&self, at: &str, disk: &str) -> bool {
        matches!(self, Self::Data { zone, name } if zone == at && name == disk)
    }

    /// Parses a volume's name. `None` if it isn't this cluster's. Names are compared part by part,
    /// so one cluster's are never a prefix of another's.
    pub(crate) fn of(cluster: &str, volume: &str) -> Option<Self> {
        let parts: Vec<&str> = volume.split('.').collect();
        let own = |part: &str| part.to_owned();
        let machine = |zone: &str, name: &str, part| Self::Machine {
            zone: zone.to_owned(),
            name: name.to_owned(),
            part,
        };
        match parts.as_slice() {
            [PREFIX, whose, rest @ ..] if *whose == cluster => match rest {
                [sum, "image"] => Some(Self::Image(own(sum))),
                [sum, "verified"] => Some(Self::Verified(own(sum))),
                [zone, name, "boot"] => Some(machine(zone, name, Part::Boot)),
                [zone, name, "seed"] => Some(machine(zone, name, Part::Seed)),
                [zone, name, "log"] => Some(machine(zone, name, Part::Log(None))),
                [zone, name, "log", number] => {
                    let number = number.parse().ok()?;
                    Some(machine(zone, name, Part::Log(Some(number))))
                }
                [zone, name, "disk"] => Some(Self::Data {
                    zone: own(zone),
                    name: own(name),
                }),
                _ => None,
            },
            _ => None,
        }
    }
}

/// The first digits of a checksum: enough to tell a cluster's images apart.
pub(crate) fn short(sum: &str) -> &str {
    sum.get(..16).unwrap_or(sum)
}

/// An empty volume. `capacity` is in bytes. Only its owner may read it, because a seed contains a
/// private key.
pub(crate) fn empty(name: &str, format: Format, capacity: u64) -> String {
    volume(name, format, capacity, None)
}

/// A volume that stores the differences from a base volume.
pub(crate) fn over(name: &str, capacity: u64, base: &VolumeSeen) -> String {
    volume(name, Format::Qcow2, capacity, Some(base))
}

fn volume(name: &str, format: Format, capacity: u64, base: Option<&VolumeSeen>) -> String {
    let backing = base
        .map(|base| json!({ "path": base.path, "format": { "@type": base.format.to_string() } }));
    let content = json!({
        "name": name,
        "capacity": { "@unit": "bytes", "$text": capacity },
        // Sparse: unwritten blocks take no space.
        "allocation": 0,
        "target": {
            "format": { "@type": format.to_string() },
            "permissions": { "mode": "0600" },
        },
        "backingStore": Value::from_iter(backing),
    });
    xml::document("volume", &content)
}

/// A data disk's format: `qcow2` if that is its kind, otherwise raw.
pub(crate) fn data_format(disk: &DiskSpec) -> Format {
    match disk.kind.as_str() {
        "qcow2" => Format::Qcow2,
        _ => Format::Raw,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_described() {
        let base = VolumeSeen {
            path: "/pool/base".into(),
            format: Format::Raw,
            capacity: GIB,
        };
        let described = over("hakube.kubernetes.a.b.boot", 20 * GIB, &base);
        insta::assert_snapshot!(described);
    }

    #[test]
    fn volumes_are_identified_by_their_whole_name() {
        let machine = |part| Volume::Machine {
            zone: "lan-a".into(),
            name: "kubernetes-master".into(),
            part,
        };
        let volumes = [
            Volume::Image("0123456789abcdef".into()),
            Volume::Verified("0123456789abcdef".into()),
            machine(Part::Boot),
            machine(Part::Seed),
            machine(Part::Log(None)),
            machine(Part::Log(Some(2))),
            Volume::Data {
                zone: "lan-a".into(),
                name: "kubernetes-master-pd".into(),
            },
        ];
        for volume in volumes {
            let name = volume.name("kubernetes");
            assert_eq!(Volume::of("kubernetes", &name), Some(volume), "{name}");
            assert_eq!(Volume::of("kubernetes2", &name), None, "{name}");
            assert_eq!(Volume::of("kube", &name), None, "{name}");
        }
        for other in [
            "debian.qcow2",
            "hakube.kubernetes",
            "hakube.kubernetes.a.b.c",
            "hakube.kubernetes.a.b.log.x",
            "hakube.kubernetes.a.b.boot.bak",
        ] {
            assert_eq!(Volume::of("kubernetes", other), None, "{other}");
        }
    }
}
