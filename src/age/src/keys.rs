//! Keys: X25519 key pairs and passphrases.

use crate::header::{FileKey, Stanza, decode, derive, encode};
use crate::{Error, Result, random};
use bech32::{Bech32, Hrp};
use chacha20poly1305::aead::Aead as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce};
use std::fmt;
use std::str::FromStr;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

const KIND: &str = "X25519";
const INFO: &str = "age-encryption.org/v1/X25519";
const SCRYPT_SALT: &[u8] = b"age-encryption.org/v1/scrypt";
const PUBLIC: &str = "age";
const PRIVATE: &str = "age-secret-key-";

/// A public key, `age1…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient(PublicKey);

/// A private key, `AGE-SECRET-KEY-1…`. `Debug` shows no key.
pub struct Identity(StaticSecret);

impl Recipient {
    pub(crate) fn wrap(&self, key: &FileKey) -> Result<Stanza> {
        let ephemeral = StaticSecret::from(random::<32>()?);
        let share = PublicKey::from(&ephemeral);
        let shared = ephemeral.diffie_hellman(&self.0);
        if !shared.was_contributory() {
            return Err(Error::Encrypt("a recipient isn't a public key"));
        }
        let wrapping = wrapping_key(&shared, &share, &self.0)?;
        Ok(Stanza {
            kind: KIND.to_owned(),
            arguments: vec![encode(share.as_bytes())],
            body: wrap(&wrapping, key)?,
        })
    }
}

impl FromStr for Recipient {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = bech32(text, PUBLIC).ok_or("it isn't an age public key, age1…")?;
        Ok(Self(PublicKey::from(*bytes)))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = bech32::encode::<Bech32>(Hrp::parse_unchecked(PUBLIC), self.0.as_bytes());
        f.write_str(&encoded.map_err(|_| fmt::Error)?)
    }
}

impl Identity {
    /// Generates a key.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn generate() -> Result<Self> {
        random().map(|bytes: [u8; 32]| Self(StaticSecret::from(bytes)))
    }

    /// Returns its public key.
    pub fn to_public(&self) -> Recipient {
        Recipient(PublicKey::from(&self.0))
    }

    /// Returns its text, as in key files.
    pub fn expose(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(self.0.to_bytes());
        let hrp = Hrp::parse_unchecked(PRIVATE);
        let encoded = bech32::encode_upper::<Bech32>(hrp, bytes.as_slice());
        // 32 bytes always fit.
        Zeroizing::new(encoded.unwrap_or_default())
    }

    /// The file's key, if it is wrapped for this one.
    pub(crate) fn unwrap(&self, stanza: &Stanza) -> Result<Option<FileKey>> {
        if stanza.kind != KIND {
            return Ok(None);
        }
        let malformed = Error::Format("its header has an invalid share");
        let [share] = stanza.arguments.as_slice() else {
            return Err(malformed);
        };
        let share: [u8; 32] = decode(share)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(malformed.clone())?;
        let share = PublicKey::from(share);
        let shared = self.0.diffie_hellman(&share);
        if !shared.was_contributory() {
            return Err(malformed);
        }
        let wrapping = wrapping_key(&shared, &share, &PublicKey::from(&self.0))?;
        unwrap(&wrapping, &stanza.body)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

impl FromStr for Identity {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_upper = !text.chars().any(|c| c.is_ascii_lowercase());
        let bytes = bech32(text, PRIVATE).filter(|_| is_upper);
        let bytes = bytes.ok_or("it isn't an age private key, AGE-SECRET-KEY-1…")?;
        Ok(Self(StaticSecret::from(*bytes)))
    }
}

/// Parses the private keys in a file written by `age-keygen`: one a line, and comments.
///
/// # Errors
/// The number of the first other line, without its content.
pub fn identities(text: &str) -> Result<Vec<Identity>, String> {
    let lines = text.lines().enumerate();
    let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let parse = |(index, line): (usize, &str)| {
        line.trim_end()
            .parse()
            .map_err(|_| format!("line {} isn't an age private key", index + 1))
    };
    keys.map(parse).collect()
}

fn bech32(text: &str, prefix: &str) -> Option<Zeroizing<[u8; 32]>> {
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text).ok()?;
    if !checked.hrp().as_str().eq_ignore_ascii_case(prefix) {
        return None;
    }
    let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(checked.byte_iter().collect());
    bytes.as_slice().try_into().ok().map(Zeroizing::new)
}

fn wrapping_key(
    shared: &x25519_dalek::SharedSecret,
    share: &PublicKey,
    recipient: &PublicKey,
) -> Result<Zeroizing<[u8; 32]>> {
    let salt = [share.as_bytes().as_slice(), recipient.as_bytes()].concat();
    derive(shared.as_bytes(), &salt, INFO)
}

/// Wraps the file's key with a passphrase.
pub(crate) fn wrap_by_passphrase(text: &str, work: u8, key: &FileKey) -> Result<Stanza> {
    let salt: [u8; 16] = random()?;
    Ok(Stanza {
        kind: "scrypt".to_owned(),
        arguments: vec![encode(&salt), work.to_string()],
        body: wrap(&*stretched(text, &salt, work)?, key)?,
    })
}

pub(crate) fn unwrap_by_passphrase(
    stanza: &Stanza,
    text: &str,
    most: u8,
) -> Result<Option<FileKey>> {
    let malformed = Error::Format("its header has an invalid salt or work factor");
    let [salt, work] = stanza.arguments.as_slice() else {
        return Err(malformed);
    };
    let salt = decode(salt).filter(|salt| salt.len() == 16);
    let digits = !work.starts_with('0') && work.chars().all(|c| c.is_ascii_digit());
    let work: Option<u8> = work.parse().ok().filter(|_| digits);
    let (Some(salt), Some(work)) = (salt, work) else {
        return Err(malformed);
    };
    if work > most {
        return Err(Error::TooMuchWork { asked: work, most });
    }
    unwrap(&*stretched(text, &salt, work)?, &stanza.body)
}

fn stretched(text: &str, salt: &[u8], work: u8) -> Result<Zeroizing<[u8; 32]>> {
    let refused = Error::Encrypt("invalid work factor for scrypt");
    let parameters = scrypt::Params::new(work, 8, 1, 32).map_err(|_| refused.clone())?;
    let salt = [SCRYPT_SALT, salt].concat();
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(text.as_bytes(), &salt, &parameters, key.as_mut_slice()).map_err(|_| refused)?;
    Ok(key)
}

/// Each wrapping key is used once, so the nonce can be zero.
const ONCE: [u8; 12] = [0; 12];

fn wrap(wrapping: &[u8; 32], key: &FileKey) -> Result<Vec<u8>> {
    let cipher = ChaCha20Poly1305::new(wrapping.into());
    cipher
        .encrypt(&Nonce::from(ONCE), key.0.as_slice())
        .map_err(|_| Error::Encrypt("the cipher failed"))
}

/// The file's key, if it is wrapped by this one. The length is checked first: a ciphertext that
/// several keys decrypt would be longer.
fn unwrap(wrapping: &[u8; 32], body: &[u8]) -> Result<Option<FileKey>> {
    if body.len() != 32 {
        return Err(Error::Format("its header has a key of the wrong length"));
    }
    let cipher = ChaCha20Poly1305::new(wrapping.into());
    let Ok(key) = cipher.decrypt(&Nonce::from(ONCE), body).map(Zeroizing::new) else {
        return Ok(None);
    };
    Ok(key
        .as_slice()
        .try_into()
        .ok()
        .map(|key| FileKey(Zeroizing::new(key))))
}
