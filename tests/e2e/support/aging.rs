//! Aged certificates: the cluster's own, signed again by the same authorities with another validity.

use super::Home;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use serde_json::Value;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

/// The certificates of a replica, below /etc/kubernetes/pki, and their issuers.
const LEAVES: [(&str, &str); 8] = [
    ("apiserver", "kubernetes-ca"),
    ("apiserver-kubelet-client", "kubernetes-ca"),
    ("apiserver-etcd-client", "etcd-ca"),
    ("front-proxy-client", "front-proxy-ca"),
    ("etcd/server", "etcd-ca"),
    ("etcd/peer", "etcd-ca"),
    ("controller-manager", "kubernetes-ca"),
    ("scheduler", "kubernetes-ca"),
];

impl Home {
    /// Makes all replicas' certificates a year old, with so many days left; negative if expired.
    pub async fn let_certificates_age(&self, days_left: i64) {
        let file = self.path().join("state/kubernetes/pki.json");
        let authorities: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let status = self.status().await;
        for replica in status["replicas"].as_array().unwrap() {
            let text = |field: &str| replica[field].as_str().unwrap();
            let root = self.machine_root(text("zone"), text("name"));
            for (stem, authority) in LEAVES {
                let stem = root.join("etc/kubernetes/pki").join(stem);
                age(&authorities, authority, &stem, days_left);
            }
        }
    }
}

fn age(authorities: &Value, authority: &str, stem: &Path, days_left: i64) {
    let document = |kind: &str| authorities[format!("{authority}.{kind}")].as_str().unwrap();
    let key = KeyPair::from_pem(document("key")).unwrap();
    let issuer = Issuer::from_ca_cert_pem(document("crt"), key).unwrap();
    let file = |kind: &str| PathBuf::from(format!("{}.{kind}", stem.display()));

    let pem = std::fs::read(file("crt")).unwrap();
    let (_, block) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
    let mut params = same_as(&block.parse_x509().unwrap());
    let end = OffsetDateTime::now_utc() + Duration::days(days_left);
    params.not_before = end - Duration::days(366);
    params.not_after = end;
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    put(&file("key"), &key.serialize_pem(), 0o600);
    put(&file("crt"), &certificate.pem(), 0o644);
}

fn same_as(old: &X509Certificate<'_>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for name in old.subject().iter_common_name() {
        let name = name.as_str().unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
    }
    if let Some(extension) = old.subject_alternative_name().unwrap() {
        let names = extension.value.general_names.iter();
        params.subject_alt_names = names.map(same_name).collect();
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

fn same_name(name: &GeneralName<'_>) -> SanType {
    match name {
        GeneralName::DNSName(name) => SanType::DnsName(Ia5String::try_from(*name).unwrap()),
        GeneralName::IPAddress(raw) => SanType::IpAddress(match <[u8; 4]>::try_from(*raw) {
            Ok(v4) => IpAddr::from(v4),
            Err(_) => IpAddr::from(<[u8; 16]>::try_from(*raw).unwrap()),
        }),
        other => panic!("unexpected name {other:?}"),
    }
}

/// Atomic, as the local cloud writes files.
fn put(path: &Path, content: &str, mode: u32) {
    let staged = path.with_extension("aging");
    std::fs::write(&staged, content).unwrap();
    std::fs::set_permissions(&staged, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::rename(staged, path).unwrap();
}
