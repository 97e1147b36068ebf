//! The operator's credentials for a cluster.

use jiff::Timestamp;

use super::Result;
use super::authorities::Authorities;
use super::leaf::{Issued, Leaf};
use hakube_model::Lifetimes;
use hakube_secret::Secret;

/// A client's certificate and key, and the CA that verifies the server.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// The CA of the server's certificate (PEM).
    pub ca: String,
    /// The client's certificate (PEM).
    pub certificate: String,
    /// The client's private key (PKCS #8, PEM).
    pub key: Secret,
}

impl ClientIdentity {
    fn new(ca: &str, issued: Issued) -> Self {
        Self {
            ca: ca.to_owned(),
            certificate: issued.certificate,
            key: issued.key,
        }
    }
}

/// The operator's identity as a client of etcd, for membership.
pub fn etcd_client_identity(
    authorities: &Authorities,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> Result<ClientIdentity> {
    let leaf = Leaf::client("hakube-operator");
    let issued = authorities.now.etcd.issue(&leaf, lifetimes, now)?;
    Ok(ClientIdentity::new(authorities.etcd_ca(), issued))
}

/// The cluster's administrator as a client of the API server: user `admin`, group `system:masters`.
pub fn admin(
    authorities: &Authorities,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> Result<ClientIdentity> {
    let leaf = Leaf::client_in_group("admin", "system:masters");
    let issued = authorities.now.kubernetes.issue(&leaf, lifetimes, now)?;
    Ok(ClientIdentity::new(authorities.kubernetes_ca(), issued))
}
