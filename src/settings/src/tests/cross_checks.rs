//! Checks that involve several settings.

use super::super::resolve;
use super::{refused, resolved, sources};
use hakube_model::Network;

/// Asserts a single error about the first variable of `env`, containing all of `parts`.
fn assert_refused(env: &[(&str, &str)], parts: &[&str]) {
    let errors = refused(env);
    assert_eq!(errors.len(), 1, "{env:?}: {errors:?}");
    let (variable, value) = env[0];
    assert!(
        errors[0].starts_with(&format!("{variable} is {value:?}")),
        "{errors:?}"
    );
    for part in parts {
        assert!(errors[0].contains(part), "{part}: {errors:?}");
    }
}

#[test]
fn overlapping_ranges_are_refused_whichever_was_changed() {
    for (variable, value, other) in [
        (
            "SERVICE_CLUSTER_IP_RANGE",
            "10.64.0.0/20",
            "CLUSTER_IP_RANGE (10.64.0.0/14, derived",
        ),
        (
            "CLUSTER_IP_RANGE",
            "10.0.0.0/12",
            "SERVICE_CLUSTER_IP_RANGE (10.0.0.0/16, default)",
        ),
        ("NODE_IP_RANGE", "10.66.0.0/16", "CLUSTER_IP_RANGE"),
        ("MASTER_IP_RANGE", "10.40.1.0/24", "NODE_IP_RANGE"),
    ] {
        assert_refused(&[(variable, value)], &["it overlaps", other]);
    }
}

#[test]
fn a_custom_network_in_another_project_is_refused() {
    let shared = [
        ("CREATE_CUSTOM_NETWORK", "true"),
        ("KUBERNETES_PROVIDER", "gce"),
        ("NETWORK_PROJECT", "host-project"),
        ("PROJECT", "my-project"),
    ];
    assert_refused(
        &shared,
        &["CREATE_CUSTOM_NETWORK", "NETWORK_PROJECT (host-project"],
    );
}

#[test]
fn a_network_of_another_project_needs_a_subnetwork() {
    let network = |network_project, subnetwork: Option<&'static str>| {
        let mut env = vec![
            ("KUBERNETES_PROVIDER", "gce"),
            ("PROJECT", "my-project"),
            ("NETWORK_PROJECT", network_project),
            ("KUBE_GCE_NETWORK", "backbone"),
        ];
        env.extend(subnetwork.map(|name| ("SUBNETWORK", name)));
        resolved(&env).settings.network
    };
    let own = network("my-project", None);
    assert_eq!((&own.host_project, &own.subnetwork), (&None, &None));
    // Settings stored before this existed mean the cluster's own network and firewall rules.
    let mut stored = serde_json::to_value(&own).unwrap();
    let fields = stored.as_object_mut().unwrap();
    fields.remove("others_make_firewalls");
    assert!(!fields.contains_key("host_project"));
    assert_eq!(serde_json::from_value::<Network>(stored).unwrap(), own);
    for (named, expected) in [(None, "backbone"), (Some("west"), "west")] {
        let shared = network("host-project", named);
        assert_eq!(shared.host_project.as_deref(), Some("host-project"));
        assert_eq!(shared.subnetwork.as_deref(), Some(expected));
    }
}

#[test]
fn a_range_over_the_loopback_is_refused() {
    for (variable, value) in [
        ("CLUSTER_IP_RANGE", "127.128.0.0/9"),
        ("SERVICE_CLUSTER_IP_RANGE", "127.9.0.0/16"),
    ] {
        assert_refused(&[(variable, value)], &["the loopback addresses"]);
    }
}

#[test]
fn ranges_that_touch_do_not_overlap() {
    resolved(&[
        ("CLUSTER_IP_RANGE", "10.1.0.0/16"),
        ("SERVICE_CLUSTER_IP_RANGE", "10.2.0.0/16"),
        ("NODE_IP_RANGE", "10.3.0.0/16"),
        ("MASTER_IP_RANGE", "10.4.0.0/24"),
    ]);
}

#[test]
fn ranges_are_large_enough() {
    assert_refused(
        &[("CLUSTER_IP_RANGE", "10.64.0.0/22"), ("NUM_NODES", "5")],
        &["too small", "5 nodes", "room for 4"],
    );
    resolved(&[("CLUSTER_IP_RANGE", "10.64.0.0/22"), ("NUM_NODES", "4")]);
    assert_refused(&[("CLUSTER_IP_RANGE", "10.64.0.0/25")], &["too small"]);

    assert_refused(
        &[("NODE_IP_RANGE", "10.40.0.0/29"), ("NUM_NODES", "2")],
        &["too small", "2 nodes, 3 replicas"],
    );
    resolved(&[("NODE_IP_RANGE", "10.40.0.0/29"), ("NUM_NODES", "1")]);

    assert_refused(
        &[
            ("SERVICE_CLUSTER_IP_RANGE", "10.0.0.0/29"),
            ("KUBE_DNS_SERVER_IP", "10.0.0.5"),
        ],
        &["too small", "8 addresses"],
    );
    assert_refused(
        &[("SERVICE_CLUSTER_IP_RANGE", "172.0.0.0/8")],
        &["too large"],
    );
}

#[test]
fn a_nodes_range_has_room_for_twice_its_pods() {
    for (pods, prefix, nodes) in [
        ("32", 26, "4096"),
        ("110", 24, "1024"),
        ("128", 24, "1024"),
        ("129", 23, "512"),
    ] {
        let range = ("CLUSTER_IP_RANGE", "10.64.0.0/14");
        let network = resolved(&[("MAX_PODS_PER_NODE", pods), range])
            .settings
            .network;
        assert_eq!(network.node_prefix(), prefix, "{pods}");
        assert_eq!(network.nodes_at_most().to_string(), nodes, "{pods}");
    }
    assert_refused(
        &[
            ("CLUSTER_IP_RANGE", "10.64.0.0/22"),
            ("NUM_NODES", "3"),
            ("MAX_PODS_PER_NODE", "200"),
        ],
        &[
            "too small",
            "a /23 each",
            "MAX_PODS_PER_NODE is 200",
            "room for 2",
        ],
    );
    let v6 = |range| {
        [
            ("CLUSTER_IP_RANGE", range),
            ("SERVICE_CLUSTER_IP_RANGE", "fd00:1::/112"),
        ]
    };
    assert_eq!(
        resolved(&v6("fd00:2::/48")).settings.network.node_prefix(),
        64
    );
    assert_refused(&v6("fd00:2::/47"), &["too large", "/48"]);
}

/// etcd doesn't start if it is set twice.
#[test]
fn the_progress_interval_is_set_once() {
    let own = ("ETCD_EXTRA_ARGS", "--watch-progress-notify-interval=1s");
    assert_refused(
        &[("ETCD_PROGRESS_NOTIFY_INTERVAL", "2s"), own],
        &["ETCD_EXTRA_ARGS sets the flag", "one of the two"],
    );
    assert_eq!(resolved(&[own]).settings.etcd.progress_notify, None);
    let default = resolved(&[]).settings.etcd.progress_notify;
    assert_eq!(default, Some(std::time::Duration::from_secs(5)));
}

#[test]
fn settings_that_break_the_control_plane_later_give_warnings() {
    let about = |env: &[(&str, &str)]| -> Vec<String> {
        let warnings = resolved(env).warnings.into_iter();
        warnings.map(|warning| warning.message).collect()
    };
    let typo = about(&[("RUN_CONTROLLERS", "*,-ttl,-deploymant")]);
    assert!(
        typo.len() == 1 && typo[0].contains("names deploymant,"),
        "{typo:?}"
    );
    let never = ("ETCD_COMPACTION_INTERVAL_SEC", "0");
    let grows = about(&[never]);
    assert!(
        grows.len() == 1 && grows[0].contains("--auto-compaction-retention"),
        "{grows:?}"
    );
    let by_itself = ("ETCD_EXTRA_ARGS", "--auto-compaction-retention=5m");
    assert_eq!(about(&[never, by_itself]), [""; 0]);
}

#[test]
fn pods_and_services_are_of_one_address_family() {
    assert_refused(
        &[("SERVICE_CLUSTER_IP_RANGE", "fd00::/112")],
        &["address family", "CLUSTER_IP_RANGE"],
    );
}

#[test]
fn the_dns_address_is_a_valid_service_address() {
    for (address, problem) in [
        (
            "10.1.0.10",
            "is outside SERVICE_CLUSTER_IP_RANGE (10.0.0.0/16, default)",
        ),
        ("10.0.0.0", "network address"),
        ("10.0.0.1", "`kubernetes` service's"),
        ("10.0.255.255", "broadcast"),
    ] {
        assert_refused(
            &[("KUBE_DNS_SERVER_IP", address)],
            &[problem, "such as 10.0.0.10"],
        );
    }
}

#[test]
fn names_leave_room_for_suffixes() {
    let longest = "c".repeat(27);
    resolved(&[("KUBE_GCE_INSTANCE_PREFIX", &longest)]);
    assert_refused(
        &[("KUBE_GCE_INSTANCE_PREFIX", &"c".repeat(28))],
        &[
            "-minion-group-europe-west1-b-99-xxxx",
            "up to 27 characters",
        ],
    );
    // A longer zone name leaves less room.
    let zone = ("KUBE_GCE_ZONE", "northamerica-northeast1-a");
    assert_refused(
        &[("KUBE_GCE_INSTANCE_PREFIX", &longest), zone],
        &["up to 16"],
    );
    // A long cluster name is valid as a label, but needs a shorter prefix.
    resolved(&[
        ("CLUSTER_NAME", &"c".repeat(52)),
        ("KUBE_GCE_INSTANCE_PREFIX", "c"),
    ]);
    assert_refused(&[("NODE_INSTANCE_PREFIX", &"n".repeat(35))], &["up to 34"]);
}

#[test]
fn gce_needs_a_project() {
    let errors = refused(&[("KUBERNETES_PROVIDER", "gce")]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    for part in ["PROJECT isn't set", "gce", "--project or PROJECT"] {
        assert!(errors[0].contains(part), "{errors:?}");
    }
}

#[test]
fn up_adds_a_replica_or_nodes_but_not_both() {
    assert_refused(
        &[
            ("KUBE_USE_EXISTING_MASTER", "true"),
            ("KUBE_REPLICATE_EXISTING_MASTER", "true"),
        ],
        &["KUBE_REPLICATE_EXISTING_MASTER (true, from the environment)"],
    );
}

#[test]
fn there_is_no_dns_cache_without_dns() {
    assert_refused(
        &[
            ("KUBE_ENABLE_NODELOCAL_DNS", "true"),
            ("KUBE_ENABLE_CLUSTER_DNS", "false"),
        ],
        &["there is no cluster DNS to cache"],
    );
}

#[test]
fn newer_versions_and_large_quotas_give_warnings() {
    let warnings = resolved(&[
        ("KUBE_VERSION", "v1.37.0"),
        ("ETCD_QUOTA_BACKEND_BYTES", "17179869184"),
    ])
    .warnings;
    let about: Vec<&str> = warnings
        .iter()
        .map(|warning| warning.variable.as_str())
        .collect();
    assert_eq!(about, ["KUBE_VERSION", "ETCD_QUOTA_BACKEND_BYTES"]);
}

#[test]
fn all_errors_are_reported_at_once() {
    let errors = resolve(&sources(&[
        ("KUBE_GCE_ZONE", "Mars"),
        ("MULTIZONE", "perhaps"),
        ("NUM_NODES", "abc"),
        ("MASTER_IP_RANGE", "10.0.1.0/24"),
        ("HAKUBE_TIMEOUT", "soon"),
    ]))
    .unwrap_err();
    let text = errors.to_string();
    assert_eq!(errors.0.len(), 5, "{text}");
    assert!(text.starts_with("5 settings are invalid:"), "{text}");
}

#[test]
fn an_image_of_another_architecture_gives_a_warning() {
    let about = |env: &[(&str, &str)]| -> Vec<String> {
        let gce = [
            &[
                ("KUBERNETES_PROVIDER", "gce"),
                ("PROJECT", "my-project"),
                ("HAKUBE_SSH_SOURCE", "none"),
            ],
            env,
        ];
        let warnings = resolved(&gce.concat()).warnings.into_iter();
        let messages = warnings.map(|warning| warning.message);
        messages
            .filter(|text| text.contains("HAKUBE_NODE_ARCH"))
            .collect()
    };
    assert_eq!(about(&[]), [""; 0]);
    let arm = ("HAKUBE_NODE_ARCH", "arm64");
    let found = about(&[arm]);
    assert_eq!(found.len(), 2, "for replicas and nodes: {found:?}");
    assert!(found[0].contains("an image for amd64, but programs are downloaded for arm64"));
    let image = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-arm64";
    assert_eq!(about(&[arm, ("KUBE_GCE_MASTER_IMAGE", image)]), [""; 0]);
}
