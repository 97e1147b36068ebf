//! The key pair by which hakube logs in on machines over ssh.

use base64::Engine as _;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _};

use super::{PkiError, Result, Secret};

/// Its name in ssh's protocol (RFC 8709).
const ALGORITHM: &str = "ssh-ed25519";

/// An Ed25519 key pair for ssh. `Debug` shows no key.
#[derive(Debug, Clone)]
pub struct LoginKey {
    /// PKCS #8, PEM.
    pub private: Secret,
    /// As OpenSSH writes it on one line, without a comment.
    pub public: String,
}

impl LoginKey {
    pub(super) fn generate() -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(|source| PkiError::Make {
            what: "the key that logs in on machines".into(),
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

/// The line that `authorized_keys` and metadata take. RFC 8709: the algorithm's name and the key, each
/// behind its length as four bytes.
fn public_line(key: &[u8]) -> String {
    let mut blob = Vec::new();
    for part in [ALGORITHM.as_bytes(), key] {
        // A name of 11 bytes and a key of 32.
        blob.extend(u32::try_from(part.len()).unwrap_or_default().to_be_bytes());
        blob.extend(part);
    }
    let encoded = base64::engine::general_purpose::STANDARD.encode(blob);
    format!("{ALGORITHM} {encoded}")
}
