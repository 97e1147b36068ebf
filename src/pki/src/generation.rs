//! What is generated and replaced together: the CAs, and the key that signs service account tokens.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Result;
use super::authority::{
    Authority, AuthorityDocuments, ServiceAccountKey, Signer, certificate_name, key_name, new_key,
    parse_key,
};
use super::validity::Validity;
use hakube_model::Lifetimes;
use hakube_secret::Secret;

const SERVICE_ACCOUNT: &str = "service-account";

/// CAs, and the key that signs service account tokens.
#[derive(Debug)]
pub(super) struct Generation {
    pub kubernetes: Authority,
    pub etcd: Authority,
    pub front_proxy: Authority,
    pub kubelet: Authority,
    pub service_account: ServiceAccountKey,
}

impl Generation {
    /// Generates a generation. `mark` distinguishes its names from earlier ones.
    pub fn generate(mark: &str, lifetimes: Lifetimes, now: Timestamp) -> Result<Self> {
        let validity = Validity::starting(now, lifetimes.ca_days)?;
        let authority = |signer: Signer| Authority::generate(signer.name(), mark, validity);
        Ok(Self {
            kubernetes: authority(Signer::Kubernetes)?,
            etcd: authority(Signer::Etcd)?,
            front_proxy: authority(Signer::FrontProxy)?,
            kubelet: authority(Signer::Kubelet)?,
            service_account: ServiceAccountKey::new(new_key(SERVICE_ACCOUNT)?),
        })
    }

    /// Reads it from documents with this prefix.
    pub fn read(prefix: &str, documents: &AuthorityDocuments) -> Result<Self> {
        let authority =
            |signer: Signer| Authority::from_documents(prefix, signer.name(), documents);
        let name = key_name(&format!("{prefix}{SERVICE_ACCOUNT}"));
        let key = documents.get(name.clone())?;
        Ok(Self {
            kubernetes: authority(Signer::Kubernetes)?,
            etcd: authority(Signer::Etcd)?,
            front_proxy: authority(Signer::FrontProxy)?,
            kubelet: authority(Signer::Kubelet)?,
            service_account: ServiceAccountKey::new(parse_key(&name, key)?),
        })
    }

    /// Whether there are documents with this prefix.
    pub fn is_in(prefix: &str, documents: &AuthorityDocuments) -> bool {
        let name = certificate_name(&format!("{prefix}{}", Signer::Kubernetes.name()));
        documents.0.contains_key(&name)
    }

    /// Writes it as documents with this prefix.
    pub fn write(&self, prefix: &str, documents: &mut BTreeMap<String, Secret>) {
        for signer in Signer::ALL {
            let name = format!("{prefix}{}", signer.name());
            let authority = self.authority(signer);
            let certificate = Secret::new(authority.certificate.clone());
            documents.insert(certificate_name(&name), certificate);
            documents.insert(key_name(&name), authority.key.clone());
        }
        let name = format!("{prefix}{SERVICE_ACCOUNT}");
        documents.insert(key_name(&name), self.service_account.private.clone());
    }

    pub fn authority(&self, signer: Signer) -> &Authority {
        match signer {
            Signer::Kubernetes => &self.kubernetes,
            Signer::Etcd => &self.etcd,
            Signer::FrontProxy => &self.front_proxy,
            Signer::Kubelet => &self.kubelet,
        }
    }
}
