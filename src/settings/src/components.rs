//! Programs on replicas: versions, etcd, the API server, the controller manager.

use super::parse::{self, Malformed, Parsed};
use super::path::Directories;
use super::reader::Reader;
use super::table;
use super::table::Setting;
use super::types::Releases;
use super::validate;
use hakube_model::{
    Api, ControllerManager, Etcd, ProviderKind, RuntimeVersions, Versions, controllers,
};
use std::time::Duration;

/// The minimum `expirationSeconds` of a certificate signing request (certificates.k8s.io/v1).
const SHORTEST_SIGNED: Duration = Duration::from_secs(600);
/// Longer than any CA is valid.
const LONGEST_SIGNED: Duration = Duration::from_secs(36_500 * 86_400);
/// etcd's minimum; it raises shorter intervals to this (etcdserver/api/v3rpc/watch.go:
/// `minWatchProgressInterval`).
const SHORTEST_PROGRESS: Duration = Duration::from_millis(100);

/// etcd's flag for the interval, before 3.6 and since.
const PROGRESS_FLAGS: [&str; 2] = [
    "experimental-watch-progress-notify-interval",
    "watch-progress-notify-interval",
];

pub fn versions(read: &mut Reader<'_>) -> Option<Versions> {
    let kubernetes = read.read(&table::KUBE_VERSION, parse::version);
    let etcd = read.read(&table::ETCD_VERSION, parse::version);
    validate::versions(read, kubernetes.as_ref(), etcd.as_ref());
    let containerd = read.read(&table::CONTAINERD_VERSION, parse::version);
    let runc = read.read(&table::RUNC_VERSION, parse::version);
    let cni_plugins = read.read(&table::CNI_VERSION, parse::version);
    if containerd.as_ref().is_some_and(|version| version.major < 2) {
        let problem = "its configuration format is older than containerd 2's";
        read.object_with_form(
            &table::CONTAINERD_VERSION,
            problem,
            "2.0.0 or later".to_owned(),
        );
    }
    Some(Versions {
        kubernetes: kubernetes?,
        etcd,
        runtime: RuntimeVersions {
            containerd: containerd?,
            runc: runc?,
            cni_plugins: cni_plugins?,
        },
    })
}

/// A mirror takes precedence over the profile's URLs, but not over those that the operator sets.
pub fn releases(
    read: &mut Reader<'_>,
    directories: &Directories<'_>,
    provider: Option<ProviderKind>,
) -> Releases {
    let is_local = provider == Some(ProviderKind::Local);
    let mirror = read.read(&table::MIRROR, parse::release_url);
    let sums = read.read(&table::SHA256SUMS, |text| directories.resolve(text));
    let mut of = |setting: &'static Setting, directory: &str| {
        let named = read.read(setting, parse::release_url);
        match &mirror {
            // The local cloud's machines share this host's programs.
            Some(mirror) if !is_local && !read.is_given(setting) => {
                Some(format!("{mirror}/{directory}"))
            }
            _ => named,
        }
    };
    Releases {
        kubernetes: of(&table::KUBERNETES_RELEASES, "kubernetes"),
        etcd: of(&table::ETCD_RELEASES, "etcd"),
        containerd: of(&table::CONTAINERD_RELEASES, "containerd"),
        runc: of(&table::RUNC_RELEASES, "runc"),
        cni_plugins: of(&table::CNI_RELEASES, "cni-plugins"),
        images: of(&table::IMAGES, "images"),
        mirror,
        sums,
    }
}

pub fn etcd(read: &mut Reader<'_>, directories: &Directories<'_>) -> Option<Etcd> {
    let binary = read.read(&table::ETCD_BINARY, |text| directories.resolve(text));
    let quota_bytes = read.integer(&table::ETCD_QUOTA);
    let extra_args = read.read(&table::ETCD_ARGS, parse::arguments);
    if let Some(arguments) = &extra_args {
        validate::etcd_arguments(read, arguments);
    }
    let extra_args = extra_args.unwrap_or_default();
    let progress_notify = progress_notify(read, &extra_args);
    Some(Etcd {
        binary,
        quota_bytes: quota_bytes?,
        extra_args,
        progress_notify,
    })
}

/// etcd accepts it as a flag or from its environment, and refuses both.
fn progress_notify(read: &mut Reader<'_>, arguments: &[String]) -> Option<Duration> {
    let is_argument = PROGRESS_FLAGS
        .iter()
        .any(|flag| validate::flags(arguments).any(|given| given == *flag));
    let derived = (!is_argument).then(|| "5s".to_owned());
    let interval = read.derive(
        &table::ETCD_PROGRESS,
        |text| {
            let least = "it is shorter than 100ms, etcd's minimum";
            at_least(parse::duration(text)?, SHORTEST_PROGRESS, least)
        },
        derived,
    )?;
    if is_argument {
        read.object_with_form(
            &table::ETCD_PROGRESS,
            &format!("{} sets the flag too", table::ETCD_ARGS.key),
            "only one of the two".to_owned(),
        );
    }
    Some(interval)
}

pub fn api(read: &mut Reader<'_>, dns_domain: Option<&String>) -> Option<Api> {
    let port = read.integer(&table::API_PORT);
    let extra_sans = read.read(&table::EXTRA_SANS, parse::certificate_names);
    let runtime_config = read.read(&table::RUNTIME_CONFIG, parse::runtime_config);
    let feature_gates = read.read(&table::FEATURE_GATES, parse::feature_gates);
    let issuer = dns_domain.map(|domain| format!("https://kubernetes.default.svc.{domain}"));
    let issuer = read.derive(&table::SERVICE_ACCOUNT_ISSUER, parse::issuer, issuer);
    let request_timeout_seconds = read.integer(&table::REQUEST_TIMEOUT);
    let compaction_seconds = read.integer(&table::ETCD_COMPACTION);
    let secrets_at_rest = read.read(&table::ENCRYPTION, str::parse);
    if let Some(port) = port {
        validate::api_port(read, port);
    }
    Some(Api {
        port: port?,
        extra_sans: extra_sans.unwrap_or_default(),
        runtime_config: runtime_config.unwrap_or_default(),
        feature_gates: feature_gates.unwrap_or_default(),
        service_account_issuer: issuer?,
        request_timeout_seconds,
        compaction_seconds,
        secrets_at_rest: secrets_at_rest?,
    })
}

pub fn controller_manager(read: &mut Reader<'_>) -> Option<ControllerManager> {
    let controllers = read.read(&table::RUN_CONTROLLERS, controllers);
    let signing_duration = read.read(&table::SIGNING_DURATION, |text| {
        let span = parse::duration(text)?;
        if span > LONGEST_SIGNED {
            return Err(Malformed::new("it is longer than a hundred years"));
        }
        let least = "it is shorter than 10m, Kubernetes' minimum";
        at_least(span, SHORTEST_SIGNED, least)
    });
    Some(ControllerManager {
        controllers: controllers?,
        signing_duration,
    })
}

fn at_least(span: Duration, least: Duration, problem: &str) -> Parsed<Duration> {
    if span < least {
        return Err(Malformed::new(problem));
    }
    Ok(span)
}
