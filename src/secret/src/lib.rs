//! Secret text: private keys, and files that contain them.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Secret text. Wiped when dropped, and never shown by `Debug`; there is no `Display`.
///
/// It serialises in full, since the state store and the machines need it. Serialised secrets must
/// be written to a file of mode 0600 or sent over an authenticated channel.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of the text; the caller must keep no copy.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. The name lets reviewers find every use of a secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A file for a machine.
#[derive(Debug, Clone)]
pub struct SecretFile {
    /// The absolute path on the machine.
    pub path: String,
    /// Permission bits: 0600 for keys and files with keys, 0644 for certificates.
    pub mode: u32,
    /// The content.
    pub content: Secret,
}
