//! TLS bootstrap: a token is exchanged for a client certificate, which is renewed before it expires.
//!
//! Source: <https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/>

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestSpec, CertificateSigningRequestStatus,
};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::{AuthInfo, Kubeconfig};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use x509_parser::pem::parse_x509_pem;

use super::{MAX_BACKOFF, MIN_BACKOFF};
use crate::Result;
use crate::client::{connect, in_time, is_not_found};
use crate::flags::Flags;

/// How often a request is checked, and how often before another one is created.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 300;
/// The fraction of a certificate's lifetime after which it is renewed; the real kubelet uses 70 to 90 %.
const RENEW: f64 = 0.8;

/// The kubelet's access to the API server.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) kubeconfig: PathBuf,
    /// Whether the kubelet wrote the kubeconfig, with a certificate that it renews.
    own: bool,
}

impl Credentials {
    /// Uses the kubeconfig, unless it doesn't exist or its certificate has expired. Then exchanges the
    /// bootstrap kubeconfig's token for a certificate, and retries until it has one. If the server has no
    /// certificate API, like the stand-in for the API server, it keeps using the token.
    ///
    /// # Errors
    /// A file is unusable, or a flag is missing.
    pub(super) async fn get(flags: &Flags, node: &str) -> Result<Self> {
        let kubeconfig = flags.path("kubeconfig")?;
        let bootstrap = flags.path("bootstrap-kubeconfig");
        let is_over = |path: &Path| life(path).is_some_and(|life| life.is_over(1.0));
        if kubeconfig.exists() && !(bootstrap.is_ok() && is_over(&kubeconfig)) {
            let own = bootstrap.is_ok();
            return Ok(Self { kubeconfig, own });
        }
        let bootstrap = bootstrap?;
        let mut backoff = MIN_BACKOFF;
        loop {
            let client = connect(&bootstrap).await?;
            match has_certificates(&client).await {
                Ok(false) => {
                    tracing::info!("this API server signs no certificates: keeping the token");
                    return Ok(Self {
                        kubeconfig: bootstrap,
                        own: false,
                    });
                }
                Ok(true) => match certificate(&client, node).await {
                    Ok(new) => {
                        new.store(&bootstrap, &kubeconfig)?;
                        tracing::info!("node {node}: has a client certificate");
                        return Ok(Self {
                            kubeconfig,
                            own: true,
                        });
                    }
                    Err(reason) => tracing::warn!("node {node}: no certificate yet: {reason}"),
                },
                Err(reason) => tracing::warn!("node {node}: {reason}"),
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// Renews the certificate if it is due, and returns whether it did. After a failure, the next call
    /// retries.
    pub(super) async fn renew(&self, client: &kube::Client, node: &str) -> bool {
        let path = &self.kubeconfig;
        if !self.own || !life(path).is_some_and(|life| life.is_over(RENEW)) {
            return false;
        }
        let new = certificate(client, node).await;
        match new.and_then(|new| new.store(path, path)) {
            Ok(()) => true,
            Err(reason) => {
                tracing::warn!("node {node}: can't renew its certificate: {reason}");
                false
            }
        }
    }
}

async fn has_certificates(client: &kube::Client) -> Result<bool> {
    let resources = client.list_api_group_resources("certificates.k8s.io/v1");
    in_time(async {
        match resources.await {
            Err(error) if is_not_found(&error) => Ok(false),
            answer => answer.map(|_| true),
        }
    })
    .await
}

/// A client certificate and its key, PEM.
struct Issued {
    certificate: Vec<u8>,
    key: String,
}

/// Requests a certificate, and waits until it is approved and signed.
async fn certificate(client: &kube::Client, node: &str) -> Result<Issued> {
    let requests: Api<CertificateSigningRequest> = Api::all(client.clone());
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let request = request(node, &key).map_err(|error| error.to_string())?;
    let asked = in_time(requests.create(&PostParams::default(), &request)).await?;
    let name = asked.metadata.name.unwrap_or_default();
    tracing::info!("node {node}: requested a client certificate with {name}");
    for _ in 0..LOOKS {
        tokio::time::sleep(LOOK).await;
        let seen = in_time(requests.get(&name)).await?;
        let decided = decided(seen.status.unwrap_or_default());
        if let Some(certificate) = decided.map_err(|why| format!("{name}: {why}"))? {
            let key = key.serialize_pem();
            return Ok(Issued { certificate, key });
        }
    }
    Err(format!(
        "{name} is neither approved nor denied; check it with kubectl get csr"
    ))
}

fn request(node: &str, key: &KeyPair) -> Result<CertificateSigningRequest, rcgen::Error> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "system:nodes");
    subject.push(DnType::CommonName, format!("system:node:{node}"));
    params.distinguished_name = subject;
    let pem = params.serialize_request(key)?.pem()?;
    Ok(CertificateSigningRequest {
        metadata: ObjectMeta {
            generate_name: Some("node-csr-".to_owned()),
            ..ObjectMeta::default()
        },
        spec: CertificateSigningRequestSpec {
            request: ByteString(pem.into_bytes()),
            signer_name: "kubernetes.io/kube-apiserver-client-kubelet".to_owned(),
            usages: Some(
                ["digital signature", "client auth"]
                    .map(str::to_owned)
                    .into(),
            ),
            ..CertificateSigningRequestSpec::default()
        },
        status: None,
    })
}

/// The certificate, once it is signed.
///
/// # Errors
/// The request was denied or failed.
fn decided(status: CertificateSigningRequestStatus) -> Result<Option<Vec<u8>>> {
    for condition in status.conditions.unwrap_or_default() {
        if condition.type_ == "Denied" || condition.type_ == "Failed" {
            let why = condition.message.unwrap_or_default();
            return Err(format!("{}: {why}", condition.type_));
        }
    }
    Ok(status.certificate.map(|pem| pem.0))
}

impl Issued {
    /// Writes a kubeconfig with the certificate, for the server of the kubeconfig at `like`. The replacement
    /// is atomic.
    fn store(&self, like: &Path, path: &Path) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut kubeconfig = Kubeconfig::read_from(like).map_err(|error| failed(&error))?;
        for user in &mut kubeconfig.auth_infos {
            user.auth_info = Some(AuthInfo {
                client_certificate_data: Some(STANDARD.encode(&self.certificate)),
                client_key_data: Some(STANDARD.encode(&self.key).into()),
                ..AuthInfo::default()
            });
        }
        let text = serde_json::to_string(&kubeconfig).map_err(|error| failed(&error))?;
        let temporary = path.with_extension("new");
        let write = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            let mut options = OpenOptions::new();
            options.create(true).write(true).truncate(true).mode(0o600);
            let mut file = options.open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        };
        write().map_err(|error: std::io::Error| failed(&error))
    }
}

/// The validity of a certificate, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Life {
    from: i64,
    until: i64,
}

impl Life {
    /// Whether this fraction of it has passed.
    fn is_over(self, fraction: f64) -> bool {
        let end = self.from + ((self.until - self.from) as f64 * fraction) as i64;
        Timestamp::now().as_second() >= end
    }
}

/// The validity of the client certificate in a kubeconfig.
fn life(kubeconfig: &Path) -> Option<Life> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).ok()?;
    let user = kubeconfig.auth_infos.into_iter().next()?.auth_info?;
    let chain = STANDARD.decode(user.client_certificate_data?).ok()?;
    let (_, pem) = parse_x509_pem(&chain).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let validity = certificate.validity();
    Some(Life {
        from: validity.not_before.timestamp(),
        until: validity.not_after.timestamp(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt as _;
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::prelude::FromDer as _;

    #[test]
    fn the_request_is_for_the_nodes_own_client_certificate_only() {
        let key = KeyPair::generate().unwrap();
        let spec = request("n1", &key).unwrap().spec;
        assert_eq!(
            spec.signer_name,
            "kubernetes.io/kube-apiserver-client-kubelet"
        );
        let (_, pem) = parse_x509_pem(&spec.request.0).unwrap();
        let (_, request) = X509CertificationRequest::from_der(&pem.contents).unwrap();
        let subject = request.certification_request_info.subject.to_string();
        assert_eq!(subject, "O=system:nodes, CN=system:node:n1");
        let extensions = request.requested_extensions();
        let count = extensions.map_or(0, Iterator::count);
        assert_eq!(count, 0, "no names of servers");
    }

    #[test]
    fn a_request_is_pending_signed_or_denied() {
        let decided = |status| decided(serde_json::from_value(status).unwrap());
        let condition = |kind| json!({"type": kind, "status": "True", "message": "by ada"});
        let approved = [condition("Approved")];
        assert_eq!(decided(json!({})), Ok(None));
        assert_eq!(decided(json!({"conditions": approved})), Ok(None));
        assert_eq!(
            decided(json!({"conditions": approved, "certificate": "UEVN"})),
            Ok(Some(b"PEM".to_vec()))
        );
        assert_eq!(
            decided(json!({"conditions": [condition("Denied")]})),
            Err("Denied: by ada".to_owned())
        );
    }

    #[test]
    fn the_kubeconfig_is_private_and_the_certificate_renewed_before_it_expires() {
        let directory = tempfile::tempdir().unwrap();
        let like = directory.path().join("bootstrap");
        let path = directory.path().join("a/kubeconfig");
        let text = "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n\
            clusters: [{name: k, cluster: {server: https://127.0.0.1:6443, certificate-authority-data: Q0E=}}]\n\
            users: [{name: u, user: {token: abc}}]\n";
        fs::write(&like, text).unwrap();
        let key = KeyPair::generate().unwrap();
        let made = |until: i32| {
            let mut params = CertificateParams::default();
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
            let issued = Issued {
                certificate: params.self_signed(&key).unwrap().pem().into_bytes(),
                key: key.serialize_pem(),
            };
            issued.store(&like, &path).unwrap();
            let life = life(&path).unwrap();
            (life.is_over(1.0), life.is_over(RENEW))
        };
        assert_eq!(made(2900), (false, false));
        assert_eq!(made(2021), (true, true));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("https://127.0.0.1:6443"));
        assert!(!text.contains("abc"), "not the token");
    }
}
