//! TLS bootstrap: a token is traded in for a client certificate, which is renewed before it expires.
//!
//! Source: <https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/>

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};
use x509_parser::pem::parse_x509_pem;

use crate::client::{ApiClient, Kubeconfig};
use crate::error::{Result, StartError};
use crate::flags::Flags;

const GROUP: &str = "/apis/certificates.k8s.io/v1";
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// How often a request is looked at, and how often it is before another one is made.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 300;
/// The longest pause between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(7);
/// A certificate is renewed once so much of its life is over: the real kubelet takes 70 to 90 %.
const RENEW: f64 = 0.8;

/// How the kubelet gets at the API server.
pub(super) struct Credentials {
    /// With what it has now.
    pub(super) client: ApiClient,
    /// The kubeconfig whose certificate is the kubelet's own to renew; `None`: it was given one, or has its token for good.
    own: Option<PathBuf>,
    name: String,
}

/// The kubeconfig if there is one; else the bootstrap kubeconfig's token, traded in for a certificate. It tries until it
/// has one. Where the server has no certificate API, as the API server's stand-in, it goes on with the token.
///
/// # Errors
/// A file that can't be used; neither flag leads to one.
pub(super) async fn credentials(flags: &Flags, name: &str) -> Result<Credentials> {
    let kubeconfig = flags.path("kubeconfig");
    let bootstrap = flags.path("bootstrap-kubeconfig");
    let with = |client, own| Credentials {
        client,
        own,
        name: name.to_owned(),
    };
    if let Some(path) = kubeconfig.clone().filter(|path| path.exists())
        && !(bootstrap.is_some() && life(&path).is_some_and(|life| life.is_over()))
    {
        let client = ApiClient::from_kubeconfig("kubeconfig", &path)?;
        return Ok(with(client, bootstrap.map(|_| path)));
    }
    let Some(bootstrap) = bootstrap else {
        return Err(StartError::Usage(match flags.text("kubeconfig") {
            Some(path) => format!(
                "--kubeconfig: {path} does not exist, and there is no --bootstrap-kubeconfig"
            ),
            None => "--kubeconfig or --bootstrap-kubeconfig must be specified".to_owned(),
        }));
    };
    let client = ApiClient::from_kubeconfig("bootstrap-kubeconfig", &bootstrap)?;
    let Some(kubeconfig) = kubeconfig else {
        tracing::info!(
            "no --kubeconfig to keep a certificate in: going on with the bootstrap token"
        );
        return Ok(with(client, None));
    };
    let mut backoff = Duration::from_millis(200);
    loop {
        match has_certificates(&client).await {
            Ok(false) => {
                tracing::info!(
                    "this API server has no certificate API to get a client certificate from: going on with the \
                     bootstrap token"
                );
                return Ok(with(client, None));
            }
            Ok(true) => match certificate(&client, name).await {
                Ok(new) => {
                    keep(&new, &bootstrap, &kubeconfig)?;
                    tracing::info!("node {name}: has a client certificate");
                    let client = ApiClient::from_kubeconfig("kubeconfig", &kubeconfig)?;
                    return Ok(with(client, Some(kubeconfig)));
                }
                Err(reason) => tracing::warn!("node {name}: no client certificate yet: {reason}"),
            },
            Err(reason) => tracing::warn!(server = client.server(), "node {name}: {reason}"),
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
}

impl Credentials {
    /// Has the certificate renewed if it is time. What fails is tried again by the next call.
    pub(super) async fn renew(&mut self) {
        let Some(path) = &self.own else { return };
        if !life(path).is_some_and(|life| life.is_almost_over()) {
            return;
        }
        let renewed = async {
            let new = certificate(&self.client, &self.name).await?;
            keep(&new, path, path).map_err(|error| error.to_string())?;
            ApiClient::from_kubeconfig("kubeconfig", path).map_err(|error| error.to_string())
        };
        match renewed.await {
            Ok(client) => self.client = client,
            Err(reason) => tracing::warn!(
                "node {}: its certificate isn't renewed: {reason}",
                self.name
            ),
        }
    }
}

async fn has_certificates(client: &ApiClient) -> Result<bool, String> {
    match client.get(GROUP).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

/// A client certificate and its key, PEM.
struct Issued {
    certificate: String,
    key: String,
}

/// Asks for a certificate, and waits until it is approved and signed.
async fn certificate(client: &ApiClient, name: &str) -> Result<Issued, String> {
    let text = |error: rcgen::Error| error.to_string();
    let key = KeyPair::generate().map_err(text)?;
    let request = request(name, &key).map_err(text)?;
    let asked = client.create(REQUESTS, &request).await;
    let asked = asked.map_err(|error| error.to_string())?;
    let request = asked["metadata"]["name"].as_str().unwrap_or_default();
    let path = format!("{REQUESTS}/{request}");
    tracing::info!("node {name}: asked for a client certificate by {request}");
    for _ in 0..LOOKS {
        tokio::time::sleep(LOOK).await;
        let seen = client.get(&path).await.map_err(|error| error.to_string())?;
        if let Some(certificate) = decided(&seen)? {
            return Ok(Issued {
                certificate,
                key: key.serialize_pem(),
            });
        }
    }
    Err(format!(
        "{request} is neither approved nor denied; see kubectl get csr"
    ))
}

fn request(name: &str, key: &KeyPair) -> Result<Value, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "system:nodes");
    params
        .distinguished_name
        .push(DnType::CommonName, format!("system:node:{name}"));
    let pem = params.serialize_request(key)?.pem()?;
    Ok(json!({
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "node-csr-"},
        "spec": {
            "request": STANDARD.encode(pem),
            "signerName": SIGNER,
            "usages": ["digital signature", "client auth"],
        },
    }))
}

/// The certificate, once it is signed.
///
/// # Errors
/// It never will be: why.
fn decided(request: &Value) -> Result<Option<String>, String> {
    let name = request["metadata"]["name"].as_str().unwrap_or_default();
    let conditions = request["status"]["conditions"].as_array();
    for condition in conditions.into_iter().flatten() {
        if condition["type"] == "Denied" || condition["type"] == "Failed" {
            let why = condition["message"].as_str().unwrap_or("no reason given");
            let what = condition["type"].as_str().unwrap_or_default();
            return Err(format!("{name}: {what}: {why}"));
        }
    }
    let Some(encoded) = request["status"]["certificate"].as_str() else {
        return Ok(None);
    };
    let pem = STANDARD
        .decode(encoded)
        .ok()
        .and_then(|pem| String::from_utf8(pem).ok());
    pem.map(Some)
        .ok_or_else(|| format!("{name}: its certificate isn't PEM"))
}

/// Writes a kubeconfig with the certificate, for the server of the kubeconfig at `like`. It is whole, or as it was.
fn keep(new: &Issued, like: &Path, path: &Path) -> Result<()> {
    let failed = |source: std::io::Error| StartError::File {
        flag: "kubeconfig".to_owned(),
        path: path.to_owned(),
        source,
    };
    let content = |reason: String| StartError::Content {
        flag: "bootstrap-kubeconfig".to_owned(),
        path: like.to_owned(),
        reason,
    };
    let text = std::fs::read_to_string(like).map_err(failed)?;
    let access = Kubeconfig::parse(&text)
        .and_then(|config| config.access(like))
        .map_err(content)?;
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "kubelet",
        "contexts": [{"name": "kubelet", "context": {"cluster": "cluster", "user": "kubelet"}}],
        "clusters": [{"name": "cluster", "cluster": {
            "server": access.server,
            "certificate-authority-data": STANDARD.encode(access.ca),
        }}],
        "users": [{"name": "kubelet", "user": {
            "client-certificate-data": STANDARD.encode(&new.certificate),
            "client-key-data": STANDARD.encode(&new.key),
        }}],
    });
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(directory).map_err(failed)?;
    let beside = path.with_extension("new");
    let written = || {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = std::fs::OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        let mut file = options.open(&beside)?;
        file.write_all(kubeconfig.to_string().as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    written().map_err(failed)
}

/// The life of a certificate, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Life {
    from: i64,
    until: i64,
}

impl Life {
    fn is_over(self) -> bool {
        jiff::Timestamp::now().as_second() >= self.until
    }

    fn is_almost_over(self) -> bool {
        let renewal = self.from + ((self.until - self.from) as f64 * RENEW) as i64;
        jiff::Timestamp::now().as_second() >= renewal
    }
}

/// That of the client certificate in a kubeconfig.
fn life(kubeconfig: &Path) -> Option<Life> {
    let text = std::fs::read_to_string(kubeconfig).ok()?;
    let access = Kubeconfig::parse(&text).and_then(|config| config.access(kubeconfig));
    let (chain, _) = access.ok()?.certificate?;
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
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use x509_parser::certification_request::X509CertificationRequest;
    use x509_parser::prelude::FromDer as _;

    #[test]
    fn it_asks_for_a_nodes_own_client_certificate_and_nothing_else() {
        let key = KeyPair::generate().unwrap();
        let object = request("n1", &key).unwrap();
        assert_eq!(object["spec"]["signerName"], SIGNER);
        let pem = STANDARD
            .decode(object["spec"]["request"].as_str().unwrap())
            .unwrap();
        let (_, pem) = parse_x509_pem(&pem).unwrap();
        let (_, request) = X509CertificationRequest::from_der(&pem.contents).unwrap();
        let subject = request.certification_request_info.subject.to_string();
        assert_eq!(subject, "O=system:nodes, CN=system:node:n1");
        let extensions = request.requested_extensions();
        assert_eq!(
            extensions.map_or(0, Iterator::count),
            0,
            "no names of servers"
        );
    }

    #[test]
    fn a_request_is_open_signed_or_over() {
        assert_eq!(decided(&json!({"status": {}})), Ok(None));
        let approved = json!({"status": {"conditions": [{"type": "Approved"}]}});
        assert_eq!(decided(&approved), Ok(None));
        let signed =
            json!({"status": {"conditions": [{"type": "Approved"}], "certificate": "UEVN"}});
        assert_eq!(decided(&signed), Ok(Some("PEM".to_owned())));
        let denied = json!({
            "metadata": {"name": "node-csr-x"},
            "status": {"conditions": [{"type": "Denied", "message": "by ada"}]},
        });
        assert_eq!(
            decided(&denied),
            Err("node-csr-x: Denied: by ada".to_owned())
        );
    }

    #[test]
    fn what_is_kept_is_the_kubelets_alone_and_is_renewed_before_it_expires() {
        let directory = tempfile::tempdir().unwrap();
        let (like, path) = (
            directory.path().join("bootstrap"),
            directory.path().join("a/kubeconfig"),
        );
        std::fs::write(
            &like,
            "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n\
             clusters: [{name: k, cluster: {server: https://127.0.0.1:6443, certificate-authority-data: Q0E=}}]\n\
             users: [{name: u, user: {token: abc}}]\n",
        )
        .unwrap();
        let key = KeyPair::generate().unwrap();
        let made = |until: i32| {
            let mut params = CertificateParams::default();
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
            let issued = Issued {
                certificate: params.self_signed(&key).unwrap().pem(),
                key: key.serialize_pem(),
            };
            keep(&issued, &like, &path).unwrap();
            let life = life(&path).unwrap();
            (life.is_over(), life.is_almost_over())
        };
        assert_eq!(made(2900), (false, false));
        assert_eq!(made(2021), (true, true));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        let access = Kubeconfig::parse(&text).unwrap().access(&path).unwrap();
        assert_eq!(access.server, "https://127.0.0.1:6443");
        assert!(!text.contains("abc"), "not the token");
    }
}
