//! Hypervisors, and what their machines share.

use super::Default::{Derived, Unset, Value};
use super::{Group, Kind, Setting, group};

group! { LIBVIRT: "libvirt", "Hosts of one's own. A zone is a host, or a part of one, that fails as a whole.";
    LIBVIRT_ZONES = Setting::new("HAKUBE_LIBVIRT_ZONES", Kind::Hypervisors, Unset("none"),
        "The zones, each with libvirt's address of its host: `rack-a=qemu:///system,rack-b=qemu+ssh://root@host-b/system`. \
         All but the last part of their names is the region, and the same. `rack-b=gone` gives up a host that is off for good.")
        .flag("--libvirt-zone");
    LIBVIRT_POOL = Setting::new("HAKUBE_LIBVIRT_POOL", Kind::Word, Value("default"),
        "The storage pool of each host that disks are made in.");
    LIBVIRT_NETWORK = Setting::new("HAKUBE_LIBVIRT_NETWORK", Kind::HostNetwork, Value("nat"),
        "What machines are connected to: `nat` makes a network of NODE_IP_RANGE behind one host's own address; \
         `bridge:NAME` and `network:NAME` are a host's bridge and a network of libvirt's that are there already, and \
         the same network on all hosts.");
    LIBVIRT_ADDRESSES = Setting::new("HAKUBE_LIBVIRT_ADDRESSES", Kind::AddressSpan,
        Derived("from NODE_IP_RANGE: the tenth and all after it, for `nat`"),
        "The addresses that hakube may give out, and the length of their network's prefix: \
         `192.168.1.50-192.168.1.80/24`. The first is the endpoint's. No DHCP server may give them out.");
    LIBVIRT_GATEWAY = Setting::new("HAKUBE_LIBVIRT_GATEWAY", Kind::Address,
        Derived("from NODE_IP_RANGE: its first address, for `nat`"),
        "The router between that network and others.");
    LIBVIRT_DNS = Setting::new("HAKUBE_LIBVIRT_DNS", Kind::Addresses, Derived("from HAKUBE_LIBVIRT_GATEWAY"),
        "The name servers that machines ask.");
    LIBVIRT_TYPE = Setting::new("HAKUBE_LIBVIRT_TYPE", Kind::Choice(&["auto", "kvm", "qemu"]), Value("auto"),
        "Who runs machines' processors: the host's own (`kvm`), or software, slowly (`qemu`). `auto` is kvm where \
         the host has it.");
    LIBVIRT_FIRMWARE = Setting::new("HAKUBE_LIBVIRT_FIRMWARE", Kind::Choice(&["uefi", "secure-uefi", "bios"]), Value("uefi"),
        "What boots the image, unless HAKUBE_LIBVIRT_KERNEL does. `secure-uefi` boots only what is signed with a key that \
         the host's firmware has, as distributions' own images are.");
    LIBVIRT_KERNEL = Setting::new("HAKUBE_LIBVIRT_KERNEL", Kind::Path, Unset("the image's own boot loader boots it"),
        "A kernel, on each host, that is booted instead; for images without boot loader.");
    LIBVIRT_INITRD = Setting::new("HAKUBE_LIBVIRT_INITRD", Kind::Path, Unset("none"),
        "The initial RAM disk beside that kernel.");
    LIBVIRT_KERNEL_ARGUMENTS = Setting::new("HAKUBE_LIBVIRT_KERNEL_ARGUMENTS", Kind::KernelArguments,
        Unset("`root=/dev/vda1 ro console=ttyS0`"),
        "That kernel's command line.");
    IMAGE_SHA256 = Setting::new("HAKUBE_IMAGE_SHA256", Kind::Sha256, Unset("it isn't verified"),
        "The SHA-256 of the boot image KUBE_GCE_MASTER_IMAGE, which is a file here or an https URL.");
}
