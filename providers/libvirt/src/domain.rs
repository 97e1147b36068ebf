//! What a machine is to libvirt. Pure.
//!
//! Source: <https://libvirt.org/formatdomain.html>

use crate::config::Firmware;
use crate::hypervisor::Format;
use crate::machinery::Machinery;
use crate::mark::MachineMark;
use crate::size::Size;
use crate::xml::Element;
use sha2::{Digest, Sha256};
use std::net::Ipv4Addr;
use uuid::Uuid;

/// How much of its translated code QEMU keeps of an emulated guest, in MiB.
const TRANSLATED_MIB: u64 = 256;

/// What a domain is made of.
pub(crate) struct Domain<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its size.
    pub(crate) size: Size,
    /// Its metadata.
    pub(crate) mark: &'a MachineMark,
    /// How it is run.
    pub(crate) machinery: &'a Machinery,
    /// What it boots from.
    pub(crate) firmware: &'a Firmware,
    /// The network that it is attached to.
    pub(crate) network: &'a str,
    /// Where its volumes are.
    pub(crate) paths: Paths,
}

/// Where a machine's volumes are on its host.
pub(crate) struct Paths {
    /// The disk that it boots from.
    pub(crate) boot: String,
    /// The data disk: its path, its format, and the name under which the guest finds it.
    pub(crate) data: Option<(String, Format, String)>,
    /// What its first boot reads.
    pub(crate) seed: String,
    /// What it writes to its console.
    pub(crate) log: String,
}

/// The UUID of a machine's domain. It is the same whenever the machine is made, so that libvirt itself refuses to
/// define it over a stranger's of the same name.
pub(crate) fn uuid(cluster: &str, name: &str) -> Uuid {
    Uuid::new_v5(
        &Uuid::NAMESPACE_OID,
        format!("hakube/{cluster}/{name}").as_bytes(),
    )
}

/// The MAC address of a machine that has this address: in the range that QEMU and KVM use. Clusters and machines of
/// the same names may be on one network; no two of its addresses are.
pub(crate) fn mac(cluster: &str, name: &str, address: Ipv4Addr) -> String {
    let sum = Sha256::digest(format!("hakube/{cluster}/{name}/{address}"));
    format!("52:54:00:{:02x}:{:02x}:{:02x}", sum[0], sum[1], sum[2])
}

impl Domain<'_> {
    /// Its description.
    pub(crate) fn xml(&self) -> String {
        let Self { name, mark, .. } = self;
        Element::new("domain")
            .with("type", &self.machinery.kind)
            .child(Element::text("name", name))
            .child(Element::text("uuid", uuid(&mark.cluster, name)))
            .child(mark.to_xml())
            .child(Element::text("memory", self.size.memory_mib).with("unit", "MiB"))
            .child(Element::text("vcpu", self.size.cpus))
            .child(self.os())
            .child(Element::new("features").children(self.features()))
            .children(self.cpu())
            .child(Element::new("clock").with("offset", "utc"))
            .child(Element::text("on_poweroff", "destroy"))
            .child(Element::text("on_reboot", "restart"))
            .child(Element::text("on_crash", "restart"))
            .child(Element::new("devices").children(self.devices()))
            .render()
    }

    fn os(&self) -> Element {
        let mut kind = Element::text("type", "hvm").with("arch", &self.machinery.arch);
        match self.machinery.arch.as_str() {
            "x86_64" => kind = kind.with("machine", "q35"),
            "aarch64" => kind = kind.with("machine", "virt"),
            _ => {}
        }
        let os = Element::new("os");
        let disk = Element::new("boot").with("dev", "hd");
        match self.firmware {
            Firmware::Bios => os.child(kind).child(disk),
            Firmware::Uefi => os
                .with("firmware", "efi")
                .child(kind)
                // Left to itself, libvirt takes firmware that boots only what one of its keys has signed.
                .child(Element::new("firmware").child(feature("secure-boot", false)))
                .child(disk),
            Firmware::SecureUefi => os
                .with("firmware", "efi")
                .child(kind)
                .child(
                    Element::new("firmware")
                        .child(feature("enrolled-keys", true))
                        .child(feature("secure-boot", true)),
                )
                .child(disk),
            Firmware::Kernel {
                kernel,
                initrd,
                command_line,
            } => os
                .child(kind)
                .child(Element::text("kernel", kernel.display()))
                .children(
                    initrd
                        .iter()
                        .map(|initrd| Element::text("initrd", initrd.display())),
                )
                .child(Element::text("cmdline", command_line)),
        }
    }

    fn features(&self) -> impl Iterator<Item = Element> {
        let of_pcs = matches!(self.machinery.arch.as_str(), "x86_64" | "i686");
        let apic = of_pcs.then(|| Element::new("apic"));
        // What QEMU translates is kept, up to 1 GiB of it beside the guest's own memory, unless it is told otherwise.
        let translated = Element::text("tb-cache", TRANSLATED_MIB).with("unit", "MiB");
        let emulated = self.machinery.kind == "qemu";
        let tcg = emulated.then(|| Element::new("tcg").child(translated));
        [Element::new("acpi")].into_iter().chain(apic).chain(tcg)
    }

    fn cpu(&self) -> Option<Element> {
        // All that the host's has. Emulated, QEMU's own choice is the one that is tried most.
        self.machinery
            .is_kvm()
            .then(|| Element::new("cpu").with("mode", "host-passthrough"))
    }

    fn devices(&self) -> Vec<Element> {
        let Paths {
            boot,
            data,
            seed,
            log,
        } = &self.paths;
        let mut devices = vec![disk(boot, Format::Qcow2, "vda")];
        if let Some((path, format, serial)) = data {
            devices.push(disk(path, *format, "vdb").child(Element::text("serial", serial)));
        }
        devices.push(disk(seed, Format::Raw, "vdc").child(Element::new("readonly")));
        let mac = mac(&self.mark.cluster, self.name, self.mark.address);
        devices.push(
            Element::new("interface")
                .with("type", "network")
                .child(Element::new("mac").with("address", mac))
                .child(Element::new("source").with("network", self.network))
                .child(Element::new("model").with("type", "virtio")),
        );
        // Appended to: what it said before a restart is what one wants to read after it.
        let kept = Element::new("log").with("file", log).with("append", "on");
        devices.push(
            Element::new("serial")
                .with("type", "pty")
                .child(kept.clone()),
        );
        let to_serial = Element::new("target")
            .with("type", "serial")
            .with("port", 0);
        devices.push(
            Element::new("console")
                .with("type", "pty")
                .child(kept)
                .child(to_serial),
        );
        devices.push(
            Element::new("rng")
                .with("model", "virtio")
                .child(Element::text("backend", "/dev/urandom").with("model", "random")),
        );
        devices
    }
}

fn disk(path: &str, format: Format, target: &str) -> Element {
    Element::new("disk")
        .with("type", "file")
        .with("device", "disk")
        .child(
            Element::new("driver")
                .with("name", "qemu")
                .with("type", format),
        )
        .child(Element::new("source").with("file", path))
        .child(
            Element::new("target")
                .with("dev", target)
                .with("bus", "virtio"),
        )
}

/// Whether UEFI firmware must be able to do something. Source: <https://libvirt.org/formatdomain.html#bios-bootloader>
fn feature(name: &str, enabled: bool) -> Element {
    let enabled = if enabled { "yes" } else { "no" };
    Element::new("feature")
        .with("enabled", enabled)
        .with("name", name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn described(firmware: &Firmware, kind: &str) -> String {
        let mark = MachineMark {
            cluster: "kubernetes".into(),
            zone: "lan-site1-a".into(),
            address: Ipv4Addr::new(10, 0, 0, 11),
            host_key: "ssh-ed25519 AAAA".into(),
            image: "ab".repeat(32),
            complete: false,
            group: None,
            data_disk: Some("kubernetes-master-pd".into()),
            labels: [("role".to_owned(), "replica".to_owned())].into(),
        };
        Domain {
            name: "kubernetes-master",
            size: Size {
                cpus: 2,
                memory_mib: 4096,
            },
            mark: &mark,
            machinery: &Machinery {
                kind: kind.to_owned(),
                arch: "x86_64".to_owned(),
            },
            firmware,
            network: "hakube.kubernetes",
            paths: Paths {
                boot: "/pool/boot".into(),
                data: Some(("/pool/disk".into(), Format::Raw, "master-pd".into())),
                seed: "/pool/seed".into(),
                log: "/pool/log".into(),
            },
        }
        .xml()
    }

    #[test]
    fn a_machine_is_described() {
        insta::assert_snapshot!(described(&Firmware::Uefi, "kvm"));
    }

    #[test]
    fn a_machine_that_boots_only_what_is_signed_is_described() {
        insta::assert_snapshot!(described(&Firmware::SecureUefi, "kvm"));
    }

    #[test]
    fn a_kernel_outside_the_image_is_described() {
        let kernel = Firmware::Kernel {
            kernel: "/boot/vmlinuz".into(),
            initrd: Some("/boot/initrd".into()),
            command_line: "root=/dev/vda console=ttyS0".into(),
        };
        insta::assert_snapshot!(described(&kernel, "qemu"));
    }

    #[test]
    fn macs_are_of_the_range_and_differ() {
        let at = |last: u8| Ipv4Addr::new(192, 168, 77, last);
        let macs: std::collections::BTreeSet<String> = (2..=201)
            .map(|last| mac("kubernetes", &format!("node-{last}"), at(last)))
            .collect();
        assert_eq!(macs.len(), 200);
        assert!(macs.iter().all(|mac| mac.starts_with("52:54:00:")));
        assert_ne!(mac("a", "b-c", at(2)), mac("a-b", "c", at(2)));
        // Another cluster of the same name, elsewhere on the same network.
        assert_ne!(mac("a", "b", at(2)), mac("a", "b", at(102)));
    }
}
