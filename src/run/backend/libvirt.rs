//! Hypervisors of one's own, in the words of their provider.

use super::{Backend, PACE};
use crate::channel::{self, Advice, SshChannel};
use crate::cluster::ClusterSpec;
use crate::error::{Error, Result};
use crate::pki::Authorities;
use crate::settings::{Boot, HostNetwork, Libvirt, Virtualization};
use hakube_libvirt::{AddressPlan, Firmware, LibvirtConfig, Patience};
use hakube_provider::{Login, Provider};
use std::sync::Arc;

const ADVICE: Advice = Advice {
    refused: "see what cloud-init did, on its console: virsh console NAME",
    unreachable: "the machines' network must be reached from here: run hakube on their host, or on their bridge",
};

/// Connects to none of the hosts yet: one that is away is told of by what needs it.
///
/// # Errors
/// The cluster's hosts, or the key that logs in on its machines, aren't known.
pub(super) fn connect(spec: &ClusterSpec, authorities: &Authorities) -> Result<Backend> {
    let hosts = spec.libvirt.as_ref().ok_or_else(|| {
        Error::failed(format!(
            "the hosts of cluster {} aren't known",
            spec.cluster
        ))
    })?;
    let key = authorities.login().ok_or_else(|| {
        Error::failed(format!(
            "cluster {} has no key that logs in on machines",
            spec.cluster
        ))
    })?;
    let provider: Arc<dyn Provider> = Arc::new(hakube_libvirt::Libvirt::connect(config(hosts))?);
    Ok(Backend {
        channel: Arc::new(SshChannel::new(key, Arc::clone(&provider), PACE, ADVICE)?),
        login: Some(Login {
            user: channel::USER.to_owned(),
            public_key: key.public.clone(),
        }),
        shared_loopback: false,
        provider,
        pace: PACE,
    })
}

fn config(hosts: &Libvirt) -> LibvirtConfig {
    use hakube_libvirt as provider;
    let zones = hosts.zones.iter().filter(|host| !host.is_gone());
    LibvirtConfig {
        zones: zones
            .map(|host| (host.zone.to_string(), host.uri.clone()))
            .collect(),
        pool: hosts.pool.clone(),
        network: match &hosts.network {
            HostNetwork::Nat(range) => provider::HostNetwork::Nat { range: *range },
            HostNetwork::Network(name) => provider::HostNetwork::Network(name.clone()),
            HostNetwork::Bridge(name) => provider::HostNetwork::Bridge(name.clone()),
        },
        addresses: AddressPlan {
            first: hosts.addresses.first,
            last: hosts.addresses.last,
            prefix_len: hosts.addresses.prefix_len,
            gateway: hosts.gateway,
            dns: hosts.dns.clone(),
            endpoint: None,
        },
        virtualization: match hosts.virtualization {
            Virtualization::Auto => provider::Virtualization::Auto,
            Virtualization::Kvm => provider::Virtualization::Kvm,
            Virtualization::Qemu => provider::Virtualization::Emulated,
        },
        firmware: match &hosts.boot {
            Boot::Uefi => Firmware::Uefi,
            Boot::SecureUefi => Firmware::SecureUefi,
            Boot::Bios => Firmware::Bios,
            Boot::Kernel {
                kernel,
                initrd,
                arguments,
            } => Firmware::Kernel {
                kernel: kernel.clone(),
                initrd: initrd.clone(),
                command_line: arguments.clone(),
            },
        },
        patience: Patience::default(),
    }
}
