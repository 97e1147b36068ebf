//! Tests that certificates work: TLS in memory, verified by both sides.

use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::certificates::describe;
use super::*;

#[test]
fn clients_of_one_ca_are_refused_by_another() {
    let authorities = authorities();
    let files = files(&authorities);
    let admin = admin(&authorities, Lifetimes::default(), now()).unwrap();
    let bundle = authorities.client_ca_bundle();

    // The endpoint's address, an extra name, and the service inside the cluster.
    for host in [
        "203.0.113.7",
        "api.example.com",
        "kubernetes.default.svc.cluster.local",
    ] {
        handshake(&files, "pki/apiserver", &bundle, host, &admin).unwrap();
    }
    // A name that isn't the replica's.
    handshake(&files, "pki/apiserver", &bundle, "203.0.113.8", &admin).unwrap_err();
    // An administrator of Kubernetes is unknown to etcd,
    let on_etcd = ClientIdentity {
        ca: authorities.etcd_ca().into(),
        ..admin.clone()
    };
    handshake(
        &files,
        "pki/etcd/server",
        authorities.etcd_ca(),
        "127.0.0.1",
        &on_etcd,
    )
    .unwrap_err();
    // and to another cluster.
    let other = Authorities::generate(Lifetimes::default(), now()).unwrap();
    let elsewhere = other.client_ca_bundle();
    handshake(&files, "pki/apiserver", &elsewhere, "203.0.113.7", &admin).unwrap_err();
}

#[test]
fn etcd_peers_accept_each_other_in_both_directions() {
    let authorities = authorities();
    let (one, two) = (files(&authorities), files(&authorities));
    let peer = ClientIdentity {
        ca: authorities.etcd_ca().into(),
        certificate: text(&two, "pki/etcd/peer.crt").into(),
        key: two["pki/etcd/peer.key"].content.clone(),
    };
    handshake(
        &one,
        "pki/etcd/peer",
        authorities.etcd_ca(),
        "10.40.0.2",
        &peer,
    )
    .unwrap();
}

#[test]
fn component_kubeconfigs_use_the_replicas_own_address_and_trust_only_the_kubernetes_ca() {
    let authorities = authorities();
    let files = files(&authorities);
    for component in ["controller-manager", "scheduler"] {
        let yaml = text(&files, &format!("{component}.kubeconfig"));
        let config: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
        assert_eq!(
            config.pointer("/clusters/0/cluster/server").unwrap(),
            "https://10.40.0.2:6443"
        );
        let decode = |pointer: &str| {
            let data = config.pointer(pointer).unwrap().as_str().unwrap();
            let bytes = STANDARD.decode(data).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        // Relative to the kubeconfig, so that a machine of the local cloud finds its own.
        let named = |pointer: &str| {
            let file = config.pointer(pointer).unwrap().as_str().unwrap();
            text(&files, file).to_owned()
        };
        assert_eq!(
            decode("/clusters/0/cluster/certificate-authority-data"),
            authorities.kubernetes_ca()
        );
        let client = ClientIdentity {
            ca: decode("/clusters/0/cluster/certificate-authority-data"),
            certificate: named("/users/0/user/client-certificate"),
            key: Secret::new(named("/users/0/user/client-key")),
        };
        assert_eq!(
            describe(&client.certificate).0,
            format!("CN=system:kube-{component}")
        );
        let bundle = authorities.client_ca_bundle();
        handshake(&files, "pki/apiserver", &bundle, "10.40.0.2", &client).unwrap();
    }
}

#[test]
fn cas_survive_their_documents() {
    let authorities = authorities();
    let documents = authorities.to_documents();
    let json = serde_json::to_string(&documents).unwrap();
    let restored = Authorities::from_documents(&serde_json::from_str(&json).unwrap()).unwrap();
    assert_eq!(restored.to_documents(), documents);

    // Certificates signed by the restored CAs are accepted by the original CAs' replicas.
    let files = files(&authorities);
    let admin = admin(&restored, Lifetimes::default(), now()).unwrap();
    let bundle = authorities.client_ca_bundle();
    handshake(&files, "pki/apiserver", &bundle, "203.0.113.7", &admin).unwrap();
}

#[test]
fn openssl_verifies_a_chain_too() {
    let authorities = authorities();
    let files = files(&authorities);
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let ca = write("ca.crt", text(&files, "pki/etcd/ca.crt"));
    let peer = write("peer.crt", text(&files, "pki/etcd/peer.crt"));
    let verify = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"])
        .args([ca, peer])
        .output();
    match verify {
        Err(_) => eprintln!("skipped: openssl isn't installed"),
        Ok(output) => assert!(output.status.success(), "{output:?}"),
    }
}

/// Runs a server with a replica's certificate that verifies clients against `client_ca`, and
/// connects `client`. Fails as soon as either side does.
pub(super) fn handshake(
    files: &BTreeMap<String, SecretFile>,
    server: &str,
    client_ca: &str,
    host: &str,
    client: &ClientIdentity,
) -> Result<(), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = |pem: &str| {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem) {
            roots.add(certificate).unwrap();
        }
        Arc::new(roots)
    };
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(client_ca), provider.clone())
        .build()
        .unwrap();
    let server_config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            certificates(text(files, &format!("{server}.crt"))),
            private_key(text(files, &format!("{server}.key"))),
        )
        .unwrap();
    let client_config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&client.ca))
        .with_client_auth_cert(
            certificates(&client.certificate),
            private_key(client.key.expose()),
        )
        .unwrap();

    let mut server = ServerConnection::new(Arc::new(server_config)).unwrap();
    let host = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client_config), host).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(Result::unwrap)
        .collect()
}

fn private_key(pem: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap()
}
