//! Encryption at rest, in the format of age (<https://age-encryption.org/v1>), to public keys or a
//! passphrase. The `age` program can decrypt it too.

use hakube_age::{Identity, Recipient, Sealed, To, encrypt, identities};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hakube_settings::SealKeys;
use zeroize::Zeroizing;

/// scrypt's cost for passphrases, as a power of two: about a second and 256 MB, age's default.
/// Tests encrypt more often than operators do.
const WORK: u8 = if cfg!(test) { 4 } else { 18 };

/// Documents that cost more to decrypt (16 seconds, 4 GB) are refused as malicious.
const MOST_WORK: u8 = 22;

/// Encrypts the secrets among the documents. The default encrypts nothing.
#[derive(Debug, Clone, Default)]
pub struct Seal(pub(super) SealKeys);

impl From<SealKeys> for Seal {
    fn from(keys: SealKeys) -> Self {
        Self(keys)
    }
}

/// Why a document can't be encrypted or decrypted. Displayed after the object's name.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No key is configured.
    #[error("it is encrypted: set {setting}, which was used to write it")]
    NoKey {
        /// The setting that is missing.
        setting: &'static str,
    },
    /// The configured keys don't match.
    #[error("it is encrypted, and no key in {} decrypts it", .tried.display())]
    WrongKey {
        /// The file whose keys were tried, or the first of several.
        tried: PathBuf,
    },
    /// A key file can't be used.
    #[error("could not use {}: {reason}", .file.display())]
    KeyFile {
        /// The file.
        file: PathBuf,
        /// The cause.
        reason: String,
    },
    /// An invalid public key.
    #[error("{recipient} isn't a recipient: {reason}")]
    Recipient {
        /// As it was given.
        recipient: String,
        /// The cause.
        reason: &'static str,
    },
    /// The encrypted data would be irrecoverable.
    #[error("it was not written, because it could not be decrypted again: {0}")]
    OneWay(Box<SealError>),
    /// The encrypted data is damaged.
    #[error("could not decrypt it: {0}")]
    Malformed(String),
}

impl Seal {
    /// Encrypts, and verifies that the result can be decrypted with the configured keys.
    ///
    /// With a passphrase, this takes about a second of one core, and the same again for verification.
    ///
    /// # Errors
    /// A file can't be used, or the recipients' private keys aren't available.
    pub fn seal(&self, plain: &[u8]) -> Result<String, SealError> {
        let sealed = match self.writing_to()? {
            WritingTo::Recipients(recipients) => encrypt(&To::Recipients(&recipients), plain),
            WritingTo::Passphrase(text) => {
                let work = WORK;
                encrypt(&To::Passphrase { text: &text, work }, plain)
            }
        };
        let sealed = sealed.map_err(malformed)?;
        match self.open(&sealed) {
            Ok(again) if *again == plain => Ok(sealed),
            Ok(_) => Err(SealError::Malformed(
                "decryption returned something different".into(),
            )),
            Err(error) => Err(SealError::OneWay(Box::new(error))),
        }
    }

    /// Decrypts the output of [`Self::seal`].
    ///
    /// # Errors
    /// No key decrypts it, a file can't be used, or it is damaged.
    pub fn open(&self, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let sealed = Sealed::parse(sealed).map_err(malformed)?;
        let (opened, tried, setting) = if sealed.is_by_passphrase() {
            let opened = find(self.passphrases()?, |passphrase| {
                sealed.open_by_passphrase(passphrase, MOST_WORK)
            });
            let tried = self.0.passphrases.as_ref();
            (opened, tried, "HAKUBE_STATE_PASSPHRASE_FILE")
        } else {
            let opened = find(self.identities()?, |identity| sealed.open(identity));
            (opened, self.0.identities.first(), "HAKUBE_STATE_IDENTITY")
        };
        let Some(tried) = tried else {
            return Err(SealError::NoKey { setting });
        };
        opened?.ok_or_else(|| SealError::WrongKey {
            tried: tried.clone(),
        })
    }

    fn writing_to(&self) -> Result<WritingTo, SealError> {
        if !self.0.recipients.is_empty() {
            let parse = |text: &String| {
                text.parse().map_err(|reason| SealError::Recipient {
                    recipient: text.clone(),
                    reason,
                })
            };
            let recipients: Result<_, _> = self.0.recipients.iter().map(parse).collect();
            return recipients.map(WritingTo::Recipients);
        }
        let Some(file) = &self.0.passphrases else {
            return Err(SealError::NoKey {
                setting: "HAKUBE_STATE_RECIPIENTS or HAKUBE_STATE_PASSPHRASE_FILE",
            });
        };
        let first = lines(file)?.into_iter().next();
        first
            .map(WritingTo::Passphrase)
            .ok_or_else(|| key_file(file, "it has no passphrase"))
    }

    fn identities(&self) -> Result<Vec<Identity>, SealError> {
        let mut all = Vec::new();
        for file in &self.0.identities {
            all.extend(identities(&private(file)?).map_err(|reason| key_file(file, reason))?);
        }
        Ok(all)
    }

    fn passphrases(&self) -> Result<Vec<Zeroizing<String>>, SealError> {
        let lines = self.0.passphrases.as_deref().map(lines).transpose()?;
        Ok(lines.unwrap_or_default())
    }
}

/// The keys to encrypt to.
enum WritingTo {
    Recipients(Vec<Recipient>),
    Passphrase(Zeroizing<String>),
}

/// Decrypts with the first key that matches.
fn find<K>(
    keys: Vec<K>,
    open: impl Fn(&K) -> hakube_age::Result<Option<Zeroizing<Vec<u8>>>>,
) -> Result<Option<Zeroizing<Vec<u8>>>, SealError> {
    let opened = keys.iter().map(open);
    let mut opened = opened.filter_map(|opened| opened.map_err(malformed).transpose());
    opened.next().transpose()
}

fn malformed(reason: impl ToString) -> SealError {
    SealError::Malformed(reason.to_string())
}

/// The passphrases in a file.
fn lines(file: &Path) -> Result<Vec<Zeroizing<String>>, SealError> {
    let text = private(file)?;
    let lines = text.lines().filter(|line| !line.is_empty());
    Ok(lines.map(|line| Zeroizing::new(line.to_owned())).collect())
}

/// Reads a file that only its owner can read.
fn private(file: &Path) -> Result<Zeroizing<String>, SealError> {
    let metadata = fs::metadata(file).map_err(|e| key_file(file, e))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        let reason = format!("other users can read it: chmod 600 {}", file.display());
        return Err(key_file(file, reason));
    }
    let text = hakube_input::read_text(file, hakube_input::SMALL).map_err(|e| key_file(file, e))?;
    Ok(Zeroizing::new(text))
}

fn key_file(file: &Path, reason: impl ToString) -> SealError {
    SealError::KeyFile {
        file: file.to_owned(),
        reason: reason.to_string(),
    }
}
