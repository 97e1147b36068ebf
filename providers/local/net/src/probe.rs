//! A single health probe: TCP, HTTP or HTTPS. As in the real cloud, certificates are not verified.

use std::net::SocketAddrV4;
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
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use crate::desired::{Probe, Protocol};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Whether a backend passes the probe in time.
pub async fn answers_well(probe: &Probe) -> bool {
    let answer = tokio::time::timeout(probe.timeout, ask(probe)).await;
    matches!(answer, Ok(Ok(true)))
}

async fn ask(probe: &Probe) -> Result<bool, Fault> {
    let socket = TcpSocket::new_v4()?;
    if let Some(source) = probe.source {
        socket.bind(SocketAddrV4::new(source, 0).into())?;
    }
    let stream = socket.connect(probe.address.into()).await?;
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
    // The sender is dropped after the response, which ends the connection.
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

/// Accepts every certificate, as Compute Engine's health checks do. No secrets are sent.
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddrV4;
    use std::time::Duration;

    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A server with a self-signed certificate for another name, and a fixed response.
    async fn serve(answer: &'static str) -> SocketAddrV4 {
        let key = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![key.cert.der().clone()],
                PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        });
        address
    }

    async fn is_well(address: SocketAddrV4, protocol: Protocol) -> bool {
        let probe = Probe {
            address,
            protocol,
            path: "/readyz".into(),
            host: String::new(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            healthy_after: 1,
            unhealthy_after: 1,
            admitted: true,
            source: None,
        };
        answers_well(&probe).await
    }

    #[tokio::test]
    async fn https_needs_a_200_and_no_certificate_in_particular() {
        let well = serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        assert!(is_well(well, Protocol::Https).await);
        let sick = serve("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
        assert!(!is_well(sick, Protocol::Https).await);
        let mute = serve("").await;
        assert!(!is_well(mute, Protocol::Https).await);
        let plain = serve("HTTP/1.1 200 OK\r\n\r\n").await;
        assert!(!is_well(plain, Protocol::Http).await);
    }

    #[tokio::test]
    async fn tcp_needs_somebody_who_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        assert!(is_well(address, Protocol::Tcp).await);
        drop(listener);
        assert!(!is_well(address, Protocol::Tcp).await);
    }
}
