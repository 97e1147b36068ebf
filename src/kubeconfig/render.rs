//! One kubeconfig with the certificates in it.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::document::Document;
use crate::pki::Secret;

/// Everything that it takes to reach one cluster as one user.
#[derive(Debug, Clone)]
pub struct Access {
    /// Name of the cluster entry.
    pub cluster: String,
    /// Name of the user entry.
    pub user: String,
    /// Name of the context entry.
    pub context: String,
    /// `https://address:port`.
    pub server: String,
    /// The authority that the server is verified with (PEM).
    pub ca: String,
    /// What the user is known by.
    pub credentials: Credentials,
}

/// What a user is known by.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A client certificate.
    Certificate {
        /// The certificate (PEM).
        certificate: String,
        /// Its private key (PEM).
        key: Secret,
    },
    /// A client certificate and its key in files of the machine that reads the kubeconfig, so that a renewed one counts
    /// without a restart. Relative paths start where the kubeconfig is.
    Files {
        /// The certificate's file.
        certificate: String,
        /// Its private key's.
        key: String,
    },
    /// A bearer token.
    Token(Secret),
}

/// How a kubeconfig names the API server there.
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
        json!({"name": self.context, "context": {"cluster": self.cluster, "user": self.user}})
    }
}

/// A whole kubeconfig that holds this access and nothing else. It contains a private key.
pub fn render(access: &Access) -> Secret {
    let mut document = Document::default();
    document.set(access);
    document.make_current(&access.context);
    Secret::new(document.to_yaml())
}
