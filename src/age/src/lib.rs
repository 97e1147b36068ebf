//! Encrypts files in the age format, version 1 (<https://c2sp.org/age>), to public keys or a
//! passphrase, with armor. Compatible with the `age` program.
//!
//! The ciphers come from other crates; this crate combines them as age does. Unlike the crate
//! `age`, it has no support for ssh keys, plugins or localization.

mod armor;
mod header;
mod keys;
mod payload;

#[cfg(test)]
mod tests;

pub use keys::{Identity, Recipient, identities};

use header::{FileKey, Header, Stanza};
use rand::TryRngCore as _;
use zeroize::Zeroizing;

/// Why encryption or decryption failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It isn't in this format.
    #[error("it isn't in age's format: {0}")]
    Format(&'static str),
    /// It is damaged or was tampered with.
    #[error("it was damaged or changed: {0}")]
    Damaged(&'static str),
    /// Decryption would take longer than allowed.
    #[error("its passphrase needs a work factor of {asked}, but the maximum is {most}")]
    TooMuchWork {
        /// The required work factor, as a power of two.
        asked: u8,
        /// The maximum allowed.
        most: u8,
    },
    /// Encryption failed.
    #[error("could not encrypt: {0}")]
    Encrypt(&'static str),
}

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to encrypt to.
#[derive(Debug)]
pub enum To<'a> {
    /// Public keys: each of them can decrypt it.
    Recipients(&'a [Recipient]),
    /// A passphrase.
    Passphrase {
        /// The passphrase.
        text: &'a str,
        /// scrypt's cost, as a power of two.
        work: u8,
    },
}

/// Encrypts, with armor.
///
/// # Errors
/// There are no recipients, no randomness, or scrypt doesn't accept the cost.
pub fn encrypt(to: &To<'_>, plain: &[u8]) -> Result<String> {
    let key = FileKey::random()?;
    let stanzas = match to {
        To::Recipients([]) => return Err(Error::Encrypt("there are no recipients")),
        To::Recipients(recipients) => recipients
            .iter()
            .map(|recipient| recipient.wrap(&key))
            .collect::<Result<_>>()?,
        To::Passphrase { text, work } => vec![keys::wrap_by_passphrase(text, *work, &key)?],
    };
    let mut file = Header::new(stanzas).render(&key)?;
    payload::encrypt(&key, plain, &mut file)?;
    Ok(armor::wrap(&file))
}

/// An encrypted file.
#[derive(Debug)]
pub struct Sealed {
    header: Header,
    payload: Vec<u8>,
}

impl Sealed {
    /// Parses it, with its armor.
    ///
    /// # Errors
    /// It isn't in this format.
    pub fn parse(text: &str) -> Result<Self> {
        let file = armor::unwrap(text)?;
        let (header, payload) = Header::parse(&file)?;
        Ok(Self {
            header,
            payload: payload.to_vec(),
        })
    }

    /// Whether it is encrypted to a passphrase.
    pub fn is_by_passphrase(&self) -> bool {
        self.header.stanzas.iter().any(Stanza::is_by_passphrase)
    }

    /// Decrypts it with this key; `None` if it is for other keys.
    ///
    /// # Errors
    /// It is damaged.
    pub fn open(&self, identity: &Identity) -> Result<Option<Zeroizing<Vec<u8>>>> {
        for stanza in &self.header.stanzas {
            if let Some(key) = identity.unwrap(stanza)? {
                return self.open_with(&key).map(Some);
            }
        }
        Ok(None)
    }

    /// Decrypts it with this passphrase; `None` if it is the wrong one. Does at most `most` (a
    /// power of two) of work.
    ///
    /// # Errors
    /// It is damaged, or needs too much work.
    pub fn open_by_passphrase(&self, text: &str, most: u8) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let [stanza] = self.header.stanzas.as_slice() else {
            return Err(Error::Format(
                "it has other recipients next to a passphrase",
            ));
        };
        match keys::unwrap_by_passphrase(stanza, text, most)? {
            Some(key) => self.open_with(&key).map(Some),
            None => Ok(None),
        }
    }

    fn open_with(&self, key: &FileKey) -> Result<Zeroizing<Vec<u8>>> {
        self.header.verify(key)?;
        payload::decrypt(key, &self.payload)
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::rngs::OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| Error::Encrypt("the operating system has no randomness"))?;
    Ok(bytes)
}
