//! Hypervisors, and their machines' shared settings.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { LIBVIRT: "libvirt", "Machines on your own hypervisors. A zone is a failure domain: a host, or a part of one.";
    LIBVIRT_ZONES = Setting::new("HAKUBE_LIBVIRT_ZONES", Kind::Hypervisors, Unset("none"),
        "The zones, each with its host's libvirt URI: `rack-a=qemu:///system,rack-b=qemu+ssh://root@host-b/system`. \
         The name without its last part is the region, and must be the same for all. `rack-b=gone` gives up a host that is permanently lost.")
        .flag("--libvirt-zone");
    LIBVIRT_POOL = Setting::new("HAKUBE_LIBVIRT_POOL", Kind::Word, Value("default"),
        "The storage pool for disks, on each host.");
    LIBVIRT_NETWORK = Setting::new("HAKUBE_LIBVIRT_NETWORK", Kind::HostNetwork, Value("nat"),
        "The machines' network. `nat` creates a network of NODE_IP_RANGE behind one host's address; \
         `bridge:NAME` and `network:NAME` are an existing bridge and an existing libvirt network, \
         the same network on all hosts.");
    LIBVIRT_ADDRESSES = Setting::new("HAKUBE_LIBVIRT_ADDRESSES", Kind::AddressSpan,
        Derived("from NODE_IP_RANGE: the tenth and later addresses, for `nat`"),
        "The addresses that hakube may assign, with their network's prefix length: \
         `192.168.1.50-192.168.1.80/24`. The first is the endpoint's. No DHCP server may assign them.");
    LIBVIRT_GATEWAY = Setting::new("HAKUBE_LIBVIRT_GATEWAY", Kind::Address,
        Derived("from NODE_IP_RANGE: its first address, for `nat`"),
        "The router between that network and others.");
    LIBVIRT_DNS = Setting::new("HAKUBE_LIBVIRT_DNS", Kind::Addresses, Derived("from HAKUBE_LIBVIRT_GATEWAY"),
        "The machines' name servers.");
    LIBVIRT_TYPE = Setting::new("HAKUBE_LIBVIRT_TYPE", Kind::Choice(&["auto", "kvm", "qemu"]), Value("auto"),
        "How machines are virtualized: by hardware (`kvm`), or by slow software emulation (`qemu`). `auto` is kvm if \
         the host supports it.");
    LIBVIRT_FIRMWARE = Setting::new("HAKUBE_LIBVIRT_FIRMWARE", Kind::Choice(&["uefi", "secure-uefi", "bios"]), Value("uefi"),
        "The firmware that boots the image, unless HAKUBE_LIBVIRT_KERNEL is set. `secure-uefi` boots only images signed with a key that \
         the host's firmware trusts, such as distributions' own images.");
    LIBVIRT_KERNEL = Setting::new("HAKUBE_LIBVIRT_KERNEL", Kind::Path, Unset("the image's own boot loader boots it"),
        "A kernel file on each host to boot instead, for images without a boot loader.");
    LIBVIRT_INITRD = Setting::new("HAKUBE_LIBVIRT_INITRD", Kind::Path, Unset("none"),
        "The initial RAM disk for that kernel.");
    LIBVIRT_KERNEL_ARGUMENTS = Setting::new("HAKUBE_LIBVIRT_KERNEL_ARGUMENTS", Kind::KernelArguments,
        Unset("`root=/dev/vda1 ro console=ttyS0`"),
        "That kernel's command line.");
    IMAGE_SHA256 = Setting::new("HAKUBE_IMAGE_SHA256", Kind::Sha256, Unset("not verified"),
        "The SHA-256 of the boot image KUBE_GCE_MASTER_IMAGE, which is a local file or an https URL.");
}
