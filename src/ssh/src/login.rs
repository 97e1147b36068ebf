//! Who logs in, and by what.

use russh::keys::PrivateKey;
use std::path::Path;
use std::sync::Arc;

/// Who logs in, and by what.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// What proves it.
    pub key: Key,
}

/// What proves a user.
#[derive(Clone)]
pub enum Key {
    /// A private key.
    Private(Arc<PrivateKey>),
    /// The keys of the ssh agent that the environment names (SSH_AUTH_SOCK).
    Agent,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Private(_) => "Private(..)",
            Self::Agent => "Agent",
        })
    }
}

impl Key {
    /// A private key from its text, in OpenSSH's format.
    ///
    /// # Errors
    /// In words: it isn't one, or it is encrypted.
    pub fn parse(text: &str) -> Result<Self, String> {
        match russh::keys::decode_secret_key(text, None) {
            Ok(key) => Ok(Self::Private(Arc::new(key))),
            Err(russh::keys::Error::KeyIsEncrypted) => Err(
                "it is encrypted: add it to your ssh agent (ssh-add) and set `agent: true`"
                    .to_owned(),
            ),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A private key from its file.
    ///
    /// # Errors
    /// In words: the file can't be read, or holds no key that can be used.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        Self::parse(&text)
    }
}
