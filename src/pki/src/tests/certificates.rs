//! Checks certificates' content with x509-parser.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::SignedDuration;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

use super::handshakes::handshake;
use super::*;

const DAY: SignedDuration = SignedDuration::from_hours(24);

const CLIENT: (bool, bool) = (true, false);

const SERVER: (bool, bool) = (false, true);

const BOTH: (bool, bool) = (true, true);

#[test]
fn every_expiring_certificate_is_listed_with_its_ca() {
    let authorities = authorities();
    let files = files(&authorities);
    let listed: Vec<&str> = LEAVES.iter().map(|leaf| leaf.path).collect();
    for leaf in LEAVES {
        let pem = text(&files, leaf.path.strip_prefix("/etc/kubernetes/").unwrap());
        let issuer = describe_issuer(pem);
        assert_eq!(
            issuer,
            format!("CN={}", leaf.signer.name()),
            "{}",
            leaf.path
        );
    }
    let others = files.values().filter(|file| {
        let is_authority = file.path.ends_with("ca.crt");
        file.path.ends_with(".crt") && !is_authority && !listed.contains(&file.path.as_str())
    });
    let others: Vec<&str> = others.map(|file| file.path.as_str()).collect();
    assert_eq!(others, [""; 0], "these expire without being listed");
}

#[test]
fn a_replica_gets_exactly_its_files_and_only_the_kubelet_cas_key() {
    let authorities = authorities();
    let files = files(&authorities);
    let paths: Vec<_> = files
        .values()
        .map(|f| format!("{:o} {}", f.mode, f.path))
        .collect();
    insta::assert_snapshot!(paths.join("\n"), @r"
    600 /etc/kubernetes/controller-manager.kubeconfig
    644 /etc/kubernetes/pki/apiserver-etcd-client.crt
    600 /etc/kubernetes/pki/apiserver-etcd-client.key
    644 /etc/kubernetes/pki/apiserver-kubelet-client.crt
    600 /etc/kubernetes/pki/apiserver-kubelet-client.key
    644 /etc/kubernetes/pki/apiserver.crt
    600 /etc/kubernetes/pki/apiserver.key
    644 /etc/kubernetes/pki/ca.crt
    644 /etc/kubernetes/pki/controller-manager.crt
    600 /etc/kubernetes/pki/controller-manager.key
    644 /etc/kubernetes/pki/etcd/ca.crt
    644 /etc/kubernetes/pki/etcd/peer.crt
    600 /etc/kubernetes/pki/etcd/peer.key
    644 /etc/kubernetes/pki/etcd/server.crt
    600 /etc/kubernetes/pki/etcd/server.key
    644 /etc/kubernetes/pki/front-proxy-ca.crt
    644 /etc/kubernetes/pki/front-proxy-client.crt
    600 /etc/kubernetes/pki/front-proxy-client.key
    644 /etc/kubernetes/pki/kubelet-ca.crt
    600 /etc/kubernetes/pki/kubelet-ca.key
    644 /etc/kubernetes/pki/kubelet-trust-ca.crt
    644 /etc/kubernetes/pki/kubernetes-ca.crt
    600 /etc/kubernetes/pki/sa.key
    644 /etc/kubernetes/pki/sa.pub
    644 /etc/kubernetes/pki/scheduler.crt
    600 /etc/kubernetes/pki/scheduler.key
    600 /etc/kubernetes/scheduler.kubeconfig
    ");

    let documents = authorities.to_documents().0;
    for name in ["kubernetes-ca.key", "etcd-ca.key", "front-proxy-ca.key"] {
        let key = documents[name].expose();
        for file in files.values() {
            assert!(
                !file.content.expose().contains(key),
                "{} holds {name}",
                file.path
            );
        }
    }
    assert_eq!(
        text(&files, "pki/kubelet-ca.key"),
        documents["kubelet-ca.key"].expose()
    );
    assert_eq!(
        text(&files, "pki/sa.key"),
        documents["service-account.key"].expose()
    );
}

#[test]
fn leaves_have_the_names_and_usages_that_the_components_need() {
    let files = files(&authorities());
    let etcd = set([
        "kubernetes-master-abc",
        "localhost",
        "10.40.0.2",
        "fd00::2",
        "127.0.0.1",
        "::1",
    ]);
    let api_server = set([
        "kubernetes-master-abc",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "10.40.0.2",
        "fd00::2",
        "203.0.113.7",
        "10.0.0.1",
        "127.0.0.1",
        "api.example.com",
        "198.51.100.9",
    ]);
    let table = [
        ("pki/apiserver.crt", "CN=kube-apiserver", api_server, SERVER),
        (
            "pki/apiserver-kubelet-client.crt",
            "CN=kube-apiserver-kubelet-client",
            set([]),
            CLIENT,
        ),
        (
            "pki/apiserver-etcd-client.crt",
            "CN=kube-apiserver-etcd-client",
            set([]),
            CLIENT,
        ),
        (
            "pki/front-proxy-client.crt",
            "CN=front-proxy-client",
            set([]),
            CLIENT,
        ),
        (
            "pki/etcd/server.crt",
            "CN=kubernetes-master-abc",
            etcd.clone(),
            BOTH,
        ),
        ("pki/etcd/peer.crt", "CN=kubernetes-master-abc", etcd, BOTH),
    ];
    for (path, subject, names, usage) in table {
        assert_eq!(
            describe(text(&files, path)),
            (subject.to_owned(), names, usage),
            "{path}"
        );
    }
}

#[test]
fn the_admin_is_a_master_and_the_operator_is_a_client_of_etcd() {
    let authorities = authorities();
    let admin = admin(&authorities, Lifetimes::default(), now()).unwrap();
    assert_eq!(describe(&admin.certificate).0, "O=system:masters, CN=admin");
    assert_eq!(describe(&admin.certificate).2, CLIENT);
    let operator = etcd_client_identity(&authorities, Lifetimes::default(), now()).unwrap();
    assert_eq!(describe(&operator.certificate).2, CLIENT);
    handshake(
        &files(&authorities),
        "pki/etcd/server",
        authorities.etcd_ca(),
        "127.0.0.1",
        &operator,
    )
    .unwrap();
}

#[test]
fn invalid_names_are_refused() {
    for bad in [
        "",
        "two words",
        "-x.example.com",
        "10.0.0.1/8",
        "naïve.example",
    ] {
        let identity = ReplicaIdentity {
            node: None,
            extra_sans: vec![bad.into()],
            ..identity()
        };
        let error =
            replica_files(&authorities(), &identity, Lifetimes::default(), now()).unwrap_err();
        assert!(
            matches!(&error, PkiError::InvalidName { value } if value == bad),
            "{error}"
        );
    }
    let identity = ReplicaIdentity {
        node: None,
        extra_sans: vec!["*.example.com".into()],
        ..identity()
    };
    replica_files(&authorities(), &identity, Lifetimes::default(), now()).unwrap();
}

#[test]
fn validity_allows_for_skewed_clocks_and_ends_with_the_ca() {
    let now = now();
    let lifetimes = Lifetimes {
        ca_days: 30,
        leaf_days: 365,
    };
    let authorities = Authorities::generate(lifetimes, now).unwrap();
    assert_eq!(expiry(authorities.etcd_ca()).unwrap(), now + DAY * 30);

    let later = now + DAY * 10;
    let short = Lifetimes {
        leaf_days: 7,
        ..lifetimes
    };
    let admin_for = |lifetimes| admin(&authorities, lifetimes, later).unwrap().certificate;
    assert_eq!(expiry(&admin_for(short)).unwrap(), later + DAY * 7);
    assert_eq!(
        expiry(&admin_for(lifetimes)).unwrap(),
        now + DAY * 30,
        "outlives its CA"
    );

    let leaf = admin_for(short);
    let block = Pem::iter_from_buffer(leaf.as_bytes())
        .next()
        .unwrap()
        .unwrap();
    let from = block
        .parse_x509()
        .unwrap()
        .validity()
        .not_before
        .timestamp();
    assert_eq!(
        from,
        (later - DAY).as_second(),
        "valid after a clock is set back"
    );

    let error = admin(&authorities, lifetimes, now + DAY * 30).unwrap_err();
    assert!(matches!(error, PkiError::Expired { .. }), "{error}");
}

#[test]
fn a_bundle_expires_with_its_first_certificate() {
    let now = now();
    let long = Authorities::generate(
        Lifetimes {
            ca_days: 20,
            leaf_days: 1,
        },
        now,
    )
    .unwrap();
    let short = Authorities::generate(
        Lifetimes {
            ca_days: 10,
            leaf_days: 1,
        },
        now,
    )
    .unwrap();
    let bundle = format!("{}{}", long.etcd_ca(), short.etcd_ca());
    assert_eq!(expiry(&bundle).unwrap(), now + DAY * 10);
    expiry("").unwrap_err();
}

#[test]
fn a_lifetime_beyond_the_calendar_is_an_error() {
    let lifetimes = Lifetimes {
        ca_days: u32::MAX,
        leaf_days: 1,
    };
    let error = Authorities::generate(lifetimes, now()).unwrap_err();
    assert!(matches!(error, PkiError::Lifetime { .. }), "{error}");
}

/// A certificate's subject, names and extended key usages.
pub(super) fn describe(pem: &str) -> (String, BTreeSet<String>, (bool, bool)) {
    let block = Pem::iter_from_buffer(pem.as_bytes())
        .next()
        .unwrap()
        .unwrap();
    let certificate = block.parse_x509().unwrap();
    let names = certificate.subject_alternative_name().unwrap();
    let names = names
        .into_iter()
        .flat_map(|extension| &extension.value.general_names)
        .map(|name| match name {
            GeneralName::DNSName(name) => (*name).to_owned(),
            GeneralName::IPAddress(raw) => match <[u8; 4]>::try_from(*raw) {
                Ok(v4) => IpAddr::from(v4).to_string(),
                Err(_) => IpAddr::from(<[u8; 16]>::try_from(*raw).unwrap()).to_string(),
            },
            other => panic!("unexpected name {other:?}"),
        })
        .collect();
    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(!usage.any && usage.other.is_empty());
    assert!(!certificate.is_ca(), "a leaf must not sign");
    (
        certificate.subject().to_string(),
        names,
        (usage.client_auth, usage.server_auth),
    )
}

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

fn describe_issuer(pem: &str) -> String {
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    block.parse_x509().unwrap().issuer().to_string()
}
