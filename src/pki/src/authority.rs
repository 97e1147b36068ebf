//! One CA, and its stored documents.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use serde::{Deserialize, Serialize};

use super::leaf::{Issued, Leaf};
use super::validity::Validity;
use super::{PkiError, Result, expiry};
use hakube_model::Lifetimes;
use hakube_secret::Secret;

/// A CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// For the API server and its clients.
    Kubernetes,
    /// For etcd's members and their clients.
    Etcd,
    /// For the API server as a client of aggregated API servers.
    FrontProxy,
    /// For kubelets.
    Kubelet,
}

impl Signer {
    /// All CAs.
    pub const ALL: [Self; 4] = [
        Self::Kubernetes,
        Self::Etcd,
        Self::FrontProxy,
        Self::Kubelet,
    ];

    /// Its name in the store and in its certificate.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes-ca",
            Self::Etcd => "etcd-ca",
            Self::FrontProxy => "front-proxy-ca",
            Self::Kubelet => "kubelet-ca",
        }
    }
}

/// The CAs as PEM documents by name (`etcd-ca.crt`, `etcd-ca.key`, …), stored as `pki.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthorityDocuments(pub(super) BTreeMap<String, Secret>);

impl AuthorityDocuments {
    pub(super) fn get(&self, name: String) -> Result<&Secret> {
        self.0.get(&name).ok_or(PkiError::Missing { name })
    }
}

/// A certificate authority.
pub(super) struct Authority {
    /// The name of its documents.
    name: &'static str,
    /// PEM.
    pub certificate: String,
    /// PKCS #8, PEM.
    pub key: Secret,
    pub expires: Timestamp,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("name", &self.name)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// `mark` distinguishes its certificate from earlier ones.
    pub fn generate(name: &'static str, mark: &str, validity: Validity) -> Result<Self> {
        let mut params = CertificateParams::default();
        validity.apply(&mut params);
        params.distinguished_name = rcgen::DistinguishedName::new();
        let common_name = format!("{name}{mark}");
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        // It signs leaves only: intermediates are not allowed.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        let key = new_key(name)?;
        let certificate = params.self_signed(&key).map_err(|source| PkiError::Make {
            what: format!("the certificate of `{name}`"),
            source,
        })?;
        Self::new(name, certificate.pem(), key)
    }

    pub fn from_documents(
        prefix: &str,
        name: &'static str,
        documents: &AuthorityDocuments,
    ) -> Result<Self> {
        let document = format!("{prefix}{name}");
        let certificate = documents.get(certificate_name(&document))?;
        let certificate = certificate.expose().to_owned();
        let key = key_name(&document);
        let key = parse_key(&key, documents.get(key.clone())?)?;
        Self::new(name, certificate, key)
    }

    fn new(name: &'static str, certificate: String, key: KeyPair) -> Result<Self> {
        let malformed = |reason: String| PkiError::Malformed {
            name: certificate_name(name),
            expected: "a PEM certificate",
            reason,
        };
        let (_, block) = x509_parser::pem::parse_x509_pem(certificate.as_bytes())
            .map_err(|e| malformed(e.to_string()))?;
        let parsed = block.parse_x509().map_err(|e| malformed(e.to_string()))?;
        // Parsers don't verify a CA's own signature. A damaged document must not be distributed.
        if block.label != "CERTIFICATE" || parsed.verify_signature(None).is_err() {
            return Err(PkiError::Damaged { name: name.into() });
        }
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(PkiError::Mismatch { name: name.into() });
        }
        let expires = expiry(&certificate)?;
        let pem = Secret::new(key.serialize_pem());
        let issuer = Issuer::from_ca_cert_pem(&certificate, key)
            .map_err(|source| malformed(source.to_string()))?;
        Ok(Self {
            name,
            certificate,
            key: pem,
            expires,
            issuer,
        })
    }

    /// Signs a leaf with a new key, valid from `now` until its lifetime or the CA ends.
    pub fn issue(&self, leaf: &Leaf<'_>, lifetimes: Lifetimes, now: Timestamp) -> Result<Issued> {
        if self.expires <= now {
            return Err(PkiError::Expired {
                name: self.name.into(),
                since: self.expires,
            });
        }
        let mut params = leaf.params();
        Validity::starting(now, lifetimes.leaf_days)?
            .within(self.expires)
            .apply(&mut params);
        let key = new_key(leaf.common_name)?;
        let certificate =
            params
                .signed_by(&key, &self.issuer)
                .map_err(|source| PkiError::Make {
                    what: format!("the certificate of `{}`", leaf.common_name),
                    source,
                })?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: Secret::new(key.serialize_pem()),
        })
    }
}

/// The key pair that signs service account tokens.
#[derive(Debug)]
pub(super) struct ServiceAccountKey {
    /// PKCS #8, PEM.
    pub private: Secret,
    /// PKIX, PEM.
    pub public: String,
}

impl ServiceAccountKey {
    pub fn new(key: KeyPair) -> Self {
        Self {
            private: Secret::new(key.serialize_pem()),
            public: key.public_key_pem(),
        }
    }
}

pub(super) fn certificate_name(authority: &str) -> String {
    format!("{authority}.crt")
}

pub(super) fn key_name(owner: &str) -> String {
    format!("{owner}.key")
}

pub(super) fn parse_key(name: &str, pem: &Secret) -> Result<KeyPair> {
    KeyPair::from_pem(pem.expose()).map_err(|e| PkiError::Malformed {
        name: name.into(),
        expected: "a PKCS #8 private key in PEM",
        reason: e.to_string(),
    })
}

pub(super) fn new_key(owner: &str) -> Result<KeyPair> {
    KeyPair::generate().map_err(|source| PkiError::Make {
        what: format!("the key of `{owner}`"),
        source,
    })
}
