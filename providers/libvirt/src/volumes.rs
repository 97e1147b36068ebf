//! How volumes are described to libvirt. Pure.
//!
//! Source: <https://libvirt.org/formatstorage.html>

use crate::hypervisor::{Format, VolumeSeen};
use crate::xml::Element;
use hakube_provider::DiskSpec;

/// A GB of this provider's is a GiB.
pub(crate) const GIB: u64 = 1 << 30;

/// A volume of that name, format and size in bytes. Only its owner may read it: a seed has a private key.
pub(crate) fn empty(name: &str, format: Format, capacity: u64) -> String {
    volume(name, format, capacity).render()
}

/// A volume that holds what differs from another.
pub(crate) fn over(name: &str, capacity: u64, base: &VolumeSeen) -> String {
    let backing = Element::new("backingStore")
        .child(Element::text("path", &base.path))
        .child(Element::new("format").with("type", base.format));
    volume(name, Format::Qcow2, capacity)
        .child(backing)
        .render()
}

fn volume(name: &str, format: Format, capacity: u64) -> Element {
    let permissions = Element::new("permissions").child(Element::text("mode", "0600"));
    Element::new("volume")
        .child(Element::text("name", name))
        .child(Element::text("capacity", capacity).with("unit", "bytes"))
        // What isn't written takes no room.
        .child(Element::text("allocation", 0))
        .child(
            Element::new("target")
                .child(Element::new("format").with("type", format))
                .child(permissions),
        )
}

/// The format of a data disk: `qcow2` if its kind says so.
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
}
