//! Flags, variables and configuration files of the programs.

use super::*;

/// A removed flag is an `unknown flag`, and the component never starts.
#[test]
fn no_supported_version_gets_a_removed_flag() {
    const REMOVED: [&str; 11] = [
        "--cloud-config",
        "--cloud-provider",
        "--container-runtime",
        "--enable-v2",
        "--etcd-quorum-read",
        "--experimental-",
        "--insecure-bind-address",
        "--insecure-port",
        "--pod-eviction-timeout",
        "--pod-infra-container-image",
        "--port",
    ];
    for minor in 31..=36 {
        for wish in ["true", "false"] {
            let variables = [
                ("KUBE_VERSION", &*format!("1.{minor}.0")),
                ("ENABLE_ETCD_QUORUM_READ", wish),
            ];
            for document in [replica(&variables), node(&variables)] {
                for flag in document.flags() {
                    let name = flag.split('=').next().unwrap();
                    let removed = REMOVED.iter().find(|removed| {
                        name == **removed || removed.ends_with('-') && name.starts_with(**removed)
                    });
                    assert_eq!(removed, None, "1.{minor} gets {flag}");
                }
            }
        }
    }
}

#[test]
fn settings_become_flags_of_components() {
    let document = replica(&[
        ("ETCD_QUOTA_BACKEND_BYTES", "8589934592"),
        (
            "ETCD_EXTRA_ARGS",
            "--heartbeat-interval=200 --election-timeout=2000",
        ),
        ("KUBE_FEATURE_GATES", "AllAlpha=true"),
        ("KUBE_RUNTIME_CONFIG", "api/all=true"),
        ("SERVICE_CLUSTER_IP_RANGE", "10.3.0.0/16"),
        ("MAX_PODS_PER_NODE", "250"),
        ("RUN_CONTROLLERS", "*,-ttl"),
        ("CLUSTER_SIGNING_DURATION", "24h"),
        ("ETCD_COMPACTION_INTERVAL_SEC", "150"),
        ("KUBE_APISERVER_REQUEST_TIMEOUT_SEC", "300"),
    ]);
    let flags = document.flags();
    for flag in [
        "--quota-backend-bytes=8589934592",
        "--heartbeat-interval=200",
        "--election-timeout=2000",
        "--feature-gates=AllAlpha=true",
        "--runtime-config=api/all=true",
        "--service-cluster-ip-range=10.3.0.0/16",
        "--node-cidr-mask-size=23",
        "--controllers=*,-ttl,bootstrapsigner,tokencleaner",
        "--cluster-signing-duration=86400s",
        "--etcd-compaction-interval=150s",
        "--request-timeout=300s",
    ] {
        assert!(flags.contains(&flag), "no {flag} in {flags:#?}");
    }
}

#[test]
fn settings_become_configuration_of_kubelets() {
    let document = node(&[
        ("MAX_PODS_PER_NODE", "250"),
        (
            "EVICTION_HARD",
            "memory.available<250Mi,nodefs.available<10%",
        ),
    ]);
    let configuration = &document.file("/etc/kubernetes/kubelet.yaml").content;
    let configuration: serde_json::Value = serde_json::from_str(configuration).unwrap();
    assert_eq!(configuration["maxPods"], 250);
    let thresholds = serde_json::json!({"memory.available": "250Mi", "nodefs.available": "10%"});
    assert_eq!(configuration["evictionHard"], thresholds);
}

/// etcd refuses a variable that duplicates a flag.
#[test]
fn the_progress_interval_has_the_name_of_etcds_version() {
    let variables = |variables: &[(&str, &str)]| -> Vec<String> {
        let document = replica(variables);
        let values = document.values("Environment");
        let values = values
            .into_iter()
            .filter(|value| value.contains("PROGRESS"));
        values.map(str::to_owned).collect()
    };
    const OLD: &str = "ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL";
    const NEW: &str = "ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL";
    // etcd 3.6 doesn't start with both.
    for (version, name) in [
        ("3.4.23", OLD),
        ("3.5.26", OLD),
        ("3.6.16", NEW),
        ("3.7.0", NEW),
    ] {
        let version = ("ETCD_VERSION", version);
        assert_eq!(variables(&[version]), [format!("{name}=5s")]);
        assert_eq!(
            variables(&[version, ("ETCD_PROGRESS_NOTIFY_INTERVAL", "1.5s")]),
            [format!("{name}=1500ms")]
        );
    }
    let own = (
        "ETCD_EXTRA_ARGS",
        "--experimental-watch-progress-notify-interval=1m",
    );
    assert_eq!(variables(&[own]), [""; 0]);
}

/// etcd refuses a variable that duplicates a flag.
#[test]
fn corruption_checks_have_the_names_of_etcds_version() {
    let variables = |version: &str, arguments: &str| -> Vec<String> {
        let document = replica(&[("ETCD_VERSION", version), ("ETCD_EXTRA_ARGS", arguments)]);
        let values = document.values("Environment");
        let values = values
            .into_iter()
            .filter(|value| !value.contains("PROGRESS"));
        values.map(str::to_owned).collect()
    };
    const TIME: &str = "ETCD_EXPERIMENTAL_CORRUPT_CHECK_TIME=12h";
    const INITIAL: &str = "ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK=true";
    const COMPACTION: &str = "ETCD_EXPERIMENTAL_COMPACT_HASH_CHECK_ENABLED=true";
    const NEW_TIME: &str = "ETCD_CORRUPT_CHECK_TIME=12h";
    const GATES: &str = "ETCD_FEATURE_GATES=InitialCorruptCheck=true,CompactHashCheck=true";
    let none = "--max-txn-ops=256";
    for (version, arguments, expected) in [
        ("3.4.23", none, vec![TIME, INITIAL]),
        ("3.5.26", none, vec![COMPACTION, TIME, INITIAL]),
        ("3.6.16", none, vec![NEW_TIME, GATES]),
        ("3.7.0", none, vec![NEW_TIME, GATES]),
        (
            "3.4.23",
            "--experimental-corrupt-check-time=1h",
            vec![INITIAL],
        ),
        (
            "3.6.16",
            "--corrupt-check-time=1h --feature-gates=LeaseCheckpoint=true",
            vec![],
        ),
        (
            "3.6.16",
            "--experimental-compact-hash-check-enabled=false",
            vec![NEW_TIME, "ETCD_FEATURE_GATES=InitialCorruptCheck=true"],
        ),
    ] {
        assert_eq!(
            variables(version, arguments),
            expected,
            "{version} {arguments}"
        );
    }
}

/// Existing replicas stay unchanged.
#[test]
fn a_cluster_from_before_a_setting_existed_has_the_programs_defaults() {
    let mut stored = serde_json::to_value(fixtures::spec(&[])).unwrap();
    for (part, field) in [
        ("etcd", "progress_notify"),
        ("api", "request_timeout_seconds"),
        ("api", "compaction_seconds"),
        ("network", "pods_per_node"),
        ("node_machines", "eviction_hard"),
        ("node_machines", "allowed_unready"),
    ] {
        let removed = stored[part].as_object_mut().unwrap().remove(field);
        assert!(removed.is_some(), "{part}.{field}");
    }
    stored
        .as_object_mut()
        .unwrap()
        .remove("controller_manager")
        .unwrap();
    let spec: ClusterSpec = serde_json::from_value(stored).unwrap();
    let document = read(&replica_user_data(&spec));
    let mut variables = document.values("Environment").into_iter();
    assert!(variables.all(|variable| variable.contains("_CHECK") || variable.contains("Check")));
    let flags = document.flags();
    for flag in [
        "--controllers=*,bootstrapsigner,tokencleaner",
        "--node-cidr-mask-size=24",
    ] {
        assert!(flags.contains(&flag), "no {flag} in {flags:#?}");
    }
    let unset = [
        "--request-timeout",
        "--etcd-compaction-interval",
        "--cluster-signing-duration",
    ];
    for name in unset {
        assert!(!flags.iter().any(|flag| flag.starts_with(name)), "{name}");
    }
}
