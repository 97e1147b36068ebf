//! Defaults that depend on other settings. kube-up's arithmetic, as pure functions.

/// The machine type of replicas for a cluster of so many nodes.
pub fn replica_machine_type(nodes: u32) -> String {
    let cpus = match nodes {
        0..=10 => 2,
        11..=50 => 4,
        51..=100 => 8,
        101..=500 => 16,
        _ => 32,
    };
    format!("e2-standard-{cpus}")
}

/// Pods' addresses for so many nodes.
pub fn cluster_range(nodes: u32) -> String {
    let prefix = match nodes {
        0..=1000 => 14,
        1001..=2000 => 13,
        2001..=4000 => 12,
        _ => 11,
    };
    format!("10.64.0.0/{prefix}")
}

/// Machines' addresses for so many nodes.
pub fn node_range(nodes: u32) -> String {
    let prefix = match nodes {
        0..=1000 => 22,
        1001..=2000 => 21,
        2001..=4000 => 20,
        _ => 19,
    };
    format!("10.40.0.0/{prefix}")
}
