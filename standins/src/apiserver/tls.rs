//! TLS of the server. It reads a renewed certificate without a restart, as Kubernetes' own API server does.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::ring;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error as TlsError, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use crate::Result;

/// Verifies client certificates against the CAs of a PEM document.
pub fn client_verifier(pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
    verifier.map_err(|error| error.to_string())
}

/// A server with a certificate from files, that requests client certificates and leaves their verification
/// to the caller.
pub fn server(
    certificate: PathBuf,
    key: PathBuf,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>> {
    // Before reading: files that change meanwhile are read again.
    let stamp = stamp(&[&certificate, &key]);
    let pair = pair(&certificate, &key)?;
    let files = KeyFiles {
        certificate,
        key,
        current: Mutex::new((stamp, pair)),
    };
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(Arc::new(AskOnly(clients)))
        .with_cert_resolver(Arc::new(files));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Changes when a file is replaced.
pub type Stamp = Vec<Option<(SystemTime, u64)>>;

/// The stamp of these files.
pub fn stamp(paths: &[&Path]) -> Stamp {
    let of = |path: &&Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.ino()))
    };
    paths.iter().map(of).collect()
}

/// A certificate with its key in files. After a change, the next handshake reads them again.
#[derive(Debug)]
struct KeyFiles {
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<(Stamp, Arc<CertifiedKey>)>,
}

impl ResolvesServerCert for KeyFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&[&self.certificate, &self.key]);
        if current.0 != now {
            match pair(&self.certificate, &self.key) {
                Ok(pair) => *current = (now, pair),
                // One file was replaced, the other not yet.
                Err(why) => tracing::warn!(why, "keeping the existing certificate"),
            }
        }
        Some(Arc::clone(&current.1))
    }
}

fn pair(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>> {
    let unusable = |error: &dyn std::fmt::Display| format!("{}: {error}", certificate.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(&error))?;
    let key =
        PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
    let pair = CertifiedKey::from_der(chain, key, &ring::default_provider());
    pair.map(Arc::new).map_err(|error| unusable(&error))
}

/// Accepts any client certificate whose key the client holds. Like Kubernetes, the server then responds to a
/// certificate of another CA with 401 rather than with an obscure TLS alert.
#[derive(Debug)]
struct AskOnly(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AskOnly {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
