//! Authentication by client certificates and bootstrap tokens, and a small fixed policy:
//!
//! | subject | may |
//! |---|---|
//! | group `system:masters` | everything |
//! | everyone | read `/healthz`, `/livez`, `/readyz`, `/version` |
//! | authenticated users | discovery |
//! | `system:kube-controller-manager`, `system:kube-scheduler`; groups `system:nodes`, `system:bootstrappers` | read and write nodes and leases |

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::request::Call;
use super::status::{ApiError, ApiResult};
use super::store::Store;

/// A user and its groups. An anonymous user is in no group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    name: String,
    groups: Vec<String>,
}

impl User {
    pub fn is_authenticated(&self) -> bool {
        !self.name.is_empty()
    }

    fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// Rejects requests that the policy doesn't allow.
    pub fn authorize(&self, call: &Call) -> ApiResult<()> {
        let is_controller = matches!(
            self.name.as_str(),
            "system:kube-controller-manager" | "system:kube-scheduler"
        );
        let is_component =
            is_controller || self.is_in("system:nodes") || self.is_in("system:bootstrappers");
        let plural = call.resource.plural;
        if self.is_in("system:masters") || (is_component && matches!(plural, "nodes" | "leases")) {
            return Ok(());
        }
        Err(ApiError::forbidden(format!(
            "{} is forbidden: User {:?} cannot access this resource in hakube's stand-in",
            call.resource.qualified(),
            self.name
        )))
    }
}

/// Determines the user of a request.
pub struct Authenticator {
    /// From `--client-ca-file`.
    pub client_ca: Arc<dyn ClientCertVerifier>,
    /// `--enable-bootstrap-token-auth`.
    pub bootstrap_tokens: bool,
}

impl Authenticator {
    /// The user of a request, by certificate, then by token, otherwise anonymous. Wrong credentials are
    /// rejected rather than ignored.
    pub async fn authenticate(
        &self,
        chain: &[CertificateDer<'static>],
        bearer: Option<&str>,
        store: &Store,
    ) -> ApiResult<User> {
        if let Some((leaf, rest)) = chain.split_first() {
            let verified = self
                .client_ca
                .verify_client_cert(leaf, rest, UnixTime::now());
            if let Err(error) = verified {
                tracing::info!(%error, "client certificate refused");
                return Err(ApiError::unauthorized());
            }
            return certificate_user(leaf).ok_or_else(ApiError::unauthorized);
        }
        let Some(token) = bearer else {
            return Ok(User::default());
        };
        let (id, secret) = split_token(token)
            .filter(|_| self.bootstrap_tokens)
            .ok_or_else(ApiError::unauthorized)?;
        let key = format!("/registry/secrets/kube-system/bootstrap-token-{id}");
        let stored = store.get(&key).await?;
        stored
            .and_then(|object| judge(&object, id, secret, Timestamp::now()))
            .ok_or_else(ApiError::unauthorized)
    }
}

/// CN is the user, each O a group.
fn certificate_user(leaf: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().find_map(|cn| cn.as_str().ok())?;
    let groups = subject.iter_organization().filter_map(|o| o.as_str().ok());
    Some(User {
        name: name.to_owned(),
        groups: groups.map(str::to_owned).collect(),
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

/// The user of a token, by its Secret; `None` if it is invalid.
/// <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/>
fn judge(object: &Value, id: &str, secret: &str, now: Timestamp) -> Option<User> {
    let field = |name: &str| {
        let encoded = object["data"][name].as_str()?;
        String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
    };
    let is_expired = match field("expiration") {
        Some(text) => text.parse::<Timestamp>().map_or(true, |end| end <= now),
        None => false,
    };
    let is_right: bool = field("token-secret")?
        .as_bytes()
        .ct_eq(secret.as_bytes())
        .into();
    let is_usable = object["type"] == "bootstrap.kubernetes.io/token"
        && field("token-id")? == id
        && is_right
        && !is_expired
        && field("usage-bootstrap-authentication")? == "true";
    is_usable.then(|| User {
        name: format!("system:bootstrap:{id}"),
        groups: vec!["system:bootstrappers".to_owned()],
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use hyper::Method;
    use serde_json::json;

    fn may(name: &str, group: &str, path: &str) -> bool {
        let user = User {
            name: name.to_owned(),
            groups: vec![group.to_owned()],
        };
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let call = Call::parse(&Method::GET, &segments, None).unwrap();
        user.authorize(&call).is_ok()
    }

    #[test]
    fn components_have_nodes_and_leases_and_administrators_everything() {
        let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x";
        for (name, group) in [
            ("system:node:a", "system:nodes"),
            ("system:bootstrap:a", "system:bootstrappers"),
            ("system:kube-scheduler", "x"),
            ("system:kube-controller-manager", "x"),
        ] {
            assert!(may(name, group, "/api/v1/nodes/a") && may(name, group, lease));
            assert!(!may(name, group, "/api/v1/secrets"), "{name}");
        }
        assert!(may("ada", "system:masters", "/api/v1/secrets"));
        assert!(!may("jane", "developers", "/api/v1/nodes"));
    }

    #[test]
    fn a_token_must_be_unexpired_and_enabled() {
        let judge = |name: &str, value: &str| {
            let mut object = json!({"type": "bootstrap.kubernetes.io/token", "data": {
                "token-id": STANDARD.encode("abcdef"),
                "token-secret": STANDARD.encode("0123456789abcdef"),
                "usage-bootstrap-authentication": STANDARD.encode("true"),
            }});
            match name {
                "type" => object[name] = value.into(),
                _ => object["data"][name] = STANDARD.encode(value).into(),
            }
            let now = "2026-01-01T00:00:00Z".parse().unwrap();
            super::judge(&object, "abcdef", "0123456789abcdef", now)
        };
        let user = judge("expiration", "2026-01-02T00:00:00Z").unwrap();
        assert_eq!(user.name, "system:bootstrap:abcdef");
        assert!(user.is_in("system:bootstrappers"));
        for (name, value) in [
            ("expiration", "2025-12-31T23:59:59Z"),
            ("expiration", "soon"),
            ("usage-bootstrap-authentication", "false"),
            ("token-secret", "0123456789abcdee"),
            ("type", "Opaque"),
        ] {
            assert_eq!(judge(name, value), None, "{name}: {value}");
        }
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
