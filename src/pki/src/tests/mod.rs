#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod authorities;
mod certificates;
mod handshakes;
mod rotation;

use hakube_model::Lifetimes;
use hakube_secret::{Secret, SecretFile};
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;

fn now() -> Timestamp {
    // Certificates have a resolution of whole seconds.
    Timestamp::from_second(Timestamp::now().as_second()).unwrap()
}

fn authorities() -> Authorities {
    Authorities::generate(Lifetimes::default(), now()).unwrap()
}

fn identity() -> ReplicaIdentity {
    ReplicaIdentity {
        name: "kubernetes-master-abc".into(),
        addresses: vec!["10.40.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
        endpoint: "203.0.113.7".parse().unwrap(),
        api_port: 6443,
        service_ip: "10.0.0.1".parse().unwrap(),
        dns_domain: "cluster.local".into(),
        node: None,
        extra_sans: vec!["api.example.com".into(), "198.51.100.9".into()],
    }
}

/// A replica's files by path below /etc/kubernetes.
fn files(authorities: &Authorities) -> BTreeMap<String, SecretFile> {
    replica_files(authorities, &identity(), Lifetimes::default(), now())
        .unwrap()
        .into_iter()
        .map(|f| {
            (
                f.path.strip_prefix("/etc/kubernetes/").unwrap().to_owned(),
                f,
            )
        })
        .collect()
}

fn text<'a>(files: &'a BTreeMap<String, SecretFile>, path: &str) -> &'a str {
    files[path].content.expose()
}
