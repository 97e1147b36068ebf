//! A machine's libvirt domain. Pure.
//!
//! Source: <https://libvirt.org/formatdomain.html>

use crate::config::Firmware;
use crate::hypervisor::Format;
use crate::machinery::Machinery;
use crate::mark::MachineMark;
use crate::size::Size;
use crate::xml;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::net::Ipv4Addr;
use uuid::Uuid;

/// The size of QEMU's translation cache for an emulated guest, in MiB.
const TRANSLATED_MIB: u64 = 256;

/// A domain's properties.
pub(crate) struct Domain<'a> {
    pub(crate) name: &'a str,
    pub(crate) size: Size,
    pub(crate) mark: &'a MachineMark,
    pub(crate) machinery: &'a Machinery,
    pub(crate) firmware: &'a Firmware,
    /// The network it is attached to.
    pub(crate) network: &'a str,
    /// Its volumes' paths.
    pub(crate) paths: Paths,
}

/// The paths of a machine's volumes on its host.
pub(crate) struct Paths {
    /// The boot disk.
    pub(crate) boot: String,
    /// The data disk: its path, its format, and its name in the guest.
    pub(crate) data: Option<(String, Format, String)>,
    /// The cloud-init seed for the first boot.
    pub(crate) seed: String,
    /// The console log.
    pub(crate) log: String,
}

/// The UUID of a machine's domain. It is always the same for the same machine, so libvirt itself
/// refuses to redefine a foreign domain of that name.
pub(crate) fn uuid(cluster: &str, name: &str) -> Uuid {
    Uuid::new_v5(
        &Uuid::NAMESPACE_OID,
        format!("hakube/{cluster}/{name}").as_bytes(),
    )
}

/// The MAC address of a machine with this address, in the range that QEMU and KVM use. Clusters and
/// machines of the same name may share a network, but addresses on it are unique.
pub(crate) fn mac(cluster: &str, name: &str, address: Ipv4Addr) -> String {
    let sum = Sha256::digest(format!("hakube/{cluster}/{name}/{address}"));
    format!("52:54:00:{:02x}:{:02x}:{:02x}", sum[0], sum[1], sum[2])
}

impl Domain<'_> {
    /// The domain's XML.
    pub(crate) fn xml(&self) -> String {
        let Self { name, mark, .. } = self;
        // All features of the host's CPU. For an emulated guest, QEMU's default is best tested.
        let cpu = self.machinery.is_kvm();
        let cpu = cpu.then(|| json!({ "@mode": "host-passthrough" }));
        // Append, because the output before a restart is often what explains it.
        let log = json!({ "@file": self.paths.log, "@append": "on" });
        let content = json!({
            "@type": self.machinery.kind,
            "name": name,
            "uuid": uuid(&mark.cluster, name).to_string(),
            "metadata": mark.metadata(),
            "memory": { "@unit": "MiB", "$text": self.size.memory_mib },
            "vcpu": self.size.cpus,
            "os": self.os(),
            "features": self.features(),
            "cpu": Value::from_iter(cpu),
            "clock": { "@offset": "utc" },
            "on_poweroff": "destroy",
            "on_reboot": "restart",
            "on_crash": "restart",
            "devices": {
                "disk": self.disks(),
                "interface": {
                    "@type": "network",
                    "mac": { "@address": mac(&mark.cluster, name, mark.address) },
                    "source": { "@network": self.network },
                    "model": { "@type": "virtio" },
                },
                "serial": { "@type": "pty", "log": log },
                "console": {
                    "@type": "pty",
                    "log": log,
                    "target": { "@type": "serial", "@port": 0 },
                },
                "rng": {
                    "@model": "virtio",
                    "backend": { "@model": "random", "$text": "/dev/urandom" },
                },
            },
        });
        xml::document("domain", &content)
    }

    fn os(&self) -> Value {
        let arch = self.machinery.arch.as_str();
        let mut kind = json!({ "@arch": arch, "$text": "hvm" });
        match arch {
            "x86_64" => kind["@machine"] = json!("q35"),
            "aarch64" => kind["@machine"] = json!("virt"),
            _ => {}
        }
        let disk = json!({ "@dev": "hd" });
        let efi = |features: &[(&str, &str)]| {
            // Features that the firmware must have or must not have. Source:
            // <https://libvirt.org/formatdomain.html#bios-bootloader>
            let features = features
                .iter()
                .map(|(name, enabled)| json!({ "@enabled": enabled, "@name": name }));
            json!({
                "@firmware": "efi",
                "type": kind,
                "firmware": { "feature": Value::from_iter(features) },
                "boot": disk,
            })
        };
        match self.firmware {
            Firmware::Bios => json!({ "type": kind, "boot": disk }),
            // By default, libvirt chooses firmware that boots only what one of its keys has signed.
            Firmware::Uefi => efi(&[("secure-boot", "no")]),
            Firmware::SecureUefi => efi(&[("enrolled-keys", "yes"), ("secure-boot", "yes")]),
            Firmware::Kernel {
                kernel,
                initrd,
                command_line,
            } => json!({
                "type": kind,
                "kernel": kernel.display().to_string(),
                "initrd": Value::from_iter(initrd.as_ref().map(|path| path.display().to_string())),
                "cmdline": command_line,
            }),
        }
    }

    fn features(&self) -> Value {
        let mut features = json!({ "acpi": {} });
        if matches!(self.machinery.arch.as_str(), "x86_64" | "i686") {
            features["apic"] = json!({});
        }
        if self.machinery.kind == "qemu" {
            // By default, QEMU's translation cache grows up to 1 GiB, in addition to the guest's memory.
            features["tcg"] = json!({ "tb-cache": { "@unit": "MiB", "$text": TRANSLATED_MIB } });
        }
        features
    }

    fn disks(&self) -> Vec<Value> {
        let Paths {
            boot, data, seed, ..
        } = &self.paths;
        let boot = disk(boot, Format::Qcow2, "vda");
        let data = data.as_ref().map(|(path, format, serial)| {
            let mut data = disk(path, *format, "vdb");
            data["serial"] = json!(serial);
            data
        });
        let mut seed = disk(seed, Format::Raw, "vdc");
        seed["readonly"] = json!({});
        [boot].into_iter().chain(data).chain([seed]).collect()
    }
}

fn disk(path: &str, format: Format, target: &str) -> Value {
    json!({
        "@type": "file",
        "@device": "disk",
        "driver": { "@name": "qemu", "@type": format.to_string() },
        "source": { "@file": path },
        "target": { "@dev": target, "@bus": "virtio" },
    })
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
    fn a_machine_with_secure_boot_is_described() {
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
    fn macs_are_in_range_and_differ() {
        let at = |last: u8| Ipv4Addr::new(192, 168, 77, last);
        let macs: std::collections::BTreeSet<String> = (2..=201)
            .map(|last| mac("kubernetes", &format!("node-{last}"), at(last)))
            .collect();
        assert_eq!(macs.len(), 200);
        assert!(macs.iter().all(|mac| mac.starts_with("52:54:00:")));
        assert_ne!(mac("a", "b-c", at(2)), mac("a-b", "c", at(2)));
        // Another cluster of the same name on the same network.
        assert_ne!(mac("a", "b", at(2)), mac("a", "b", at(102)));
    }
}
