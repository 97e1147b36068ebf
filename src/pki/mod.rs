//! The cluster's public key infrastructure: who signs what, and for how long.
//!
//! Four certificate authorities and one key pair, made once per cluster and kept in the state store:
//!
//! | authority   | signs                                                              |
//! |-------------|--------------------------------------------------------------------|
//! | kubernetes  | API server, its kubelet client, controller manager, scheduler, admin |
//! | etcd        | members (server and peer), the API server's client, the operator's |
//! | front-proxy | the API server as a client of aggregated API servers               |
//! | kubelet     | kubelets' certificates, by the controller manager, on the replicas |
//!
//! The service-account key pair signs tokens and is the same on all replicas. One more key pair, for
//! nothing but ssh, lets hakube log in on machines; it never leaves the store.
//!
//! No private key of an authority leaves the store, with one exception that Kubernetes can't do
//! without: the controller manager signs kubelets' certificates. It gets an authority of its own for
//! that, so a stolen replica can't sign for etcd or impersonate the API server with it. API servers do
//! accept its client certificates, whatever name they bear: lose a replica's disk, replace the
//! kubelet authority.
//!
//! Everything here is a function of its arguments, but for the keys themselves, which come from the
//! operating system's random generator through ring.

mod authority;
mod bootstrap;
mod error;
mod leaf;
mod leaves;
mod login;
mod operator;
mod replica;
mod secret;
mod validity;

#[cfg(test)]
mod tests;

pub use authority::{Authorities, AuthorityDocuments, Signer};
pub use error::PkiError;
pub use leaves::{LEAVES, LeafFile};
pub use login::LoginKey;
pub use operator::{ClientIdentity, admin, etcd_client_identity};
pub use replica::{NodeFiles, ReplicaIdentity, SecretFile, replica_files};
pub use secret::Secret;
pub use validity::{Lifetimes, expiry, life};

/// Result of this module.
pub type Result<T, E = PkiError> = std::result::Result<T, E>;
