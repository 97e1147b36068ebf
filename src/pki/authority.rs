//! The authorities of one cluster, and the documents that they are kept as.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use serde::{Deserialize, Serialize};

use super::leaf::{Issued, Leaf};
use super::login::LoginKey;
use super::validity::Validity;
use super::{Lifetimes, PkiError, Result, Secret, expiry};

const KUBERNETES: &str = "kubernetes-ca";
const ETCD: &str = "etcd-ca";
const FRONT_PROXY: &str = "front-proxy-ca";
const KUBELET: &str = "kubelet-ca";
const SERVICE_ACCOUNT: &str = "service-account";
const LOGIN: &str = "ssh-login";

/// An authority that signs certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer {
    /// Of the API server and its clients.
    Kubernetes,
    /// Of etcd's members and their clients.
    Etcd,
    /// Of the API server as a client of aggregated API servers.
    FrontProxy,
    /// Of kubelets.
    Kubelet,
}

impl Signer {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Kubernetes,
        Self::Etcd,
        Self::FrontProxy,
        Self::Kubelet,
    ];

    /// Its name in the store and in its certificate.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => KUBERNETES,
            Self::Etcd => ETCD,
            Self::FrontProxy => FRONT_PROXY,
            Self::Kubelet => KUBELET,
        }
    }
}

/// The authorities as PEM documents by name (`etcd-ca.crt`, `etcd-ca.key`, …): what the state store
/// keeps as `pki.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthorityDocuments(pub(super) BTreeMap<String, Secret>);

impl AuthorityDocuments {
    fn get(&self, name: String) -> Result<&Secret> {
        self.0.get(&name).ok_or(PkiError::Missing { name })
    }
}

/// The authorities of one cluster and its service-account key. `Debug` shows no key.
#[derive(Debug)]
pub struct Authorities {
    pub(super) kubernetes: Authority,
    pub(super) etcd: Authority,
    pub(super) front_proxy: Authority,
    pub(super) kubelet: Authority,
    pub(super) service_account: ServiceAccountKey,
    login: Option<LoginKey>,
}

impl Authorities {
    /// New authorities with new keys (ECDSA P-256), valid from `now`.
    pub fn generate(lifetimes: Lifetimes, now: Timestamp) -> Result<Self> {
        let validity = Validity::starting(now, lifetimes.ca_days)?;
        Ok(Self {
            kubernetes: Authority::generate(KUBERNETES, validity)?,
            etcd: Authority::generate(ETCD, validity)?,
            front_proxy: Authority::generate(FRONT_PROXY, validity)?,
            kubelet: Authority::generate(KUBELET, validity)?,
            service_account: ServiceAccountKey::new(new_key(SERVICE_ACCOUNT)?),
            login: Some(LoginKey::generate()?),
        })
    }

    /// The authorities as documents, private keys included.
    pub fn to_documents(&self) -> AuthorityDocuments {
        let authorities = [
            &self.kubernetes,
            &self.etcd,
            &self.front_proxy,
            &self.kubelet,
        ];
        let documents = authorities
            .into_iter()
            .flat_map(|authority| {
                [
                    (
                        certificate_name(authority.name),
                        Secret::new(authority.certificate.clone()),
                    ),
                    (key_name(authority.name), authority.key.clone()),
                ]
            })
            .chain([(
                key_name(SERVICE_ACCOUNT),
                self.service_account.private.clone(),
            )])
            .chain(
                self.login
                    .iter()
                    .map(|login| (key_name(LOGIN), login.private.clone())),
            )
            .collect();
        AuthorityDocuments(documents)
    }

    /// The authorities from the documents that [`Self::to_documents`] made.
    pub fn from_documents(documents: &AuthorityDocuments) -> Result<Self> {
        let key = documents.get(key_name(SERVICE_ACCOUNT))?;
        Ok(Self {
            kubernetes: Authority::from_documents(KUBERNETES, documents)?,
            etcd: Authority::from_documents(ETCD, documents)?,
            front_proxy: Authority::from_documents(FRONT_PROXY, documents)?,
            kubelet: Authority::from_documents(KUBELET, documents)?,
            service_account: ServiceAccountKey::new(parse_key(&key_name(SERVICE_ACCOUNT), key)?),
            login: documents
                .0
                .get(&key_name(LOGIN))
                .map(|key| Ok(LoginKey::new(&parse_key(&key_name(LOGIN), key)?)))
                .transpose()?,
        })
    }

    /// The certificate that API servers are verified with (PEM).
    pub fn kubernetes_ca(&self) -> &str {
        &self.kubernetes.certificate
    }

    /// The certificate that what kubelets serve with is verified with (PEM).
    pub fn kubelet_ca(&self) -> &str {
        &self.kubelet.certificate
    }

    /// The certificate that etcd members and their clients are verified with (PEM).
    pub fn etcd_ca(&self) -> &str {
        &self.etcd.certificate
    }

    /// An authority's own certificate (PEM).
    pub fn certificate_of(&self, signer: Signer) -> &str {
        &self.authority(signer).certificate
    }

    /// When an authority's own certificate ends, and with it all that it signed.
    pub fn end_of(&self, signer: Signer) -> Timestamp {
        self.authority(signer).expires
    }

    fn authority(&self, signer: Signer) -> &Authority {
        match signer {
            Signer::Kubernetes => &self.kubernetes,
            Signer::Etcd => &self.etcd,
            Signer::FrontProxy => &self.front_proxy,
            Signer::Kubelet => &self.kubelet,
        }
    }

    /// The key by which hakube logs in on the cluster's machines. Clusters that were made before there
    /// was one have none, and no machine that wants one.
    pub fn login(&self) -> Option<&LoginKey> {
        self.login.as_ref()
    }

    /// The certificates that API servers and kubelets verify their clients with (PEM bundle): the
    /// kubernetes authority's and the kubelet authority's.
    pub fn client_ca_bundle(&self) -> String {
        format!(
            "{}{}",
            self.kubernetes.certificate, self.kubelet.certificate
        )
    }
}

/// One certificate authority.
pub(super) struct Authority {
    name: &'static str,
    /// PEM.
    pub certificate: String,
    /// PKCS #8, PEM.
    pub key: Secret,
    expires: Timestamp,
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
    fn generate(name: &'static str, validity: Validity) -> Result<Self> {
        let mut params = CertificateParams::default();
        validity.apply(&mut params);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        // These sign leaves only: no intermediate may hang below them.
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

    fn from_documents(name: &'static str, documents: &AuthorityDocuments) -> Result<Self> {
        let certificate = documents.get(certificate_name(name))?.expose().to_owned();
        let key = parse_key(&key_name(name), documents.get(key_name(name))?)?;
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
        // Parsers don't look at an authority's own signature. A document that was damaged must not be spread.
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

    /// Signs a leaf with a key of its own, valid from `now` until its lifetime or the authority ends.
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

/// The key pair that signs service accounts' tokens.
#[derive(Debug)]
pub(super) struct ServiceAccountKey {
    /// PKCS #8, PEM.
    pub private: Secret,
    /// PKIX, PEM.
    pub public: String,
}

impl ServiceAccountKey {
    fn new(key: KeyPair) -> Self {
        Self {
            private: Secret::new(key.serialize_pem()),
            public: key.public_key_pem(),
        }
    }
}

fn certificate_name(authority: &str) -> String {
    format!("{authority}.crt")
}

fn key_name(owner: &str) -> String {
    format!("{owner}.key")
}

fn parse_key(name: &str, pem: &Secret) -> Result<KeyPair> {
    KeyPair::from_pem(pem.expose()).map_err(|e| PkiError::Malformed {
        name: name.into(),
        expected: "a PKCS #8 private key in PEM",
        reason: e.to_string(),
    })
}

fn new_key(owner: &str) -> Result<KeyPair> {
    KeyPair::generate().map_err(|source| PkiError::Make {
        what: format!("the key of `{owner}`"),
        source,
    })
}
