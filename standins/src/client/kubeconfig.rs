//! kubeconfig files, as far as components use them: one context, certificates or a token.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// A kubeconfig. Unknown fields are fine: kubectl's are many.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kubeconfig {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
}

/// What the current context comes to. No `Debug`: it holds keys.
pub struct Access {
    /// URL.
    pub server: String,
    /// PEM.
    pub ca: Vec<u8>,
    /// Certificate chain and key, PEM.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
    /// Bearer token.
    pub token: Option<String>,
}

impl Kubeconfig {
    /// Parses YAML (or JSON, which is YAML). Errors say where, and never quote: it may be a key.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| match error.location() {
            Some(at) => format!(
                "not a kubeconfig: line {}, column {}",
                at.line(),
                at.column()
            ),
            None => "not a kubeconfig".to_owned(),
        })
    }

    /// Resolves the current context; relative paths are relative to the kubeconfig at `path`.
    pub fn access(self, path: &Path) -> Result<Access, String> {
        let context = self
            .contexts
            .into_iter()
            .find(|named| named.name == self.current_context)
            .ok_or_else(|| {
                format!(
                    "no context named {:?} (its current-context)",
                    self.current_context
                )
            })?
            .context;
        let cluster = self
            .clusters
            .into_iter()
            .find(|named| named.name == context.cluster)
            .ok_or_else(|| format!("no cluster named {:?}", context.cluster))?
            .cluster;
        let user = self
            .users
            .into_iter()
            .find(|named| named.name == context.user)
            .ok_or_else(|| format!("no user named {:?}", context.user))?
            .user;

        let directory = path.parent().unwrap_or_else(|| Path::new("."));
        let load = |what: &str,
                    data: Option<String>,
                    file: Option<String>|
         -> Result<Option<Vec<u8>>, String> {
            match (data, file) {
                (Some(data), _) => STANDARD
                    .decode(data.trim())
                    .map(Some)
                    .map_err(|_| format!("its {what}-data is not base64")),
                (None, Some(file)) => {
                    let file = directory.join(file);
                    std::fs::read(&file)
                        .map(Some)
                        .map_err(|error| format!("its {what} {}: {error}", file.display()))
                }
                (None, None) => Ok(None),
            }
        };
        let ca = load(
            "certificate-authority",
            cluster.certificate_authority_data,
            cluster.certificate_authority,
        )?
        .ok_or(
            "its cluster has no certificate-authority, and hakube trusts no server without one",
        )?;
        let chain = load(
            "client-certificate",
            user.client_certificate_data,
            user.client_certificate,
        )?;
        let key = load("client-key", user.client_key_data, user.client_key)?;
        let certificate = match (chain, key) {
            (Some(chain), Some(key)) => Some((chain, key)),
            (None, None) => None,
            _ => {
                return Err(
                    "its user has one of client-certificate and client-key without the other"
                        .to_owned(),
                );
            }
        };
        let token = match user.token {
            Some(token) => Some(token),
            None => load("tokenFile", None, user.token_file)?
                .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()),
        };
        Ok(Access {
            server: cluster.server,
            ca,
            certificate,
            token,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: https://127.0.0.1:6443, certificate-authority-data: Q0E=}}]
users: [{name: u, user: {token: abc}}]
";

    #[test]
    fn the_current_context_is_what_counts() {
        let access = Kubeconfig::parse(TEXT)
            .unwrap()
            .access(Path::new("/etc/k"))
            .unwrap();
        assert_eq!(
            (access.server.as_str(), access.ca.as_slice()),
            ("https://127.0.0.1:6443", &b"CA"[..])
        );
        assert_eq!(access.token.as_deref(), Some("abc"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let said = |text: &str| {
            Kubeconfig::parse(text).and_then(|config| config.access(Path::new("/etc/k")).map(drop))
        };
        assert_eq!(
            said(&TEXT.replace("context: c\n", "context: d\n")),
            Err("no context named \"d\" (its current-context)".to_owned())
        );
        assert!(
            said(&TEXT.replace("certificate-authority-data: Q0E=", "x: y"))
                .unwrap_err()
                .contains("certificate-authority")
        );
        let missing = said(&TEXT.replace(
            "certificate-authority-data: Q0E=",
            "certificate-authority: ca.crt",
        ));
        assert!(missing.unwrap_err().contains("/etc/ca.crt"));
    }

    #[test]
    fn broken_yaml_is_located_and_not_quoted() {
        let said = Kubeconfig::parse("users: [{name: hunter2").err().unwrap();
        assert!(said.contains("line") && !said.contains("hunter2"), "{said}");
    }
}
