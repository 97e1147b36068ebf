//! One question to a backend: TCP, HTTP or HTTPS. As in reality, certificates are not verified.

use std::sync::{Arc, LazyLock};

use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::desired::Probe;
use crate::compute::health_check::Protocol;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Whether a backend answers as a healthy one does, in time.
pub async fn answers_well(probe: &Probe) -> bool {
    let answer = tokio::time::timeout(probe.timeout, ask(probe)).await;
    matches!(answer, Ok(Ok(true)))
}

async fn ask(probe: &Probe) -> Result<bool, Fault> {
    let stream = TcpStream::connect(probe.address).await?;
    match probe.protocol {
        Protocol::Tcp => Ok(true),
        Protocol::Http => Ok(get(probe, stream).await? == StatusCode::OK),
        Protocol::Https => {
            let connector = TlsConnector::from(TLS.clone()?);
            let name = ServerName::IpAddress((*probe.address.ip()).into());
            let stream = connector.connect(name, stream).await?;
            Ok(get(probe, stream).await? == StatusCode::OK)
        }
    }
}

async fn get<S>(probe: &Probe, stream: S) -> Result<StatusCode, Fault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let host = match probe.host.as_str() {
        "" => probe.address.to_string(),
        host => host.to_owned(),
    };
    let request = Request::get(probe.path.as_str())
        .header(header::HOST, host)
        .header(header::USER_AGENT, "GoogleHC/1.0")
        .header(header::CONNECTION, "close")
        .body(Empty::<bytes::Bytes>::new())?;
    // The sender goes with the answer, and that ends the connection.
    let answer = async move { sender.send_request(request).await };
    let (answer, _) = tokio::join!(answer, connection);
    Ok(answer?.status())
}

static TLS: LazyLock<Result<Arc<ClientConfig>, rustls::Error>> = LazyLock::new(|| {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
});

/// Takes every certificate, as Compute Engine's health checks do. Nothing secret is sent.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
