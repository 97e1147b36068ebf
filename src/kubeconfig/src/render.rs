//! Renders a kubeconfig with embedded certificates.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::document::Document;
use super::owner::extensions;
use hakube_secret::Secret;

/// Access to one cluster as one user.
#[derive(Debug, Clone)]
pub struct Access {
    /// Name of the cluster entry.
    pub cluster: String,
    /// Name of the user entry.
    pub user: String,
    /// Name of the context entry.
    pub context: String,
    /// The cluster's ID, recorded in the context; `None` for machines' own kubeconfigs.
    pub id: Option<String>,
    /// `https://address:port`.
    pub server: String,
    /// The CA that verifies the server (PEM).
    pub ca: String,
    /// The user's credentials.
    pub credentials: Credentials,
}

/// A user's credentials.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A client certificate.
    Certificate {
        /// The certificate (PEM).
        certificate: String,
        /// Its private key (PEM).
        key: Secret,
    },
    /// Files with a client certificate and its key, on the machine that reads the kubeconfig, so that a
    /// renewed certificate is used without a restart. Relative paths start at the kubeconfig.
    Files {
        /// The certificate's file.
        certificate: String,
        /// Its private key's.
        key: String,
    },
    /// A bearer token.
    Token(Secret),
}

/// The API server's URL in a kubeconfig.
pub fn server_url(endpoint: SocketAddr) -> String {
    format!("https://{endpoint}")
}

impl Access {
    pub(super) fn cluster_entry(&self) -> Value {
        json!({"name": self.cluster, "cluster": {
            "certificate-authority-data": STANDARD.encode(&self.ca),
            "server": self.server,
        }})
    }

    pub(super) fn user_entry(&self) -> Value {
        let user = match &self.credentials {
            Credentials::Certificate { certificate, key } => json!({
                "client-certificate-data": STANDARD.encode(certificate),
                "client-key-data": STANDARD.encode(key.expose()),
            }),
            Credentials::Files { certificate, key } => {
                json!({"client-certificate": certificate, "client-key": key})
            }
            Credentials::Token(token) => json!({"token": token.expose()}),
        };
        json!({"name": self.user, "user": user})
    }

    pub(super) fn context_entry(&self) -> Value {
        let mut context = json!({"cluster": self.cluster, "user": self.user});
        if let Some(id) = &self.id {
            context["extensions"] = extensions(id);
        }
        json!({"name": self.context, "context": context})
    }
}

/// Renders a kubeconfig with only this access. It contains a private key.
pub fn render(access: &Access) -> Secret {
    let mut document = Document::default();
    document.set(access);
    document.make_current(&access.context);
    Secret::new(document.to_yaml())
}
