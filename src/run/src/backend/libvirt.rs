//! The backend for libvirt hosts.

use super::{Backend, PACE};
use hakube_channel::{self as channel, Advice, SshChannel};
use hakube_error::{Error, Result};
use hakube_libvirt::{AddressPlan, Firmware, LibvirtConfig, Patience};
use hakube_model::ClusterSpec;
use hakube_model::{Boot, HostNetwork, Libvirt, Virtualization};
use hakube_pki::Authorities;
use hakube_provider::{Login, Provider};
use std::sync::Arc;
use std::time::Duration;

const ADVICE: Advice = Advice {
    refused: "check cloud-init's output on the machine's console: virsh console NAME",
    unreachable: "the machines' network must be reachable from here: run hakube on their host, or on their bridge",
};

/// Doesn't connect to any host yet. An unreachable host is reported by the first call that needs it.
/// No call takes longer than `limit`.
///
/// # Errors
/// The intent has no libvirt hosts, or the cluster has no SSH key for its machines.
pub(super) fn connect(
    spec: &ClusterSpec,
    authorities: &Authorities,
    limit: Duration,
) -> Result<Backend> {
    let hosts = spec.libvirt.as_ref().ok_or_else(|| {
        Error::failed(format!(
            "the intent of cluster {} has no libvirt hosts",
            spec.cluster
        ))
    })?;
    let key = authorities.login().ok_or_else(|| {
        Error::failed(format!(
            "cluster {} has no SSH key for its machines",
            spec.cluster
        ))
    })?;
    let provider: Arc<dyn Provider> =
        Arc::new(hakube_libvirt::Libvirt::connect(config(hosts, limit))?);
    Ok(Backend {
        channel: Arc::new(SshChannel::new(key, Arc::clone(&provider), PACE, ADVICE)?),
        login: Some(Login {
            user: channel::USER.to_owned(),
            public_key: key.public.clone(),
        }),
        local_cloud: None,
        shared_loopback: false,
        provider,
        pace: PACE,
    })
}

fn config(hosts: &Libvirt, limit: Duration) -> LibvirtConfig {
    use hakube_libvirt as provider;
    let usual = Patience::default();
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
        patience: Patience {
            connect: usual.connect.min(limit),
            call: usual.call.min(limit),
        },
    }
}
