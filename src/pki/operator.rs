//! What the operator's own machine uses to talk to a cluster.

use jiff::Timestamp;

use super::leaf::{Issued, Leaf};
use super::{Authorities, Lifetimes, Result, Secret};

/// A client's certificate, its key, and what it verifies the server with.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// The authority that signed the server's certificate (PEM).
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

/// The operator as a client of etcd, for membership.
pub fn etcd_client_identity(
    authorities: &Authorities,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> Result<ClientIdentity> {
    let leaf = Leaf::client("hakube-operator");
    let issued = authorities.etcd.issue(&leaf, lifetimes, now)?;
    Ok(ClientIdentity::new(authorities.etcd_ca(), issued))
}

/// The cluster's administrator as a client of the API server: user `admin`, group `system:masters`.
pub fn admin(
    authorities: &Authorities,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> Result<ClientIdentity> {
    let leaf = Leaf::client_in_group("admin", "system:masters");
    let issued = authorities.kubernetes.issue(&leaf, lifetimes, now)?;
    Ok(ClientIdentity::new(authorities.kubernetes_ca(), issued))
}
