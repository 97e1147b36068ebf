//! The key pair for hakube's ssh logins on machines.

use base64::Engine as _;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _};

use super::{PkiError, Result};
use hakube_secret::Secret;

/// Its name in the ssh protocol (RFC 8709).
const ALGORITHM: &str = "ssh-ed25519";

/// An Ed25519 key pair for ssh. `Debug` shows no key.
#[derive(Debug, Clone)]
pub struct LoginKey {
    /// PKCS #8, PEM.
    pub private: Secret,
    /// The public key as one line in OpenSSH's format, without a comment.
    pub public: String,
}

impl LoginKey {
    pub(super) fn generate() -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(|source| PkiError::Make {
            what: "the ssh login key".into(),
            source,
        })?;
        Ok(Self::new(&key))
    }

    pub(super) fn new(key: &KeyPair) -> Self {
        Self {
            private: Secret::new(key.serialize_pem()),
            public: public_line(key.der_bytes()),
        }
    }
}

/// The line for `authorized_keys` and metadata. RFC 8709: the algorithm's name and the key, each
/// preceded by its length as four bytes.
fn public_line(key: &[u8]) -> String {
    let mut blob = Vec::new();
    for part in [ALGORITHM.as_bytes(), key] {
        // The name has 11 bytes and the key 32.
        blob.extend(u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
        blob.extend(part);
    }
    let encoded = base64::engine::general_purpose::STANDARD.encode(blob);
    format!("{ALGORITHM} {encoded}")
}
