//! The key that API servers encrypt Secrets with before etcd stores them.

use base64::Engine as _;
use hakube_secret::Secret;

use super::{PkiError, Result};

/// A key for XSalsa20 and Poly1305: 32 random bytes. `Debug` doesn't show it.
#[derive(Debug, Clone)]
pub struct EncryptionKey {
    /// Base64, as API servers read it.
    pub(super) encoded: Secret,
}

impl EncryptionKey {
    /// Generates a random key.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn generate() -> Result<Self> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        let provider = rustls::crypto::ring::default_provider();
        let filled = provider.secure_random.fill(key.as_mut());
        filled.map_err(|_| PkiError::Random)?;
        let encoded = base64::engine::general_purpose::STANDARD.encode(key.as_ref());
        let encoded = Secret::new(encoded);
        Ok(Self { encoded })
    }

    /// The API server's configuration. It encrypts what it writes, and also reads what isn't encrypted.
    /// <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/>
    pub(super) fn configuration(&self) -> Secret {
        Secret::new(format!(
            "apiVersion: apiserver.config.k8s.io/v1\n\
             kind: EncryptionConfiguration\n\
             resources:\n\
             - resources: [secrets]\n  \
               providers:\n  \
               - secretbox:\n      \
                   keys:\n      \
                   - name: hakube\n        \
                     secret: {}\n  \
               - identity: {{}}\n",
            self.encoded.expose()
        ))
    }
}
