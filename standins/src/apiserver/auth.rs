//! Who asks: client certificates and bootstrap tokens.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error as TlsError, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::status::{ApiError, ApiResult};
use super::storage::Store;

/// Group of everybody who proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";

/// Who asks, and what they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// `system:anonymous` for those who showed nothing.
    pub name: String,
    /// Groups.
    pub groups: Vec<String>,
}

impl User {
    fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
        }
    }

    /// Whether the user is a member of `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

/// Accepts any client certificate whose key the client holds, and leaves the judgement to
/// [`Authenticator`]: Kubernetes answers a certificate of another CA with 401, not with a TLS alert
/// that no client explains.
#[derive(Debug)]
pub struct AskOnly(pub Arc<dyn ClientCertVerifier>);

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

/// Decides who a request comes from.
pub struct Authenticator {
    /// Of `--client-ca-file`; without it, certificates prove nothing.
    pub client_ca: Option<Arc<dyn ClientCertVerifier>>,
    /// `--enable-bootstrap-token-auth`.
    pub bootstrap_tokens: bool,
    /// `--anonymous-auth`.
    pub anonymous: bool,
}

impl Authenticator {
    /// The user of a request: a certificate first, then a token, then nobody in particular. Wrong
    /// credentials are refused rather than taken for none.
    pub async fn authenticate(
        &self,
        chain: &[CertificateDer<'static>],
        bearer: Option<&str>,
        store: &Store,
    ) -> ApiResult<User> {
        if let (Some((leaf, rest)), Some(verifier)) = (chain.split_first(), &self.client_ca) {
            match verifier.verify_client_cert(leaf, rest, UnixTime::now()) {
                Ok(_) => return certificate_user(leaf),
                Err(error) => tracing::info!(%error, "client certificate refused"),
            }
        }
        if let Some(token) = bearer {
            return match self.bootstrap_tokens.then(|| split_token(token)).flatten() {
                Some((id, secret)) => bootstrap_user(id, secret, store).await,
                None => Err(ApiError::unauthorized()),
            };
        }
        if !chain.is_empty() || !self.anonymous {
            Err(ApiError::unauthorized())
        } else {
            Ok(User::anonymous())
        }
    }
}

/// CN is the user, each O a group.
fn certificate_user(leaf: &CertificateDer<'_>) -> ApiResult<User> {
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| ApiError::unauthorized())?;
    let subject = parsed.subject();
    let name = subject
        .iter_common_name()
        .find_map(|cn| cn.as_str().ok())
        .unwrap_or_default();
    if name.is_empty() {
        return Err(ApiError::unauthorized());
    }
    let mut groups: Vec<_> = subject
        .iter_organization()
        .filter_map(|o| o.as_str().ok())
        .map(str::to_owned)
        .collect();
    groups.push(AUTHENTICATED.to_owned());
    Ok(User {
        name: name.to_owned(),
        groups,
    })
}

/// `id.secret`: six and sixteen of [a-z0-9].
fn split_token(token: &str) -> Option<(&str, &str)> {
    let plain = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let (id, secret) = token.split_once('.')?;
    (id.len() == 6 && secret.len() == 16 && plain(id) && plain(secret)).then_some((id, secret))
}

async fn bootstrap_user(id: &str, secret: &str, store: &Store) -> ApiResult<User> {
    let key = store.key(&["secrets", "kube-system", &format!("bootstrap-token-{id}")]);
    let stored = store.get(&key).await?;
    stored
        .and_then(|stored| {
            judge_bootstrap_secret(&stored.object, id, secret, jiff::Timestamp::now())
        })
        .ok_or_else(ApiError::unauthorized)
}

/// Who the token authenticates as, by its Secret; `None` if it doesn't.
/// <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>
fn judge_bootstrap_secret(
    object: &Value,
    id: &str,
    secret: &str,
    now: jiff::Timestamp,
) -> Option<User> {
    let field = |name: &str| {
        let encoded = object["data"][name].as_str()?;
        String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
    };
    let right_secret = same(field("token-secret")?.as_bytes(), secret.as_bytes());
    let expired = match field("expiration") {
        Some(text) => text
            .parse::<jiff::Timestamp>()
            .map_or(true, |end| end <= now),
        None => false,
    };
    let usable = object["type"] == "bootstrap.kubernetes.io/token"
        && field("token-id")? == id
        && right_secret
        && !expired
        && field("usage-bootstrap-authentication")? == "true";
    if !usable {
        return None;
    }
    let mut groups = vec!["system:bootstrappers".to_owned(), AUTHENTICATED.to_owned()];
    for group in field("auth-extra-groups")
        .unwrap_or_default()
        .split(',')
        .filter(|group| !group.is_empty())
    {
        // Anything else would be a way to system:masters; the real one refuses the whole token too.
        if !group.starts_with("system:bootstrappers:") {
            return None;
        }
        groups.push(group.to_owned());
    }
    Some(User {
        name: format!("system:bootstrap:{id}"),
        groups,
    })
}

/// Comparison whose time doesn't depend on where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .fold(0, |difference, (x, y)| difference | (x ^ y))
            == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const SECRET: &str = "0123456789abcdef";

    fn judge(change: impl Fn(&mut Value)) -> Option<User> {
        let mut object = json!({"type": "bootstrap.kubernetes.io/token", "data": {
            "token-id": STANDARD.encode("abcdef"),
            "token-secret": STANDARD.encode(SECRET),
            "usage-bootstrap-authentication": STANDARD.encode("true"),
            "auth-extra-groups": STANDARD.encode("system:bootstrappers:hakube"),
        }});
        change(&mut object);
        judge_bootstrap_secret(
            &object,
            "abcdef",
            SECRET,
            "2026-01-01T00:00:00Z".parse().unwrap(),
        )
    }

    #[test]
    fn a_good_token_is_a_bootstrapper() {
        let user = judge(|_| ()).unwrap();
        assert_eq!(user.name, "system:bootstrap:abcdef");
        assert!(user.is_in("system:bootstrappers") && user.is_in("system:bootstrappers:hakube"));
    }

    #[test]
    fn a_token_must_be_unexpired_enabled_and_modest() {
        let with = |name: &'static str, value: &'static str| {
            judge(move |object| object["data"][name] = STANDARD.encode(value).into())
        };
        assert!(with("expiration", "2026-01-02T00:00:00Z").is_some());
        assert!(with("expiration", "2025-12-31T23:59:59Z").is_none());
        assert!(with("expiration", "soon").is_none());
        assert!(with("usage-bootstrap-authentication", "false").is_none());
        assert!(with("token-secret", "0123456789abcdee").is_none());
        assert!(with("auth-extra-groups", "system:masters").is_none());
        assert!(judge(|object| object["type"] = "Opaque".into()).is_none());
    }

    #[test]
    fn only_the_documented_form_is_a_token() {
        assert!(split_token("abcdef.0123456789abcdef").is_some());
        for wrong in [
            "abcdef0123456789abcdef",
            "abcde.0123456789abcdef",
            "ABCDEF.0123456789abcdef",
            "",
        ] {
            assert!(split_token(wrong).is_none(), "{wrong}");
        }
    }
}
