//! Rotation of CAs: new CAs are generated while the old ones sign, then all trust them, then they
//! sign, and finally they are the only ones.
//!
//! The documents themselves record the stage, so that each step is one atomic write.

use std::fmt::Write as _;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::Result;
use super::authorities::Authorities;
use super::generation::Generation;
use super::trusted::Other;
use hakube_model::Lifetimes;

/// The stage of a rotation, as recorded with the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// There is one generation.
    Settled,
    /// The next one exists, and is to be trusted.
    Trusting,
    /// The next one signs, and the previous one is still trusted.
    Signing,
}

impl Authorities {
    /// The stage of the rotation.
    pub fn stage(&self) -> Stage {
        match self.other {
            None => Stage::Settled,
            Some(Other::Next(_)) => Stage::Trusting,
            Some(Other::Previous(_)) => Stage::Signing,
        }
    }

    /// Adds new CAs to be trusted. Their names include the second in which they were generated.
    ///
    /// # Errors
    /// A key can't be generated.
    pub fn with_next(self, lifetimes: Lifetimes, now: Timestamp) -> Result<Authorities> {
        let mark = format!("-{}", now.as_second());
        let next = Generation::generate(&mark, lifetimes, now)?;
        Ok(self.rebuilt(Some(Other::Next(Box::new(next)))))
    }

    /// Makes the next CAs sign; the previous ones are still trusted.
    pub fn signing_with_next(mut self) -> Authorities {
        match self.other.take() {
            Some(Other::Next(next)) => {
                let previous = std::mem::replace(&mut self.now, *next);
                self.rebuilt(Some(Other::Previous(Box::new(previous))))
            }
            other => self.rebuilt(other),
        }
    }

    /// Trusts only the signing CAs. Service account tokens signed before are still accepted: pods
    /// use them for an hour, some for longer.
    pub fn without_previous(mut self) -> Authorities {
        if let Some(Other::Previous(previous)) = self.other.take() {
            self.retired_service_account = Some(previous.service_account.public.clone());
        }
        self.rebuilt(None)
    }

    /// Drops the next CAs.
    pub fn without_next(mut self) -> Authorities {
        let other = self.other.take();
        self.rebuilt(other.filter(|other| matches!(other, Other::Previous(_))))
    }

    fn rebuilt(self, other: Option<Other>) -> Authorities {
        let Self {
            now,
            retired_service_account,
            lasting,
            ..
        } = self;
        Self::of(now, other, retired_service_account, lasting)
    }

    /// The public keys that verify service account tokens (PEM).
    pub(super) fn service_account_keys(&self) -> String {
        let other = self.other.as_ref();
        let other = other.map(|other| &other.generation().service_account.public);
        let all = [
            Some(&self.now.service_account.public),
            other,
            self.retired_service_account.as_ref(),
        ];
        all.into_iter().flatten().map(String::as_str).collect()
    }

    /// The digest, if they aren't the cluster's first CAs, or are being rotated.
    pub fn changed_mark(&self) -> Option<String> {
        let is_first = self.other.is_none() && self.retired_service_account.is_none();
        (!is_first).then(|| self.mark())
    }

    /// A digest of the signing and trusted CAs. It differs whenever their files do.
    pub fn mark(&self) -> String {
        let mut hash = Sha256::new();
        for text in [
            &self.bundles.kubernetes,
            &self.bundles.etcd,
            &self.bundles.front_proxy,
            &self.bundles.kubelet,
            &self.service_account_keys(),
        ] {
            hash.update(text);
            hash.update([0]);
        }
        let mut mark = String::new();
        for byte in hash.finalize().iter().take(8) {
            // Writing to a string can't fail.
            let _ = write!(mark, "{byte:02x}");
        }
        mark
    }
}
