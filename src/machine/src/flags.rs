//! The flags of each component, for the supported versions (1.31 to 1.36).
//!
//! Source: each component's reference of that version, and the components themselves. Addresses are
//! `${…}`, which systemd takes from the replica's environment file. A component listens only on the
//! replica's own address, since machines may share a loopback.

use hakube_model::{AtRest, ClusterSpec};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

pub(super) const PKI: &str = "/etc/kubernetes/pki";

/// etcd's flags. All client and peer traffic uses mutual TLS; metrics are on the client port.
pub(super) fn etcd(spec: &ClusterSpec) -> Vec<String> {
    let pki = format!("{PKI}/etcd");
    let mut flags = vec![
        "--name=${REPLICA}".to_owned(),
        "--data-dir=/var/lib/etcd".to_owned(),
        "--listen-client-urls=https://${ADDRESS}:2379".to_owned(),
        "--advertise-client-urls=https://${ADDRESS}:2379".to_owned(),
        "--listen-peer-urls=https://${ADDRESS}:2380".to_owned(),
        "--initial-advertise-peer-urls=https://${ADDRESS}:2380".to_owned(),
        format!("--cert-file={pki}/server.crt"),
        format!("--key-file={pki}/server.key"),
        format!("--trusted-ca-file={pki}/ca.crt"),
        "--client-cert-auth=true".to_owned(),
        format!("--peer-cert-file={pki}/peer.crt"),
        format!("--peer-key-file={pki}/peer.key"),
        format!("--peer-trusted-ca-file={pki}/ca.crt"),
        "--peer-client-cert-auth=true".to_owned(),
        format!("--quota-backend-bytes={}", spec.etcd.quota_bytes),
        "--logger=zap".to_owned(),
    ];
    flags.extend(spec.etcd.extra_args.iter().cloned());
    flags
}

/// How often the leader compares all members' data with its own. It reads every key on each of them.
const CORRUPTION_CHECK: &str = "12h";

/// Additional environment of etcd. Flags were renamed in 3.6, which refuses both names at once, and
/// lost their old names in 3.7. An etcd of unknown version, found in PATH, is assumed to be older.
pub(super) fn etcd_environment(spec: &ClusterSpec) -> Vec<String> {
    let version = spec.versions.etcd.as_ref();
    let is_from =
        |minor| version.is_some_and(|version| (version.major, version.minor) >= (3, minor));
    let is_renamed = is_from(6);
    let name = if is_renamed {
        "ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL"
    } else {
        "ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL"
    };
    let interval = spec.etcd.progress_notify.map(go_duration);
    let mut variables: Vec<String> = interval
        .map(|interval| format!("{name}={interval}"))
        .into_iter()
        .collect();
    variables.extend(corruption_checks(spec, is_renamed, is_from(5)));
    variables
}

/// Checks for members whose data differs: at start, at each compaction (from 3.5 on), and periodically. etcd
/// doesn't start if a variable duplicates a flag, so the operator's flags take precedence.
fn corruption_checks(spec: &ClusterSpec, is_renamed: bool, at_compaction: bool) -> Vec<String> {
    let is_given = |flag: &str| {
        let mut arguments = spec.etcd.extra_args.iter();
        arguments.any(|argument| {
            let name = argument.trim_start_matches('-').split('=').next();
            name.is_some_and(|name| name.trim_start_matches("experimental-") == flag)
        })
    };
    let (initial, compaction) = ("initial-corrupt-check", "compact-hash-check-enabled");
    let (initial, compaction) = (!is_given(initial), at_compaction && !is_given(compaction));
    let mut variables = Vec::new();
    if is_renamed {
        let gates = [
            initial.then_some("InitialCorruptCheck=true"),
            compaction.then_some("CompactHashCheck=true"),
        ];
        let gates: Vec<&str> = gates.into_iter().flatten().collect();
        if !gates.is_empty() && !is_given("feature-gates") {
            variables.push(format!("ETCD_FEATURE_GATES={}", gates.join(",")));
        }
    } else {
        if initial {
            variables.push("ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK=true".to_owned());
        }
        if compaction {
            variables.push("ETCD_EXPERIMENTAL_COMPACT_HASH_CHECK_ENABLED=true".to_owned());
        }
    }
    if !is_given("corrupt-check-time") {
        let prefix = if is_renamed { "" } else { "EXPERIMENTAL_" };
        variables.push(format!(
            "ETCD_{prefix}CORRUPT_CHECK_TIME={CORRUPTION_CHECK}"
        ));
    }
    variables
}

/// A duration in Go's syntax.
fn go_duration(span: Duration) -> String {
    match span.subsec_millis() {
        0 => format!("{}s", span.as_secs()),
        _ => format!("{}ms", span.as_millis()),
    }
}

/// How long an API server that was told to stop still serves, while its /readyz fails: longer than load balancers take
/// to notice. haproxy's checks need 2.5 s, Compute Engine's 2 to 3 s. With more, every restart would take longer.
const SHUTDOWN_DELAY_SECONDS: u32 = 5;

/// How long an API server then waits for its watches to end. Without a limit of their own, it waits until their clients
/// leave: measured with 1.36, it exits after 6.2 s in all, instead of 16 to 65 s.
const WATCHES_SECONDS: u32 = 2;

/// kube-apiserver's flags. It connects only to its own replica's etcd.
pub(super) fn kube_apiserver(spec: &ClusterSpec) -> Vec<String> {
    let network = &spec.network;
    let mut flags = vec![
        "--advertise-address=${ADDRESS}".to_owned(),
        "--bind-address=${BIND_ADDRESS}".to_owned(),
        format!("--secure-port={}", spec.api.port),
        "--allow-privileged=true".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--enable-bootstrap-token-auth=true".to_owned(),
        format!("--client-ca-file={PKI}/ca.crt"),
        format!("--tls-cert-file={PKI}/apiserver.crt"),
        format!("--tls-private-key-file={PKI}/apiserver.key"),
        "--etcd-servers=https://${ADDRESS}:2379".to_owned(),
        format!("--etcd-cafile={PKI}/etcd/ca.crt"),
        format!("--etcd-certfile={PKI}/apiserver-etcd-client.crt"),
        format!("--etcd-keyfile={PKI}/apiserver-etcd-client.key"),
        format!("--kubelet-certificate-authority={PKI}/kubelet-trust-ca.crt"),
        format!("--kubelet-client-certificate={PKI}/apiserver-kubelet-client.crt"),
        format!("--kubelet-client-key={PKI}/apiserver-kubelet-client.key"),
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname".to_owned(),
        format!(
            "--service-account-issuer={}",
            spec.api.service_account_issuer
        ),
        format!("--service-account-key-file={PKI}/sa.pub"),
        format!("--service-account-signing-key-file={PKI}/sa.key"),
        format!("--service-cluster-ip-range={}", network.service_range),
        format!("--shutdown-delay-duration={SHUTDOWN_DELAY_SECONDS}s"),
        format!("--shutdown-watch-termination-grace-period={WATCHES_SECONDS}s"),
        format!("--requestheader-client-ca-file={PKI}/front-proxy-ca.crt"),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        format!("--proxy-client-cert-file={PKI}/front-proxy-client.crt"),
        format!("--proxy-client-key-file={PKI}/front-proxy-client.key"),
    ];
    if spec.api.secrets_at_rest == AtRest::Secretbox {
        flags.push(format!(
            "--encryption-provider-config={PKI}/encryption.yaml"
        ));
    }
    let optional = [
        ("--runtime-config", &spec.api.runtime_config),
        ("--feature-gates", &spec.api.feature_gates),
    ];
    for (flag, switches) in optional
        .into_iter()
        .filter(|(_, switches)| !switches.is_empty())
    {
        flags.push(format!("{flag}={}", pairs(switches).join(",")));
    }
    flags.extend(spec.quorum_reads.api_server_flag(&spec.versions.kubernetes));
    let seconds = [
        ("--request-timeout", spec.api.request_timeout_seconds),
        ("--etcd-compaction-interval", spec.api.compaction_seconds),
    ];
    let given = seconds
        .into_iter()
        .filter_map(|(flag, seconds)| Some((flag, seconds?)));
    flags.extend(given.map(|(flag, seconds)| format!("{flag}={seconds}s")));
    flags
}

/// kube-controller-manager's flags.
pub(super) fn kube_controller_manager(spec: &ClusterSpec) -> Vec<String> {
    let (network, manager) = (&spec.network, &spec.controller_manager);
    let mut flags = leader_elected("controller-manager");
    flags.extend([
        "--use-service-account-credentials=true".to_owned(),
        format!("--root-ca-file={PKI}/kubernetes-ca.crt"),
        format!("--client-ca-file={PKI}/ca.crt"),
        format!("--requestheader-client-ca-file={PKI}/front-proxy-ca.crt"),
        format!("--service-account-private-key-file={PKI}/sa.key"),
        format!("--cluster-signing-cert-file={PKI}/kubelet-ca.crt"),
        format!("--cluster-signing-key-file={PKI}/kubelet-ca.key"),
        format!("--controllers={}", manager.controllers.flag()),
        format!("--cluster-name={}", spec.cluster),
        "--allocate-node-cidrs=true".to_owned(),
        format!("--cluster-cidr={}", network.cluster_range),
        format!("--node-cidr-mask-size={}", network.node_prefix()),
        format!("--service-cluster-ip-range={}", network.service_range),
    ]);
    let signing = manager.signing_duration.map(go_duration);
    flags.extend(signing.map(|span| format!("--cluster-signing-duration={span}")));
    flags
}

/// kube-scheduler's flags.
pub(super) fn kube_scheduler() -> Vec<String> {
    leader_elected("scheduler")
}

fn leader_elected(component: &str) -> Vec<String> {
    let kubeconfig = format!("/etc/kubernetes/{component}.kubeconfig");
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--bind-address=${ADDRESS}".to_owned(),
        "--leader-elect=true".to_owned(),
    ]
}

pub(super) fn pairs(map: &BTreeMap<String, impl Display>) -> Vec<String> {
    map.iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect()
}
