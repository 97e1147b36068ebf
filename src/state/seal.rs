//! Encryption at rest, in the format of age (<https://age-encryption.org/v1>): to public keys or to a
//! passphrase. What is encrypted can also be opened with the program `age`.

use std::fs;
use std::io::{self, BufReader, Read as _};
use std::iter::once;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::SecretString;
use age::{
    DecryptError, Decryptor, EncryptError, Encryptor, Identity, IdentityFile, Recipient, scrypt,
    x25519,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// scrypt's cost for what is encrypted to a passphrase, as a power of two: about a second and 256 MB, age's
/// own choice. Tests encrypt more often than operators do.
const WORK: u8 = if cfg!(test) { 4 } else { 18 };

/// Documents that cost more to open than this (16 seconds, 4 GB) are refused: somebody made them so.
const MOST_WORK: u8 = 22;

/// To whom secrets are encrypted, and what opens them. The default encrypts nothing.
///
/// It has no secret itself: files are read when they are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Public keys, `age1…`: each can open what is written.
    pub recipients: Vec<String>,
    /// Files of private keys, `AGE-SECRET-KEY-…`: tried one after another.
    pub identities: Vec<PathBuf>,
    /// A file of passphrases, one a line. Without recipients, what is written is encrypted to the first; the
    /// others open what was written before they were replaced.
    pub passphrases: Option<PathBuf>,
}

/// Why something can't be encrypted or opened. Follows the object's name.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No key was named.
    #[error("it is encrypted: set {setting}, with which it was written")]
    NoKey {
        /// The setting that is missing.
        setting: &'static str,
    },
    /// The keys that were named are others' keys.
    #[error("it is encrypted, and nothing in {} opens it", .tried.display())]
    WrongKey {
        /// The file whose keys were tried, or the first of them.
        tried: PathBuf,
    },
    /// A file of keys can't be used.
    #[error("can't use {}: {reason}", .file.display())]
    KeyFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A public key that is none.
    #[error("{recipient} is no recipient: {reason}")]
    Recipient {
        /// As it was given.
        recipient: String,
        /// age's own words.
        reason: &'static str,
    },
    /// What was encrypted would be lost.
    #[error("encrypted like this it couldn't be read again, so it wasn't written: {0}")]
    OneWay(Box<SealError>),
    /// It isn't what it should be.
    #[error("it can't be decrypted: {0}")]
    Malformed(String),
}

impl Seal {
    /// Whether what is written is encrypted.
    pub fn is_set(&self) -> bool {
        !self.recipients.is_empty() || self.passphrases.is_some()
    }

    /// Encrypts, and makes sure that what comes out can be opened again by who wrote it.
    ///
    /// A passphrase takes about a second of one core, and as much again for the proof.
    ///
    /// # Errors
    /// A file can't be used; the recipients' private keys aren't here.
    pub fn seal(&self, plain: &[u8]) -> Result<String, SealError> {
        let recipients = self.writing_to()?;
        let recipients = recipients.iter().map(|recipient| recipient.as_ref() as _);
        let sealed = encrypt(recipients, plain).map_err(malformed)?;
        match self.open(&sealed) {
            Ok(again) if *again == plain => Ok(sealed),
            Ok(_) => Err(SealError::Malformed(
                "it came back as something else".into(),
            )),
            Err(error) => Err(SealError::OneWay(Box::new(error))),
        }
    }

    /// Decrypts what [`Self::seal`] made, here or elsewhere.
    ///
    /// # Errors
    /// Nothing here opens it; a file can't be used; it was damaged.
    pub fn open(&self, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (keys, tried, setting) = if decryptor(sealed)?.is_scrypt() {
            let tried = self.passphrases.as_ref();
            (self.passphrases()?, tried, "HAKUBE_STATE_PASSPHRASE_FILE")
        } else {
            let tried = self.identities.first();
            (self.identities()?, tried, "HAKUBE_STATE_IDENTITY")
        };
        let Some(tried) = tried else {
            return Err(SealError::NoKey { setting });
        };
        // One by one: of several passphrases at once, age gives up at the first that is wrong.
        for key in &keys {
            let mut reader = match decryptor(sealed)?.decrypt(once(key.as_ref() as &dyn Identity)) {
                Ok(reader) => reader,
                Err(DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed) => continue,
                Err(error) => return Err(malformed(error)),
            };
            let mut plain = Zeroizing::new(Vec::new());
            reader.read_to_end(&mut plain).map_err(malformed)?;
            return Ok(plain);
        }
        let tried = tried.clone();
        Err(SealError::WrongKey { tried })
    }

    fn writing_to(&self) -> Result<Vec<Box<dyn Recipient>>, SealError> {
        if !self.recipients.is_empty() {
            let parse = |text: &String| match text.parse::<x25519::Recipient>() {
                Ok(recipient) => Ok(Box::new(recipient) as Box<dyn Recipient>),
                Err(reason) => Err(SealError::Recipient {
                    recipient: text.clone(),
                    reason,
                }),
            };
            return self.recipients.iter().map(parse).collect();
        }
        let Some(file) = &self.passphrases else {
            return Err(SealError::NoKey {
                setting: "HAKUBE_STATE_RECIPIENTS or HAKUBE_STATE_PASSPHRASE_FILE",
            });
        };
        let first = lines(file)?.into_iter().next();
        let first = first.ok_or_else(|| key_file(file, "there is no passphrase in it"))?;
        let mut recipient = scrypt::Recipient::new(first);
        recipient.set_work_factor(WORK);
        Ok(vec![Box::new(recipient)])
    }

    fn identities(&self) -> Result<Vec<Box<dyn Identity>>, SealError> {
        let mut all: Vec<Box<dyn Identity>> = Vec::new();
        for file in &self.identities {
            let text = private(file)?;
            let found = IdentityFile::from_buffer(text.as_bytes())
                .map_err(|e| key_file(file, e))?
                .into_identities()
                .map_err(|e| key_file(file, e))?;
            all.extend(found.into_iter().map(|identity| identity as _));
        }
        Ok(all)
    }

    fn passphrases(&self) -> Result<Vec<Box<dyn Identity>>, SealError> {
        let lines = self.passphrases.as_deref().map(lines).transpose()?;
        let identity = |passphrase| {
            let mut identity = scrypt::Identity::new(passphrase);
            identity.set_max_work_factor(MOST_WORK);
            Box::new(identity) as Box<dyn Identity>
        };
        Ok(lines.into_iter().flatten().map(identity).collect())
    }
}

fn decryptor(sealed: &str) -> Result<Decryptor<ArmoredReader<BufReader<&[u8]>>>, SealError> {
    Decryptor::new_buffered(ArmoredReader::new(sealed.as_bytes())).map_err(malformed)
}

fn malformed(reason: impl ToString) -> SealError {
    SealError::Malformed(reason.to_string())
}

fn encrypt<'a>(
    recipients: impl Iterator<Item = &'a dyn Recipient>,
    plain: &[u8],
) -> Result<String, EncryptError> {
    let mut armored = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = Encryptor::with_recipients(recipients)?.wrap_output(&mut armored)?;
    io::Write::write_all(&mut writer, plain)?;
    writer.finish()?;
    let text = armored.finish()?;
    String::from_utf8(text).map_err(|e| io::Error::other(e).into())
}

/// The passphrases in a file.
fn lines(file: &Path) -> Result<Vec<SecretString>, SealError> {
    let text = private(file)?;
    let lines = text.lines().filter(|line| !line.is_empty());
    Ok(lines
        .map(|line| SecretString::from(line.to_owned()))
        .collect())
}

/// A file that its owner alone can read.
fn private(file: &Path) -> Result<Zeroizing<String>, SealError> {
    let metadata = fs::metadata(file).map_err(|e| key_file(file, e))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        let reason = format!("others may read it: chmod 600 {}", file.display());
        return Err(key_file(file, reason));
    }
    let text = fs::read_to_string(file).map_err(|e| key_file(file, e))?;
    Ok(Zeroizing::new(text))
}

fn key_file(file: &Path, reason: impl ToString) -> SealError {
    SealError::KeyFile {
        file: file.to_owned(),
        reason: reason.to_string(),
    }
}
