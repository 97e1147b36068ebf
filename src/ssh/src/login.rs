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
    fn a_key_is_read_from_its_file_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = new().to_openssh(LineEnding::LF).unwrap();
        std::fs::write(file.path(), text.as_bytes()).unwrap();
        let key = Key::read(file.path()).unwrap();
        assert_eq!(format!("{key:?}"), "Private(..)");
    }

    #[test]
    fn an_encrypted_key_is_the_agents_business() {
        let key = new().encrypt(&mut safe_rng(), "secret").unwrap();
        let text = key.to_openssh(LineEnding::LF).unwrap();
        let why = Key::parse(&text).unwrap_err();
        assert!(
            why.contains("ssh-add") && why.contains("agent: true"),
            "{why}"
        );
    }

    #[test]
    fn what_is_no_key_is_told_of() {
        assert!(Key::parse("ssh-ed25519 AAAA").is_err());
        assert!(
            Key::read("/nowhere/id".as_ref())
                .unwrap_err()
                .contains("No such file")
        );
    }
}
