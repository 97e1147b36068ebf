//! The CAs of a cluster.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Result;
use super::authority::{Authority, AuthorityDocuments, Signer, key_name, parse_key};
use super::encryption::EncryptionKey;
use super::generation::Generation;
use super::login::LoginKey;
use super::trusted::{Bundles, Other};
use hakube_model::Lifetimes;
use hakube_secret::Secret;

const LOGIN: &str = "ssh-login";
const ENCRYPTION: &str = "encryption";
const RETIRED: &str = "retired-service-account.pub";

/// The CAs of a cluster and its service account key. `Debug` shows no key.
///
/// During a rotation there are two generations: one signs, and both are trusted.
#[derive(Debug)]
pub struct Authorities {
    /// The generation that signs.
    pub(super) now: Generation,
    /// The other generation that is trusted.
    pub(super) other: Option<Other>,
    /// The public key of service account tokens from before the last rotation, accepted until the next one.
    pub(super) retired_service_account: Option<String>,
    pub(super) bundles: Bundles,
    pub(super) lasting: LastingKeys,
}

/// The keys that a rotation of the CAs doesn't change.
#[derive(Debug, Default)]
pub(super) struct LastingKeys {
    pub(super) login: Option<LoginKey>,
    pub(super) encryption: Option<EncryptionKey>,
}

impl Authorities {
    /// Generates CAs with new keys (ECDSA P-256), valid from `now`.
    pub fn generate(lifetimes: Lifetimes, now: Timestamp) -> Result<Self> {
        let lasting = LastingKeys {
            login: Some(LoginKey::generate()?),
            encryption: None,
        };
        let generation = Generation::generate("", lifetimes, now)?;
        Ok(Self::of(generation, None, None, lasting))
    }

    /// Adds a random key that API servers encrypt Secrets with.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn with_encryption(mut self) -> Result<Self> {
        self.lasting.encryption = Some(EncryptionKey::generate()?);
        Ok(self)
    }

    pub(super) fn of(
        now: Generation,
        other: Option<Other>,
        retired_service_account: Option<String>,
        lasting: LastingKeys,
    ) -> Self {
        let bundles = Bundles::of(&now, other.as_ref());
        Self {
            now,
            other,
            retired_service_account,
            bundles,
            lasting,
        }
    }

    /// Converts the CAs to documents, including private keys.
    pub fn to_documents(&self) -> AuthorityDocuments {
        let mut documents = BTreeMap::new();
        self.now.write("", &mut documents);
        if let Some(other) = &self.other {
            other.generation().write(other.prefix(), &mut documents);
        }
        let retired = self.retired_service_account.iter();
        documents.extend(retired.map(|pem| (RETIRED.to_owned(), Secret::new(pem.clone()))));
        let login = self.lasting.login.iter();
        documents.extend(login.map(|login| (key_name(LOGIN), login.private.clone())));
        let encryption = self.lasting.encryption.iter();
        documents.extend(encryption.map(|key| (key_name(ENCRYPTION), key.encoded.clone())));
        AuthorityDocuments(documents)
    }

    /// Restores the CAs from the documents of [`Self::to_documents`].
    pub fn from_documents(documents: &AuthorityDocuments) -> Result<Self> {
        let login = documents.0.get(&key_name(LOGIN));
        let login = login.map(|key| Ok(LoginKey::new(&parse_key(&key_name(LOGIN), key)?)));
        let lasting = LastingKeys {
            login: login.transpose()?,
            encryption: documents
                .0
                .get(&key_name(ENCRYPTION))
                .map(|encoded| EncryptionKey {
                    encoded: encoded.clone(),
                }),
        };
        let retired = documents.0.get(RETIRED);
        Ok(Self::of(
            Generation::read("", documents)?,
            Other::read(documents)?,
            retired.map(|pem| pem.expose().to_owned()),
            lasting,
        ))
    }

    /// The certificates that verify API servers (PEM): one, or two during a rotation.
    pub fn kubernetes_ca(&self) -> &str {
        &self.bundles.kubernetes
    }

    /// The certificates that verify kubelets as servers (PEM).
    pub fn kubelet_ca(&self) -> &str {
        &self.bundles.kubelet
    }

    /// The certificates that verify etcd members and their clients (PEM).
    pub fn etcd_ca(&self) -> &str {
        &self.bundles.etcd
    }

    /// A CA's own certificate (PEM).
    pub fn certificate_of(&self, signer: Signer) -> &str {
        &self.authority(signer).certificate
    }

    /// When a CA's own certificate expires, and with it all that it signed.
    pub fn end_of(&self, signer: Signer) -> Timestamp {
        self.authority(signer).expires
    }

    fn authority(&self, signer: Signer) -> &Authority {
        self.now.authority(signer)
    }

    /// The key for hakube's logins on the cluster's machines. Clusters from before it existed have
    /// none, and no machine that needs one.
    pub fn login(&self) -> Option<&LoginKey> {
        self.lasting.login.as_ref()
    }

    /// The certificates with which API servers and kubelets verify their clients (PEM bundle): the
    /// kubernetes CA's and the kubelet CA's.
    pub fn client_ca_bundle(&self) -> String {
        format!("{}{}", self.bundles.kubernetes, self.bundles.kubelet)
    }
}
