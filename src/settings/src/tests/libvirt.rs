//! Settings of libvirt.

use super::{refused, resolved, shown};
use hakube_model::{Boot, HostNetwork, Libvirt};

const ONE: (&str, &str) = ("HAKUBE_LIBVIRT_ZONES", "rack-a=qemu:///system");
const LIBVIRT: (&str, &str) = ("KUBERNETES_PROVIDER", "libvirt");

#[test]
fn this_host_is_the_default_zone() {
    let resolved = resolved(&[LIBVIRT]);
    assert_eq!(resolved.settings.zone.name(), "host-a");
}

#[test]
fn a_host_is_the_only_required_setting() {
    let resolved = resolved(&[LIBVIRT, ONE]);
    let libvirt = resolved.settings.libvirt.clone().unwrap();
    assert_eq!(resolved.settings.zone.name(), "rack-a");
    assert_eq!(libvirt.zones[0].uri, "qemu:///system");
    assert_eq!(
        libvirt.network,
        HostNetwork::Nat("10.40.0.0/22".parse().unwrap())
    );
    assert_eq!(libvirt.boot, Boot::Uefi);
    assert_eq!(
        shown(&resolved, "HAKUBE_LIBVIRT_ADDRESSES").0,
        "10.40.0.10-10.40.3.254/22"
    );
    assert_eq!(libvirt.gateway, Some("10.40.0.1".parse().unwrap()));
    assert_eq!(
        libvirt.dns,
        ["10.40.0.1".parse::<std::net::Ipv4Addr>().unwrap()]
    );
    assert_eq!(resolved.settings.replicas.machine_type, "2x4GiB");
}

#[test]
fn zones_are_hosts_in_one_region() {
    let three = "rack-a=qemu:///system, rack-b=qemu+ssh://root@b/system,rack-c=test:///default";
    let bridge = [
        ("HAKUBE_LIBVIRT_NETWORK", "bridge:br0"),
        ("HAKUBE_LIBVIRT_ADDRESSES", "192.168.1.50-192.168.1.80/24"),
        ("KUBE_GCE_ZONE", "rack-b"),
    ];
    let several = resolved(&[&[LIBVIRT, ("HAKUBE_LIBVIRT_ZONES", three)], &bridge[..]].concat());
    let zones = several.settings.libvirt.unwrap().zones;
    assert_eq!(zones[1].uri, "qemu+ssh://root@b/system");
    assert_eq!(several.settings.zone.name(), "rack-b");

    for (zones, problem) in [
        ("rack-a", "isn't of the form ZONE=URI"),
        ("rack-a=qemu", "isn't of the form ZONE=URI"),
        ("Rack=qemu:///system", "isn't a valid zone name"),
        ("rack-a=qemu:///system,rack-a=test:///default", "twice"),
        (
            "rack-a=qemu:///system,cage-b=test:///default",
            "different regions",
        ),
    ] {
        let errors = refused(&[LIBVIRT, ("HAKUBE_LIBVIRT_ZONES", zones)]);
        assert!(errors[0].contains(problem), "{zones}: {errors:?}");
    }
    let errors = refused(&[LIBVIRT, ONE, ("KUBE_GCE_ZONE", "rack-z")]);
    assert!(errors[0].contains("it has no known host"), "{errors:?}");
}

/// Setting some hosts affects only these; the others remain unchanged.
#[test]
fn hosts_can_be_changed_added_and_given_up() {
    let host = |text| {
        resolved(&[("HAKUBE_LIBVIRT_ZONES", text)])
            .settings
            .hypervisors
    };
    let made = resolved(&[LIBVIRT, ONE]).settings.libvirt.unwrap();
    let moved = made.with(&host("rack-a=qemu+ssh://a/system,rack-b=qemu:///system"));
    let uris = |libvirt: &Libvirt| {
        let hosts = libvirt.zones.iter();
        let hosts = hosts.filter(|host| !host.is_gone());
        hosts.map(|host| host.uri.clone()).collect::<Vec<_>>()
    };
    assert_eq!(uris(&moved), ["qemu+ssh://a/system", "qemu:///system"]);
    assert_eq!(
        uris(&moved.with(&host("rack-b=gone"))),
        ["qemu+ssh://a/system"]
    );
    assert_eq!(uris(&moved.with(&[])), uris(&moved));
}

#[test]
fn several_hosts_share_an_existing_network() {
    let two = "rack-a=qemu:///system,rack-b=qemu+ssh://b/system";
    let errors = refused(&[("HAKUBE_LIBVIRT_ZONES", two), LIBVIRT]);
    assert!(
        errors[0].contains("behind one host's address"),
        "{errors:?}"
    );
    let errors = refused(&[("HAKUBE_LIBVIRT_NETWORK", "bridge:br0"), ONE, LIBVIRT]);
    assert!(errors[0].contains("HAKUBE_LIBVIRT_ADDRESSES"), "{errors:?}");
}

#[test]
fn addresses_that_cannot_be_assigned_are_refused() {
    for (addresses, problem) in [
        ("192.168.1.50", "address span"),
        ("192.168.1.50-192.168.2.80/24", "isn't in the network"),
        ("192.168.1.50-192.168.1.50/24", "fewer than two"),
        ("192.168.1.0-192.168.1.80/24", "can't be assigned"),
        ("192.168.1.1-192.168.1.255/24", "can't be assigned"),
    ] {
        let errors = refused(&[("HAKUBE_LIBVIRT_ADDRESSES", addresses), ONE, LIBVIRT]);
        assert!(errors[0].contains(problem), "{addresses}: {errors:?}");
    }
    let span = ("HAKUBE_LIBVIRT_ADDRESSES", "192.168.1.1-192.168.1.80/24");
    let bridge = ("HAKUBE_LIBVIRT_NETWORK", "bridge:br0");
    for (gateway, problem) in [
        ("192.168.1.7", "within the assigned addresses"),
        ("10.0.0.1", "isn't in the network"),
    ] {
        let gateway = ("HAKUBE_LIBVIRT_GATEWAY", gateway);
        let errors = refused(&[gateway, span, bridge, ONE, LIBVIRT]);
        assert!(errors[0].contains(problem), "{errors:?}");
    }
}

#[test]
fn sizes_kernels_and_sums_are_checked() {
    for (variable, value, problem) in [
        ("MASTER_SIZE", "e2-standard-2", "number of CPUs"),
        ("MASTER_SIZE", "0x4GiB", "number of CPUs"),
        ("HAKUBE_LIBVIRT_TYPE", "xen", "isn't a valid choice"),
        ("HAKUBE_LIBVIRT_NETWORK", "bridge:", "isn't a valid choice"),
        ("HAKUBE_IMAGE_SHA256", "abc", "64 hexadecimal digits"),
    ] {
        let errors = refused(&[LIBVIRT, ONE, (variable, value)]);
        assert!(errors[0].contains(problem), "{variable}: {errors:?}");
    }
    let kernel = resolved(&[LIBVIRT, ONE, ("HAKUBE_LIBVIRT_KERNEL", "/boot/vmlinuz")]);
    let boot = kernel.settings.libvirt.unwrap().boot;
    assert!(
        matches!(boot, Boot::Kernel { initrd: None, .. }),
        "{boot:?}"
    );
}

#[test]
fn other_providers_have_no_hosts_and_their_own_machine_types() {
    assert_eq!(resolved(&[ONE]).settings.libvirt, None);
    let errors = refused(&[("MASTER_SIZE", "2x4GiB")]);
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn an_own_load_balancer_is_an_address_and_a_port() {
    let endpoint = |value| ("HAKUBE_ENDPOINT", value);
    let resolved = resolved(&[LIBVIRT, ONE, endpoint("192.0.2.10:443")]);
    let expected = "192.0.2.10:443".parse().ok();
    assert_eq!(resolved.settings.endpoint, expected);
    for (value, problem) in [
        ("lb.example:443", "isn't an IP address and a port"),
        ("192.0.2.10", "isn't an IP address and a port"),
        ("192.0.2.10:0", "port is 0"),
        ("0.0.0.0:443", "no client can connect"),
    ] {
        let errors = refused(&[LIBVIRT, ONE, endpoint(value)]).join(
            "
",
        );
        assert!(errors.contains(problem), "{value}: {errors}");
    }
    let errors = refused(&[endpoint("192.0.2.10:443")]).join(
        "
",
    );
    assert!(errors.contains("it is only for libvirt"), "{errors}");
}
