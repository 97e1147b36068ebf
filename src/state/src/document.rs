//! Stored documents. A format number keeps an older hakube from misreading a newer one's state. The
//! generation of the lock that a document was written under lets the store refuse late writers. Its
//! own generation and a checksum reveal old copies and damage.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Result, Seal, SealError, StateError};
use hakube_pki::AuthorityDocuments;
use zeroize::Zeroizing;

const FORMAT: &str = "format";
const FENCE: &str = "fence";
const GENERATION: &str = "revision";
const CHECKSUM: &str = "sha256";
const ABSENT: &str = "absent";
const SEALED: &str = "age";

/// The first format of documents with a generation and a checksum.
const SUMMED_SINCE: u64 = 3;

/// A version of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Revision {
    /// The number of writes of the document. It only increases; 0 is a document from before writes
    /// were counted.
    pub generation: u64,
    /// The SHA-256 of the document's content, in lower-case hexadecimal digits.
    pub checksum: String,
}

/// A document that the store has one of per cluster. It must serialise to a JSON object without
/// members `format`, `fence`, `revision`, `sha256`, `absent` and `age`, which the store adds.
pub trait Document: Serialize + DeserializeOwned {
    /// The object is `<cluster>/<NAME>.json`. One of [`FENCED`](super::store::FENCED).
    const NAME: &'static str;
    /// The format that is written. Incremented when an older hakube would misread what is written now.
    const FORMAT: u32;
    /// Whether it is encrypted, if the store has a key.
    const SECRET: bool = false;
}

impl Document for AuthorityDocuments {
    const NAME: &'static str = "pki";
    /// 2: may be encrypted. 3: has a checksum.
    const FORMAT: u32 = 3;
    const SECRET: bool = true;
}

/// A document's place, for errors.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub object: &'a str,
    pub store: &'a str,
}

impl Origin<'_> {
    pub fn malformed(&self, reason: impl ToString) -> StateError {
        StateError::Malformed {
            object: self.object.into(),
            store: self.store.into(),
            reason: reason.to_string(),
        }
    }

    fn damaged(&self, checksum: &str, found: &str) -> StateError {
        StateError::Damaged {
            object: self.object.into(),
            store: self.store.into(),
            expected: checksum.into(),
            found: found.into(),
        }
    }

    pub fn sealed(&self, source: SealError) -> StateError {
        StateError::Sealed {
            object: self.object.into(),
            store: self.store.into(),
            source,
        }
    }
}

/// A document as it is stored, of any type.
#[derive(Clone)]
pub(super) struct Envelope(Map<String, Value>);

impl Envelope {
    /// Parses a document of any format, known or not.
    pub fn parse(origin: &Origin<'_>, content: &[u8]) -> Result<Self> {
        serde_json::from_slice(content)
            .map(Self)
            .map_err(|e| origin.malformed(e))
    }

    /// A document of this format.
    pub fn of<T: Serialize>(origin: &Origin<'_>, format: u32, body: &T) -> Result<Self> {
        let body = serde_json::to_value(body).map_err(|e| origin.malformed(e))?;
        let Value::Object(body) = body else {
            return Err(origin.malformed("it isn't a JSON object"));
        };
        let mut document = Map::from_iter([(FORMAT.to_owned(), format.into())]);
        document.extend(body);
        Ok(Self(document))
    }

    /// A placeholder for a missing or deleted document, which keeps late writers out.
    pub fn vacant() -> Self {
        let members = [(FORMAT, Value::from(1)), (ABSENT, Value::from(true))];
        Self(Map::from_iter(
            members.map(|(name, value)| (name.to_owned(), value)),
        ))
    }

    /// Whether this is a placeholder without a document.
    pub fn is_vacant(&self) -> bool {
        self.0.get(ABSENT) == Some(&Value::Bool(true))
    }

    /// The generation of the lock that it was written under; 0 is before the first.
    pub fn fence(&self) -> u64 {
        self.number(FENCE)
    }

    /// Sets the lock's generation.
    pub fn fenced(mut self, generation: u64) -> Self {
        self.0.insert(FENCE.to_owned(), generation.into());
        self
    }

    /// The number of writes; a placeholder continues the count.
    pub fn generation(&self) -> u64 {
        self.number(GENERATION)
    }

    /// Sets the document's generation and its checksum.
    pub fn counted(mut self, generation: u64) -> Self {
        self.0.insert(GENERATION.to_owned(), generation.into());
        let checksum = self.checksum();
        self.0.insert(CHECKSUM.to_owned(), checksum.into());
        self
    }

    /// The document's version.
    pub fn revision(&self) -> Revision {
        Revision {
            generation: self.generation(),
            checksum: self.checksum(),
        }
    }

    /// The SHA-256 of all members except the sum itself and the fence, which changes with the
    /// lock's holder. For encrypted documents it covers the ciphertext.
    fn checksum(&self) -> String {
        let mut sum = Sha256::new();
        let members = self.0.iter();
        for (name, value) in members.filter(|(name, _)| *name != FENCE && *name != CHECKSUM) {
            let name = Value::from(name.as_str()).to_string();
            sum.update(format!("{name}:{value}\n"));
        }
        sum.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Refuses a document that isn't as it was written: bit flips or manual edits.
    fn check(&self, origin: &Origin<'_>) -> Result<()> {
        let found = self.checksum();
        match self.0.get(CHECKSUM).and_then(Value::as_str) {
            Some(checksum) if checksum != found => Err(origin.damaged(checksum, &found)),
            None if self.number(FORMAT) >= SUMMED_SINCE => Err(origin.damaged("missing", &found)),
            _ => Ok(()),
        }
    }

    fn number(&self, member: &str) -> u64 {
        self.0.get(member).and_then(Value::as_u64).unwrap_or(0)
    }

    /// Whether it is encrypted.
    pub fn is_sealed(&self) -> bool {
        self.0.contains_key(SEALED)
    }

    /// Encrypts everything except the format and members added later, so that a version that
    /// doesn't know the format still reports it.
    pub fn sealed(mut self, origin: &Origin<'_>, seal: &Seal) -> Result<Self> {
        let format = self.0.shift_remove(FORMAT);
        let body = serde_json::to_vec(&self.0).map_err(|e| origin.malformed(e))?;
        let sealed = seal
            .seal(&Zeroizing::new(body))
            .map_err(|e| origin.sealed(e))?;
        let format = format.map(|format| (FORMAT.to_owned(), format));
        let members = format
            .into_iter()
            .chain([(SEALED.to_owned(), sealed.into())]);
        Ok(Self(members.collect()))
    }

    /// The inverse of [`Self::sealed`]; a document that isn't encrypted is returned unchanged.
    fn unsealed(mut self, origin: &Origin<'_>, seal: &Seal) -> Result<Self> {
        let Some(sealed) = self.0.shift_remove(SEALED) else {
            return Ok(self);
        };
        let sealed = sealed.as_str().unwrap_or_default();
        let body = seal.open(sealed).map_err(|e| origin.sealed(e))?;
        let body: Map<String, Value> =
            serde_json::from_slice(&body).map_err(|e| origin.malformed(e))?;
        self.0.extend(body);
        Ok(self)
    }

    pub fn encode(&self, origin: &Origin<'_>) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(&self.0).map_err(|e| origin.malformed(e))
    }

    /// Decodes the document, if its format is at most `known`.
    pub fn open<T: DeserializeOwned>(
        mut self,
        origin: &Origin<'_>,
        known: u32,
        seal: &Seal,
    ) -> Result<T> {
        let intact = self.check(origin);
        let format = self.0.shift_remove(FORMAT);
        for member in [FENCE, GENERATION, CHECKSUM] {
            self.0.shift_remove(member);
        }
        match format.as_ref().and_then(Value::as_u64) {
            None | Some(0) => Err(StateError::NoFormat {
                object: origin.object.into(),
                store: origin.store.into(),
            }),
            Some(found) if found > u64::from(known) => Err(StateError::NewerFormat {
                object: origin.object.into(),
                store: origin.store.into(),
                found,
                known,
            }),
            Some(_) => {
                intact?;
                let body = self.unsealed(origin, seal)?.0;
                serde_json::from_value(body.into()).map_err(|e| origin.malformed(e))
            }
        }
    }
}

/// Encodes an object that needs no fence, since its name is unique.
pub(super) fn encode<T: Serialize>(origin: &Origin<'_>, format: u32, body: &T) -> Result<Vec<u8>> {
    Envelope::of(origin, format, body)?.encode(origin)
}

/// The inverse of [`encode`].
pub(super) fn decode<T: DeserializeOwned>(
    origin: &Origin<'_>,
    known: u32,
    content: &[u8],
) -> Result<T> {
    Envelope::parse(origin, content)?.open(origin, known, &Seal::default())
}

impl From<Revision> for hakube_model::Version {
    fn from(revision: Revision) -> Self {
        let Revision {
            generation,
            checksum,
        } = revision;
        Self {
            generation,
            checksum,
        }
    }
}
