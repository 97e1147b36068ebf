//! The cluster's public key infrastructure.
//!
//! Four certificate authorities and one key pair, generated once per cluster and stored in the state store:
//!
//! | CA          | signs                                                              |
//! |-------------|--------------------------------------------------------------------|
//! | kubernetes  | API server, its kubelet client, controller manager, scheduler, admin |
//! | etcd        | members (server and peer), the API server's client, the operator's |
//! | front-proxy | the API server as a client of aggregated API servers               |
//! | kubelet     | kubelets' certificates, by the controller manager, on the replicas |
//!
//! The service account key pair signs tokens and is the same on all replicas. Another key pair,
//! used only for ssh, is for hakube's logins on machines; it never leaves the store.
//!
//! API servers encrypt Secrets with a key of 32 random bytes, the same on all replicas.
//!
//! The authorities and the service account key can be replaced (`hakube certs rotate-ca`): in the meantime both generations are
//! trusted, and one of them signs.
//!
//! A CA's private key never leaves the store, with one exception that Kubernetes requires: the
//! controller manager signs kubelets' certificates. It has a separate CA for that, so a stolen
//! replica can't sign for etcd or impersonate the API server with it. API servers accept this CA's
//! client certificates with any name: if a replica's disk is lost, replace the kubelet CA.
//!
//! All functions are pure, except that keys come from the operating system's random generator through ring.

mod authorities;
mod authority;
mod bootstrap;
mod encryption;
mod error;
mod generation;
mod leaf;
mod leaves;
mod login;
mod names;
mod operator;
mod replica;
mod rotation;
mod trusted;
mod validity;

#[cfg(test)]
mod tests;

pub use authorities::Authorities;
pub use authority::{AuthorityDocuments, Signer};
pub use error::PkiError;
pub use leaves::{LEAVES, LeafFile, SERVING};
pub use login::LoginKey;
pub use names::addresses;
pub use operator::{ClientIdentity, admin, etcd_client_identity};
pub use replica::{NodeFiles, ReplicaIdentity, replica_files};
pub use rotation::Stage;
pub use validity::{expiry, life};

/// The result type of this module.
pub type Result<T, E = PkiError> = std::result::Result<T, E>;
