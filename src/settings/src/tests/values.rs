//! Values of each kind, fixed and derived defaults.

use super::super::{Settings, resolve};
use super::{flags, refused, resolved, shown, sources};
use hakube_model::TaintEffect;
use hakube_model::{ProviderKind, Zone};
use std::path::PathBuf;
use std::time::Duration;

#[test]
fn nothing_set_is_a_local_cluster_without_nodes() {
    let settings = resolved(&[]).settings;
    assert_eq!(settings.provider, ProviderKind::Local);
    assert_eq!(
        (settings.cluster.as_str(), settings.prefix.as_str()),
        ("kubernetes", "kubernetes")
    );
    assert_eq!(settings.zone.name(), "europe-west1-b");
    assert_eq!((settings.nodes.count, settings.api.port), (0, 6443));
    assert_eq!(settings.versions.etcd, None);
    assert_eq!(settings.kube_context, "hakube-kubernetes");
    assert_eq!(settings.timeout, Duration::from_secs(300));
    assert_eq!(
        settings.api.service_account_issuer,
        "https://kubernetes.default.svc.cluster.local"
    );
}

#[test]
fn gce_has_kube_ups_defaults() {
    let resolved = resolved(&[("KUBERNETES_PROVIDER", "gce"), ("PROJECT", "my-project")]);
    for (key, value) in [
        ("KUBE_GCE_ZONE", "us-central1-b"),
        ("NUM_NODES", "3"),
        ("CLUSTER_IP_RANGE", "10.64.0.0/14"),
        ("SERVICE_CLUSTER_IP_RANGE", "10.0.0.0/16"),
        ("NODE_IP_RANGE", "10.40.0.0/22"),
        ("MASTER_IP_RANGE", "10.246.0.0/24"),
        ("KUBE_DNS_SERVER_IP", "10.0.0.10"),
        ("MASTER_SIZE", "e2-standard-2"),
        ("MASTER_DISK_SIZE", "20GB"),
        ("NODE_DISK_SIZE", "100GB"),
        ("NODE_INSTANCE_PREFIX", "kubernetes-minion"),
        ("ETCD_QUOTA_BACKEND_BYTES", "4294967296"),
        ("HAKUBE_API_PORT", "443"),
    ] {
        assert_eq!(shown(&resolved, key).0, value, "{key}");
    }
}

#[test]
fn sizes_and_ranges_grow_with_the_number_of_nodes() {
    for (nodes, machine, pods, machines) in [
        ("10", "e2-standard-2", "10.64.0.0/14", "10.40.0.0/22"),
        ("11", "e2-standard-4", "10.64.0.0/14", "10.40.0.0/22"),
        ("51", "e2-standard-8", "10.64.0.0/14", "10.40.0.0/22"),
        ("101", "e2-standard-16", "10.64.0.0/14", "10.40.0.0/22"),
        ("501", "e2-standard-32", "10.64.0.0/14", "10.40.0.0/22"),
        ("1001", "e2-standard-32", "10.64.0.0/13", "10.40.0.0/21"),
        ("2001", "e2-standard-32", "10.64.0.0/12", "10.40.0.0/20"),
        ("5000", "e2-standard-32", "10.64.0.0/11", "10.40.0.0/19"),
    ] {
        let settings = resolved(&[("NUM_NODES", nodes)]).settings;
        assert_eq!(settings.replicas.machine_type, machine, "{nodes}");
        assert_eq!(settings.network.cluster_range.to_string(), pods, "{nodes}");
        assert_eq!(settings.network.node_range.to_string(), machines, "{nodes}");
    }
}

#[test]
fn the_dns_address_is_the_tenth_of_the_services_range() {
    for (range, address) in [
        ("10.96.0.0/12", "10.96.0.10"),
        ("172.20.5.16/28", "172.20.5.26"),
    ] {
        let resolved = resolved(&[("SERVICE_CLUSTER_IP_RANGE", range)]);
        assert_eq!(resolved.settings.network.dns_address.to_string(), address);
    }
    let v6 = resolved(&[
        ("SERVICE_CLUSTER_IP_RANGE", "fd00:1::/112"),
        ("CLUSTER_IP_RANGE", "fd00:2::/48"),
    ]);
    assert_eq!(v6.settings.network.dns_address.to_string(), "fd00:1::a");
    let derived = shown(&v6, "KUBE_DNS_SERVER_IP").1;
    assert_eq!(derived, "derived from SERVICE_CLUSTER_IP_RANGE");
}

#[test]
fn the_clusters_name_and_the_prefix_default_to_each_other() {
    for (env, cluster, prefix) in [
        (vec![("CLUSTER_NAME", "prod")], "prod", "prod"),
        (vec![("KUBE_GCE_INSTANCE_PREFIX", "prod")], "prod", "prod"),
        (
            vec![("CLUSTER_NAME", "prod"), ("KUBE_GCE_INSTANCE_PREFIX", "eu")],
            "prod",
            "eu",
        ),
    ] {
        let settings = resolved(&env).settings;
        assert_eq!(
            (settings.cluster.as_str(), settings.prefix.as_str()),
            (cluster, prefix)
        );
    }
}

#[test]
fn a_zone_has_a_region_and_is_stored_as_a_string() {
    let zone: Zone = serde_json::from_str("\"northamerica-northeast1-a\"").unwrap();
    assert_eq!(zone.region(), "northamerica-northeast1");
    assert_eq!(
        serde_json::to_string(&zone).unwrap(),
        "\"northamerica-northeast1-a\""
    );
    for shapeless in [
        "mars",
        "europe-west1",
        "b",
        "Europe-west1-b",
        "europe-west1-",
        "-west1-b",
        "",
    ] {
        let checked = shapeless
            .parse()
            .and_then(|zone: Zone| zone.check_compute_engine());
        assert!(checked.is_err(), "{shapeless}");
    }
}

#[test]
fn lists_become_data() {
    let settings = resolved(&[
        (
            "KUBE_NODE_LABELS",
            "team=core, example.com/tier=gold,empty=",
        ),
        (
            "NODE_TAINTS",
            "dedicated=db:NoSchedule,example.com/spot:NoExecute",
        ),
        ("KUBE_FEATURE_GATES", "A=true,B=FALSE"),
        ("KUBE_RUNTIME_CONFIG", "api/all=true,batch/v2alpha1"),
        (
            "HAKUBE_EXTRA_SANS",
            "k8s.example.com,*.example.com,192.0.2.7,fd00::7",
        ),
        (
            "ETCD_EXTRA_ARGS",
            "--heartbeat-interval=200  --election-timeout=2000",
        ),
    ])
    .settings;
    assert_eq!(settings.nodes.labels.len(), 3);
    assert_eq!(settings.nodes.labels["example.com/tier"], "gold");
    let taints: Vec<String> = settings
        .nodes
        .taints
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        taints,
        ["dedicated=db:NoSchedule", "example.com/spot=:NoExecute"]
    );
    assert_eq!(settings.nodes.taints[1].effect, TaintEffect::NoExecute);
    assert!(settings.api.feature_gates["A"] && !settings.api.feature_gates["B"]);
    assert!(settings.api.runtime_config["batch/v2alpha1"]);
    assert_eq!(settings.api.extra_sans.len(), 4);
    assert_eq!(
        settings.etcd.extra_args,
        ["--heartbeat-interval=200", "--election-timeout=2000"]
    );
}

#[test]
fn sizes_durations_and_versions_have_their_common_forms() {
    for size in ["50GB", "50"] {
        assert_eq!(
            resolved(&[("MASTER_DISK_SIZE", size)])
                .settings
                .replicas
                .data_disk_gb,
            50
        );
    }
    for (text, seconds) in [("10m", 600), ("1h30m", 5400), ("90s", 90)] {
        let timeout = resolved(&[("HAKUBE_TIMEOUT", text)]).settings.timeout;
        assert_eq!(timeout, Duration::from_secs(seconds), "{text}");
    }
    let seconds = resolved(&[("KUBE_CLUSTER_INITIALIZATION_TIMEOUT", "42")]);
    assert_eq!(seconds.settings.timeout, Duration::from_secs(42));
    for version in ["v1.35.2", "1.35.2"] {
        let versions = resolved(&[("KUBE_VERSION", version)]).settings.versions;
        assert_eq!(versions.kubernetes.to_string(), "1.35.2");
    }
}

#[test]
fn paths_become_absolute() {
    let resolved = resolved(&[
        ("HAKUBE_ETCD_BINARY", "bin/etcd"),
        ("HAKUBE_KUBE_BINARIES", "~/kube"),
        ("KUBECONFIG", ":/etc/kube/config:mine:"),
    ]);
    let settings = &resolved.settings;
    assert_eq!(settings.etcd.binary, Some(PathBuf::from("/work/bin/etcd")));
    assert_eq!(
        settings.kube_binaries,
        Some(PathBuf::from("/home/ada/kube"))
    );
    let files = ["/etc/kube/config", "/work/mine"].map(PathBuf::from);
    assert_eq!(settings.kubeconfig, files);
    assert_eq!(
        settings.home,
        PathBuf::from("/home/ada/.local/state/hakube")
    );
}

#[test]
fn the_kubeconfig_flag_is_one_path_whatever_its_name() {
    let mut flagged = sources(&[("KUBECONFIG", "/a:/b")]);
    flagged.flags = flags(&[("--kubeconfig", "/odd:name")]);
    let settings = resolve(&flagged).unwrap().settings;
    assert_eq!(settings.kubeconfig, [PathBuf::from("/odd:name")]);
}

#[test]
fn the_state_directory_follows_xdg_where_that_is_absolute() {
    for (state, home) in [
        ("/var/state", "/var/state/hakube"),
        ("relative", "/home/ada/.local/state/hakube"),
    ] {
        let settings = resolved(&[("XDG_STATE_HOME", state)]).settings;
        assert_eq!(settings.home, PathBuf::from(home));
    }
}

#[test]
fn without_a_home_directory_the_setting_that_needs_one_is_named() {
    let mut homeless = sources(&[("KUBECONFIG", "/tmp/kubeconfig")]);
    homeless.home_dir = None;
    let errors = resolve(&homeless).unwrap_err();
    assert_eq!(errors.0.len(), 1, "{errors}");
    assert!(
        errors.to_string().contains("HAKUBE_HOME isn't set"),
        "{errors}"
    );
    homeless
        .env
        .insert("HAKUBE_HOME".into(), "/srv/hakube".into());
    assert_eq!(
        resolve(&homeless).unwrap().settings.home,
        PathBuf::from("/srv/hakube")
    );
}

#[test]
fn no_nodes_are_wanted_if_none_may_be_created() {
    let nodes = |create| {
        let env = [("NUM_NODES", "20"), ("KUBE_CREATE_NODES", create)];
        resolved(&env).settings
    };
    assert_eq!(nodes("true").nodes.wanted(), 20);
    assert_eq!(nodes("false").nodes.wanted(), 0);
    assert_eq!(nodes("false").replicas.machine_type, "e2-standard-4");
}

#[test]
fn settings_survive_storage() {
    let settings = resolved(&[("NODE_TAINTS", "a:NoSchedule"), ("HAKUBE_TIMEOUT", "90s")]).settings;
    let stored = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&stored).unwrap(), settings);
}

#[test]
fn zones_are_checked_for_a_named_provider() {
    for (zone, problem) in [
        ("mars", "isn't a valid zone name"),
        ("europe-west1", "it is a region"),
    ] {
        let errors = refused(&[("KUBERNETES_PROVIDER", "local"), ("KUBE_GCE_ZONE", zone)]);
        assert!(errors[0].contains(problem), "{errors:?}");
        // The provider of an existing cluster needn't be named again.
        resolved(&[("KUBE_GCE_ZONE", zone)]);
    }
}

#[test]
fn invalid_values_are_refused_with_value_origin_and_valid_form() {
    for (variable, value, problem, valid) in [
        (
            "KUBERNETES_PROVIDER",
            "azure",
            "isn't a valid provider",
            "local or gce or libvirt",
        ),
        (
            "KUBE_GCE_ZONE",
            "Mars",
            "isn't a valid zone name",
            "europe-west1-b",
        ),
        ("CLUSTER_NAME", "Prod", "lower-case letter", "[a-z]"),
        ("CLUSTER_NAME", "prod-", "ends in a hyphen", "[a-z]"),
        ("CLUSTER_NAME", "pr_od", "other than", "[a-z]"),
        (
            "MULTIZONE",
            "yes",
            "neither true nor false",
            "true or false",
        ),
        ("MULTIZONE", "1", "neither true nor false", "true or false"),
        (
            "ENABLE_ETCD_QUORUM_READ",
            "on",
            "neither true nor false",
            "true or false",
        ),
        ("NUM_NODES", "-1", "out of range", "from 0 to 5000"),
        ("NUM_NODES", "abc", "isn't a whole number", "from 0 to 5000"),
        ("NUM_NODES", "5001", "out of range", "from 0 to 5000"),
        (
            "HAKUBE_API_PORT",
            "65536",
            "out of range",
            "from 1 to 65535",
        ),
        ("HAKUBE_API_PORT", "2380", "etcd's peers", "443"),
        ("HAKUBE_TIMEOUT", "10", "no unit", "10m"),
        ("HAKUBE_TIMEOUT", "0s", "must be longer than zero", "10m"),
        ("HAKUBE_TIMEOUT", "-5m", "must be longer than zero", "10m"),
        (
            "MASTER_DISK_SIZE",
            "20TB",
            "isn't a whole number",
            "10GB to",
        ),
        ("MASTER_DISK_SIZE", "5GB", "out of range", "10GB to"),
        (
            "CLUSTER_IP_RANGE",
            "10.64.0.0",
            "isn't an address range",
            "10.64.0.0/14",
        ),
        (
            "CLUSTER_IP_RANGE",
            "10.65.0.1/14",
            "10.64.0.0/14",
            "an address range",
        ),
        (
            "KUBE_DNS_SERVER_IP",
            "10.0.0.300",
            "isn't an IP address",
            "an IP address",
        ),
        ("KUBE_VERSION", "1.36", "isn't a full version", "v1.36.3"),
        ("KUBE_VERSION", "v1.30.9", "1.31–1.36", "v1.31.0"),
        ("ETCD_VERSION", "3.3.27", "support learners", "3.4.0"),
        ("HAKUBE_TIME_SCALE", "-0.5", "negative", "0 or more"),
        (
            "HAKUBE_TIME_SCALE",
            "nan",
            "negative or infinite",
            "0 or more",
        ),
        (
            "HAKUBE_LOAD_BALANCER",
            "never",
            "isn't a valid choice",
            "auto or always",
        ),
        (
            "ETCD_EXTRA_ARGS",
            "--data-dir=/x",
            "--data-dir itself",
            "other than",
        ),
        (
            "ETCD_EXTRA_ARGS",
            "--peer-key-file=/x",
            "--peer-key-file itself",
            "other than",
        ),
        ("ETCD_EXTRA_ARGS", "--a='x y'", "a quote", "--flag=value"),
        (
            "ETCD_PROGRESS_NOTIFY_INTERVAL",
            "50ms",
            "shorter than 100ms",
            "90s",
        ),
        (
            "ETCD_COMPACTION_INTERVAL_SEC",
            "5m",
            "isn't a whole number",
            "from 0 to",
        ),
        (
            "KUBE_APISERVER_REQUEST_TIMEOUT_SEC",
            "0",
            "out of range",
            "from 1 to",
        ),
        (
            "CLUSTER_SIGNING_DURATION",
            "8760",
            "no unit",
            "a duration such as",
        ),
        (
            "CLUSTER_SIGNING_DURATION",
            "5m",
            "shorter than 10m",
            "a duration such as",
        ),
        (
            "CLUSTER_SIGNING_DURATION",
            "900000h",
            "longer than a hundred years",
            "a duration such as",
        ),
        (
            "RUN_CONTROLLERS",
            "*,-csrsigning",
            "that nodes need to join",
            "separated by commas",
        ),
        (
            "RUN_CONTROLLERS",
            "-token-cleaner-controller,*",
            "that nodes need to join",
            "separated by commas",
        ),
        (
            "RUN_CONTROLLERS",
            "*,Deployment",
            "isn't a controller's name",
            "separated by commas",
        ),
        (
            "EVICTION_HARD",
            "memory.available=250Mi",
            "isn't signal<quantity",
            "memory.available<250Mi",
        ),
        ("MAX_PODS_PER_NODE", "7", "out of range", "from 8 to"),
        (
            "ALLOWED_NOTREADY_NODES",
            "5%",
            "isn't a whole number",
            "from 0",
        ),
        ("NODE_TAINTS", "a=b:Never", "isn't a taint", "NoSchedule"),
        ("KUBE_NODE_LABELS", "-a=b", "isn't a label", "key=value"),
        ("KUBE_FEATURE_GATES", "A=maybe", "A=maybe", "name=true"),
        ("KUBE_FEATURE_GATES", "A", "isn't name=true", "name=true"),
        (
            "HAKUBE_EXTRA_SANS",
            "k8s_example",
            "neither a DNS name",
            "DNS names",
        ),
        (
            "SERVICEACCOUNT_ISSUER",
            "http://x",
            "isn't an https URL",
            "an https URL",
        ),
        (
            "HAKUBE_CERT_DAYS",
            "4000",
            "longer than HAKUBE_CA_DAYS (3650, default)",
            "3650",
        ),
        ("HAKUBE_HOME", "~bob/x", "your own home", "a path"),
    ] {
        let errors = refused(&[(variable, value)]);
        assert_eq!(errors.len(), 1, "{variable}={value}: {errors:?}");
        let start = format!("{variable} is {value:?}, from the environment: ");
        assert!(errors[0].starts_with(&start), "{errors:?}");
        let (what, form) = errors[0].split_once("Expected").unwrap();
        assert!(what.contains(problem) && form.contains(valid), "{errors:?}");
    }
}
