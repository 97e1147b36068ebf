//! Compute Engine's limits on names, labels and metadata. Pure: makes no calls.
//!
//! Source: <https://cloud.google.com/compute/docs/naming-resources>,
//! <https://cloud.google.com/compute/docs/metadata/setting-custom-metadata#limitations>,
//! <https://cloud.google.com/compute/docs/labeling-resources#requirements>.

use hakube_provider::{Attempt, ErrorKind, MachineSpec, PreflightSpec, ProviderError};

/// The maximum length of a name, in characters.
const NAME: usize = 63;
/// The suffix of a managed group's machine names: a dash and four characters.
const MACHINE_SUFFIX: usize = 5;
/// The maximum size of a metadata value, in bytes.
const METADATA_VALUE: usize = 262_144;
/// The maximum number of labels, including the ownership label and a group's own.
const LABELS: usize = 64;
/// The maximum length of a label's key or value, in characters.
const LABEL: usize = 63;

/// Everything that exceeds a limit or has an invalid format.
pub(super) fn findings(spec: &PreflightSpec) -> Vec<ProviderError> {
    let mut findings: Vec<ProviderError> = names(spec)
        .into_iter()
        .filter_map(|(kind, name, room)| name_finding(kind, &name, room))
        .collect();
    for (machine, _) in spec.all_machines() {
        findings.extend(metadata_finding(machine));
        findings.extend(label_finding(machine));
    }
    findings
}

/// Every name that will be used, with its resource's kind and its maximum length.
fn names(spec: &PreflightSpec) -> Vec<(&'static str, String, usize)> {
    let mut names = Vec::new();
    let mut add = |kind, name: &str| names.push((kind, name.to_owned(), NAME));
    for network in &spec.networks {
        add("network", &network.name);
        if let Some((name, _)) = &network.subnetwork {
            add("subnetwork", name);
        }
    }
    for firewall in &spec.firewalls {
        add("firewall", &firewall.name);
    }
    for address in &spec.addresses {
        add("address", &address.name);
    }
    for machine in &spec.machines {
        add("machine", &machine.machine.name);
        if let Some(disk) = &machine.data_disk {
            add("disk", &disk.name);
        }
    }
    for group in &spec.node_groups {
        add("node group", &group.name);
        add("machine template", &group.template);
    }
    for balancer in &spec.balancers {
        add("backend service", &balancer.name);
        for backend in &balancer.backends {
            add(
                "backend group",
                &format!("{}-{}", balancer.name, backend.zone),
            );
        }
    }
    for rule in &spec.rules {
        add("forwarding rule", &rule.rule);
    }
    for group in &spec.node_groups {
        let stem = &group.machine.machine.name;
        names.push(("machines", stem.clone(), NAME - MACHINE_SUFFIX));
    }
    names.sort();
    names.dedup();
    names
}

fn name_finding(kind: &str, name: &str, room: usize) -> Option<ProviderError> {
    let attempt = Attempt::new("create", format!("{kind} {name}"));
    if name.len() > room {
        let more = match room {
            NAME => String::new(),
            _ => format!(", because Compute Engine appends {MACHINE_SUFFIX}"),
        };
        let message = format!(
            "its name has {} characters; the maximum is {room}{more}",
            name.len()
        );
        return Some(
            attempt
                .error(ErrorKind::Invalid, message)
                .with_hint("choose a shorter name for the cluster"),
        );
    }
    (!is_name(name)).then(|| {
        let message = "its name must start with a letter, end with a letter or digit, and contain only letters a-z, digits and dashes";
        attempt.error(ErrorKind::Invalid, message)
    })
}

/// `[a-z]([-a-z0-9]*[a-z0-9])?`
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(plain)
        && name.chars().all(|c| plain(c) || c == '-')
}

fn metadata_finding(machine: &MachineSpec) -> Option<ProviderError> {
    let size = machine.user_data.len();
    (size > METADATA_VALUE).then(|| {
        let attempt = Attempt::new("create", format!("machine {}", machine.machine.name));
        let message = format!(
            "its user data has {size} bytes; the maximum of a metadata value is {METADATA_VALUE}"
        );
        attempt
            .error(ErrorKind::Invalid, message)
            .with_hint("use fewer or shorter arguments of its components")
    })
}

fn label_finding(machine: &MachineSpec) -> Option<ProviderError> {
    let attempt = Attempt::new("create", format!("machine {}", machine.machine.name));
    // Plus the ownership label and the node group's label.
    if machine.labels.len() + 2 > LABELS {
        let message = format!(
            "it has {} labels; the maximum is {LABELS}",
            machine.labels.len() + 2
        );
        return Some(attempt.error(ErrorKind::Invalid, message));
    }
    let fits = |text: &str| {
        text.chars().count() <= LABEL
            && text
                .chars()
                .all(|c| c == '-' || c == '_' || (c.is_alphanumeric() && !c.is_uppercase()))
    };
    let bad = machine
        .labels
        .iter()
        .find(|(key, value)| key.is_empty() || !fits(key) || !fits(value))?;
    let message = format!(
        "its label {}={} must have at most {LABEL} lower-case letters, digits, dashes and underscores on each side",
        bad.0, bad.1
    );
    Some(attempt.error(ErrorKind::Invalid, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hakube_provider::{BalancerSpec, MachineRef, Reach};

    fn address(name: &str) -> PreflightSpec {
        PreflightSpec {
            addresses: vec![hakube_contract::address_spec("k", name)],
            ..PreflightSpec::default()
        }
    }

    #[test]
    fn a_name_has_at_most_63_valid_characters() {
        assert_eq!(findings(&address(&"a".repeat(63))), []);
        for wrong in [&"a".repeat(64), "Master-ip", "1-ip", "ip-", "", "a_ip"] {
            assert_eq!(findings(&address(wrong)).len(), 1, "{wrong}");
        }
    }

    #[test]
    fn the_zone_suffix_counts_towards_a_names_length() {
        let zone = "europe-west1-b";
        let fits = NAME - zone.len() - 1;
        for (length, wrong) in [(fits, 0), (fits + 1, 1)] {
            let spec = PreflightSpec {
                balancers: vec![BalancerSpec {
                    cluster: "k".into(),
                    name: "l".repeat(length),
                    network: "default".into(),
                    reach: Reach::Anywhere,
                    port: 443,
                    health_path: "/readyz".into(),
                    backends: vec![MachineRef {
                        name: "m".into(),
                        zone: zone.into(),
                    }],
                }],
                ..PreflightSpec::default()
            };
            assert_eq!(findings(&spec).len(), wrong, "{length}");
        }
    }
}
