//! The header: the file's key, wrapped for each recipient.

use crate::armor::COLUMNS;
use crate::{Error, Result, random};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

const VERSION: &str = "age-encryption.org/v1";
const MAC: &str = "---";

/// The key of one file.
pub(crate) struct FileKey(pub(crate) Zeroizing<[u8; 16]>);

impl FileKey {
    pub(crate) fn random() -> Result<Self> {
        random().map(|key| Self(Zeroizing::new(key)))
    }

    /// Derives a key from it.
    pub(crate) fn derive(&self, salt: &[u8], info: &str) -> Result<Zeroizing<[u8; 32]>> {
        derive(self.0.as_slice(), salt, info)
    }

    fn mac(&self) -> Result<Hmac<Sha256>> {
        let key = self.derive(&[], "header")?;
        Hmac::new_from_slice(key.as_slice()).map_err(|_| Error::Encrypt("invalid key for HMAC"))
    }
}

pub(crate) fn derive(secret: &[u8], salt: &[u8], info: &str) -> Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand(info.as_bytes(), key.as_mut_slice())
        .map_err(|_| Error::Encrypt("invalid length for HKDF"))?;
    Ok(key)
}

/// The file's key, wrapped for one recipient.
#[derive(Debug)]
pub(crate) struct Stanza {
    pub(crate) kind: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Stanza {
    pub(crate) fn is_by_passphrase(&self) -> bool {
        self.kind == "scrypt"
    }

    fn render(&self, text: &mut String) {
        text.push_str("-> ");
        text.push_str(&self.kind);
        for argument in &self.arguments {
            text.push(' ');
            text.push_str(argument);
        }
        text.push('\n');
        let body = encode(&self.body);
        let mut rest = body.as_str();
        // The last line is shorter than the others, and may be empty.
        loop {
            let (line, after) = rest.split_at(rest.len().min(COLUMNS));
            text.push_str(line);
            text.push('\n');
            if line.len() < COLUMNS {
                return;
            }
            rest = after;
        }
    }
}

#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) stanzas: Vec<Stanza>,
    /// The input of the MAC.
    signed: Vec<u8>,
    mac: Vec<u8>,
}

impl Header {
    pub(crate) fn new(stanzas: Vec<Stanza>) -> Self {
        Self {
            stanzas,
            signed: Vec::new(),
            mac: Vec::new(),
        }
    }

    pub(crate) fn render(&self, key: &FileKey) -> Result<Vec<u8>> {
        let mut text = format!("{VERSION}\n");
        for stanza in &self.stanzas {
            stanza.render(&mut text);
        }
        text.push_str(MAC);
        let mut mac = key.mac()?;
        mac.update(text.as_bytes());
        let mac = encode(&mac.finalize().into_bytes());
        Ok(format!("{text} {mac}\n").into_bytes())
    }

    /// Parses the header, and returns the rest of the file.
    pub(crate) fn parse(file: &[u8]) -> Result<(Self, &[u8])> {
        let mut lines = Lines { file, at: 0 };
        if lines.next()? != VERSION {
            return Err(Error::Format("it isn't version 1"));
        }
        let mut stanzas = Vec::new();
        loop {
            let begin = lines.at;
            let line = lines.next()?;
            if let Some(mac) = line.strip_prefix(MAC) {
                let mac = mac.strip_prefix(' ').and_then(decode);
                let header = Self {
                    stanzas,
                    signed: file.get(..begin + MAC.len()).unwrap_or_default().to_vec(),
                    mac: mac.ok_or(Error::Format("its header has no MAC"))?,
                };
                return Ok((header, file.get(lines.at..).unwrap_or_default()));
            }
            stanzas.push(stanza(line, &mut lines)?);
        }
    }

    pub(crate) fn verify(&self, key: &FileKey) -> Result<()> {
        let mut mac = key.mac()?;
        mac.update(&self.signed);
        mac.verify_slice(&self.mac)
            .map_err(|_| Error::Damaged("its header"))
    }
}

fn stanza<'a>(line: &'a str, lines: &mut Lines<'a>) -> Result<Stanza> {
    let words = line
        .strip_prefix("-> ")
        .ok_or(Error::Format("its header has an unknown kind of line"))?;
    let mut words = words.split(' ').map(str::to_owned);
    let kind = words.next().unwrap_or_default();
    let mut body = String::new();
    loop {
        let line = lines.next()?;
        if line.len() > COLUMNS {
            return Err(Error::Format("its header has a line that is too long"));
        }
        body.push_str(line);
        if line.len() < COLUMNS {
            break;
        }
    }
    Ok(Stanza {
        kind,
        arguments: words.collect(),
        body: decode(&body).ok_or(Error::Format("its header isn't base64"))?,
    })
}

/// The lines of text before the binary payload.
struct Lines<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a str> {
        let rest = self.file.get(self.at..).unwrap_or_default();
        let end = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(Error::Format("its header has no end"))?;
        self.at += end + 1;
        let line = rest.get(..end).unwrap_or_default();
        std::str::from_utf8(line).map_err(|_| Error::Format("its header isn't text"))
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}
