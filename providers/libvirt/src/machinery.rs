//! Chooses how a host's hypervisor runs guests, from its capabilities. Pure.

use crate::config::Virtualization;
use crate::error::Answer;
use crate::xml;

/// How guests are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machinery {
    /// libvirt's name of the guest type: `kvm`, `qemu`, or the test driver's `test`.
    pub(crate) kind: String,
    /// The guests' architecture, which is the host's.
    pub(crate) arch: String,
}

impl Machinery {
    /// Chooses a wanted type from those offered. The inner error is a message why there is none.
    pub(crate) fn choose(
        capabilities: &str,
        wanted: Virtualization,
    ) -> Answer<Result<Self, String>> {
        let document = xml::parse(capabilities)?;
        let root = document.root_element();
        let arch = xml::descend(root, &["host", "cpu", "arch"])
            .and_then(|arch| arch.text())
            .unwrap_or_default()
            .to_owned();
        let guests = root.children().filter(|node| node.has_tag_name("guest"));
        let kinds: Vec<&str> = guests
            .filter(|guest| xml::child(*guest, "os_type").and_then(|os| os.text()) == Some("hvm"))
            .filter_map(|guest| xml::child(guest, "arch"))
            .filter(|guest| guest.attribute("name") == Some(arch.as_str()))
            .flat_map(|guest| guest.children())
            .filter(|node| node.has_tag_name("domain"))
            .filter_map(|domain| domain.attribute("type"))
            .collect();
        let accepted: &[&str] = match wanted {
            Virtualization::Auto => &["kvm", "qemu", "test"],
            Virtualization::Kvm => &["kvm"],
            Virtualization::Emulated => &["qemu", "test"],
        };
        let chosen = accepted.iter().find(|kind| kinds.contains(kind));
        Ok(match chosen {
            Some(kind) => Ok(Self {
                kind: (*kind).to_owned(),
                arch,
            }),
            None if kinds.is_empty() => Err(format!(
                "it can't run guests of its own architecture ({arch})"
            )),
            None => Err(format!(
                "it runs guests with {}, not with {}",
                kinds.join(" or "),
                accepted.join(" or ")
            )),
        })
    }

    /// Whether guests run with KVM.
    pub(crate) fn is_kvm(&self) -> bool {
        self.kind == "kvm"
    }
}

/// The host's UUID from its capabilities; `None` if the driver doesn't report one.
pub(crate) fn host_uuid(capabilities: &str) -> Answer<Option<String>> {
    let document = xml::parse(capabilities)?;
    let uuid = xml::descend(document.root_element(), &["host", "uuid"]);
    Ok(uuid.and_then(|uuid| uuid.text()).map(str::to_owned))
}

/// Whether a guest can boot with UEFI, from the domain capabilities.
pub(crate) fn has_uefi(domain_capabilities: &str) -> Answer<bool> {
    let document = xml::parse(domain_capabilities)?;
    let os = xml::child(document.root_element(), "os");
    let firmware = os
        .iter()
        .flat_map(|os| os.children())
        .find(|node| node.has_tag_name("enum") && node.attribute("name") == Some("firmware"));
    Ok(firmware.is_some_and(|firmware| {
        firmware
            .children()
            .any(|value| value.text().is_some_and(|text| text.trim() == "efi"))
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn capabilities(kinds: &[&str]) -> String {
        let domains: String = kinds
            .iter()
            .map(|kind| format!("<domain type='{kind}'/>"))
            .collect();
        format!(
            "<capabilities><host><cpu><arch>x86_64</arch></cpu></host>\
             <guest><os_type>hvm</os_type><arch name='i686'><domain type='kvm'/></arch></guest>\
             <guest><os_type>hvm</os_type><arch name='x86_64'>{domains}</arch></guest></capabilities>"
        )
    }

    fn kind(kinds: &[&str], wanted: Virtualization) -> Result<String, String> {
        let machinery = Machinery::choose(&capabilities(kinds), wanted).unwrap();
        machinery.map(|machinery| machinery.kind)
    }

    #[test]
    fn kvm_is_preferred_if_available() {
        use Virtualization::{Auto, Emulated, Kvm};
        assert_eq!(kind(&["qemu", "kvm"], Auto).unwrap(), "kvm");
        assert_eq!(kind(&["qemu"], Auto).unwrap(), "qemu");
        assert_eq!(kind(&["qemu", "kvm"], Emulated).unwrap(), "qemu");
        assert_eq!(kind(&["qemu", "kvm"], Kvm).unwrap(), "kvm");
        assert_eq!(
            kind(&["qemu"], Kvm).unwrap_err(),
            "it runs guests with qemu, not with kvm"
        );
        assert_eq!(
            kind(&[], Auto).unwrap_err(),
            "it can't run guests of its own architecture (x86_64)"
        );
    }

    #[test]
    fn uefi_is_available_if_listed() {
        let with = |value: &str| {
            format!(
                "<domainCapabilities><os><enum name='firmware'>{value}</enum></os></domainCapabilities>"
            )
        };
        assert!(has_uefi(&with("<value>bios</value><value>efi</value>")).unwrap());
        assert!(!has_uefi(&with("<value>bios</value>")).unwrap());
        assert!(!has_uefi("<domainCapabilities/>").unwrap());
    }
}
