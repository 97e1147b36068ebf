//! TLS configurations, with the ring provider named explicitly.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::{Result, StartError};

/// ring, for every configuration here.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM document, at least one.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("not PEM: {error}"))?;
    if certificates.is_empty() {
        Err("no certificate in it".to_owned())
    } else {
        Ok(certificates)
    }
}

/// The first private key of a PEM document.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| format!("no private key in it: {error}"))
}

/// A root store of a PEM document's certificates.
pub fn roots(pem: &[u8]) -> Result<Arc<RootCertStore>, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store
            .add(certificate)
            .map_err(|error| format!("not a CA certificate: {error}"))?;
    }
    Ok(Arc::new(store))
}

/// Verifies client certificates against `roots`, and lets through those who show none.
pub fn client_verifier(roots: Arc<RootCertStore>) -> Result<Arc<dyn ClientCertVerifier>> {
    WebPkiClientVerifier::builder_with_provider(roots, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| StartError::Tls(format!("client CA: {error}")))
}

/// A server that speaks HTTP/2 and HTTP/1.1, and asks nobody for a certificate.
pub fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::Tls(error.to_string()))?
        .with_no_client_auth();
    let config = builder.with_single_cert(chain, key).map_err(|error| {
        StartError::Tls(format!("certificate and key don't fit together: {error}"))
    })?;
    Ok(speaking_http(config))
}

/// The same, with a certificate from files, that asks for client certificates if there is a verifier.
pub fn server_of_files(
    files: KeyFiles,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::Tls(error.to_string()))?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    Ok(speaking_http(builder.with_cert_resolver(Arc::new(files))))
}

fn speaking_http(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A certificate with its key in files. They are read again at a handshake after they changed, as Kubernetes' own API
/// server does: a renewed certificate takes no restart.
#[derive(Debug)]
pub struct KeyFiles {
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<(Stamp, Arc<CertifiedKey>)>,
}

/// What changes when a file is replaced.
pub type Stamp = Vec<Option<(SystemTime, u64)>>;

/// The stamp of these files.
pub fn stamp(paths: &[&Path]) -> Stamp {
    let of = |path: &&Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.ino()))
    };
    paths.iter().map(of).collect()
}

impl KeyFiles {
    /// Reads them. `Err` says which is wrong, and how.
    pub fn load(certificate: PathBuf, key: PathBuf) -> Result<Self, String> {
        // Before they are read: what changes meanwhile is read again.
        let stamp = stamp(&[&certificate, &key]);
        let current = Mutex::new((stamp, pair(&certificate, &key)?));
        Ok(Self {
            certificate,
            key,
            current,
        })
    }

    /// The pair of the moment. Between the replacement of one file and of the other, the one before.
    fn current(&self) -> Arc<CertifiedKey> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&[&self.certificate, &self.key]);
        if current.0 != now {
            match pair(&self.certificate, &self.key) {
                Ok(pair) => {
                    tracing::info!(certificate = %self.certificate.display(), "read again");
                    *current = (now, pair);
                }
                Err(why) => tracing::warn!(why, "goes on with the certificate that it has"),
            }
        }
        Arc::clone(&current.1)
    }
}

impl ResolvesServerCert for KeyFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

fn pair(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, String> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let chain = certificates(&read(certificate)?)?;
    let key = private_key(&read(key)?)?;
    CertifiedKey::from_der(chain, key, &provider())
        .map(Arc::new)
        .map_err(|error| format!("certificate and key don't fit together: {error}"))
}

/// A certificate and key of the process's own, as the real components make when they are given none.
pub fn self_signed(
    names: Vec<String>,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| StartError::Tls(error.to_string()))?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}

/// A client that trusts `roots` only, and shows `identity` to who asks for it.
pub fn client(
    roots: Arc<RootCertStore>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<ClientConfig> {
    let tls = |error: &dyn std::fmt::Display| StartError::Tls(error.to_string());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| tls(&error))?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(&error))?
        .with_webpki_verifier(verifier);
    match identity {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| tls(&error)),
        None => Ok(builder.with_no_client_auth()),
    }
}
