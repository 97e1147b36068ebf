//! Logins: a user with credentials.

use russh::keys::PrivateKey;
use std::path::Path;
use std::sync::Arc;

/// A login.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// Its credentials.
    pub key: Key,
}

/// A user's credentials.
#[derive(Clone)]
pub enum Key {
    /// A private key.
    Private(Arc<PrivateKey>),
    /// The keys of the ssh agent in SSH_AUTH_SOCK.
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
    /// Parses a private key in OpenSSH's format.
    ///
    /// # Errors
    /// A message: it isn't a key, or it is encrypted.
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

    /// Reads a private key from a file.
    ///
    /// # Errors
    /// A message: the file is unreadable, or has no usable key.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = hakube_input::read_text(file, hakube_input::SMALL)
            .map_err(|error| error.to_string())?;
        Self::parse(&text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use russh::keys::Algorithm;
    use russh::keys::key::safe_rng;
    use russh::keys::ssh_key::LineEnding;

    fn new() -> PrivateKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
    }

    #[test]
    fn a_key_is_read_from_a_file_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = new().to_openssh(LineEnding::LF).unwrap();
        std::fs::write(file.path(), text.as_bytes()).unwrap();
        let key = Key::read(file.path()).unwrap();
        assert_eq!(format!("{key:?}"), "Private(..)");
    }

    #[test]
    fn an_encrypted_key_needs_the_agent() {
        let key = new().encrypt(&mut safe_rng(), "secret").unwrap();
        let text = key.to_openssh(LineEnding::LF).unwrap();
        let why = Key::parse(&text).unwrap_err();
        assert!(
            why.contains("ssh-add") && why.contains("agent: true"),
            "{why}"
        );
    }

    #[test]
    fn invalid_keys_are_reported() {
        assert!(Key::parse("ssh-ed25519 AAAA").is_err());
        assert!(
            Key::read("/nowhere/id".as_ref())
                .unwrap_err()
                .contains("No such file")
        );
    }
}
