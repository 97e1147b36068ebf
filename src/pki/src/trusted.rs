//! What is trusted: the generation that signs, and another one during a rotation.

use super::Result;
use super::authority::{AuthorityDocuments, Signer};
use super::generation::Generation;

const NEXT: &str = "next-";
const PREVIOUS: &str = "previous-";

/// The generation that is trusted in addition to the one that signs.
#[derive(Debug)]
pub(super) enum Other {
    /// It will sign.
    Next(Box<Generation>),
    /// It signed before.
    Previous(Box<Generation>),
}

impl Other {
    pub fn read(documents: &AuthorityDocuments) -> Result<Option<Self>> {
        let read = |prefix| Generation::read(prefix, documents).map(Box::new);
        Ok(if Generation::is_in(NEXT, documents) {
            Some(Self::Next(read(NEXT)?))
        } else if Generation::is_in(PREVIOUS, documents) {
            Some(Self::Previous(read(PREVIOUS)?))
        } else {
            None
        })
    }

    pub fn generation(&self) -> &Generation {
        match self {
            Self::Next(generation) | Self::Previous(generation) => generation,
        }
    }

    pub fn prefix(&self) -> &'static str {
        match self {
            Self::Next(_) => NEXT,
            Self::Previous(_) => PREVIOUS,
        }
    }
}

/// The certificates (PEM) for each kind of verification.
#[derive(Debug)]
pub(super) struct Bundles {
    pub kubernetes: String,
    pub etcd: String,
    pub front_proxy: String,
    pub kubelet: String,
}

impl Bundles {
    /// The signing CA's certificate comes first.
    pub fn of(now: &Generation, other: Option<&Other>) -> Self {
        let bundle = |signer: Signer| {
            let other = other.map(|other| other.generation().authority(signer));
            let other = other.map_or("", |authority| authority.certificate.as_str());
            format!("{}{other}", now.authority(signer).certificate)
        };
        Self {
            kubernetes: bundle(Signer::Kubernetes),
            etcd: bundle(Signer::Etcd),
            front_proxy: bundle(Signer::FrontProxy),
            kubelet: bundle(Signer::Kubelet),
        }
    }
}
