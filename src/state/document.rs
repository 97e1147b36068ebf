//! Documents with a format number, so that an older hakube never misreads a newer one's state; and with
//! the generation of the lock that they were written under, so that a late writer can be refused.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Result, Seal, SealError, StateError};
use crate::pki::AuthorityDocuments;
use zeroize::Zeroizing;

const FORMAT: &str = "format";
const FENCE: &str = "fence";
const ABSENT: &str = "absent";
const SEALED: &str = "age";

/// Something that the store keeps one of per cluster. It must serialise to a JSON object without members
/// `format`, `fence`, `absent` and `age`: the store adds those.
pub trait Document: Serialize + DeserializeOwned {
    /// The object is `<cluster>/<NAME>.json`. One of [`FENCED`](super::store::FENCED).
    const NAME: &'static str;
    /// The format that is written. Counted up when an older hakube would misread what is written now.
    const FORMAT: u32;
    /// Whether it is encrypted where the store encrypts anything.
    const SECRET: bool = false;
}

impl Document for AuthorityDocuments {
    const NAME: &'static str = "pki";
    /// 2: it may be encrypted.
    const FORMAT: u32 = 2;
    const SECRET: bool = true;
}

/// Where a document was found, for errors.
#[derive(Clone, Copy)]
pub(super) struct Origin<'a> {
    pub object: &'a str,
    pub store: &'a str,
}

impl Origin<'_> {
    fn malformed(&self, reason: impl ToString) -> StateError {
        StateError::Malformed {
            object: self.object.into(),
            store: self.store.into(),
            reason: reason.to_string(),
        }
    }

    fn sealed(&self, source: SealError) -> StateError {
        StateError::Sealed {
            object: self.object.into(),
            store: self.store.into(),
            source,
        }
    }
}

/// A document as it is in the store, whatever it is about.
#[derive(Clone)]
pub(super) struct Envelope(Map<String, Value>);

impl Envelope {
    /// Reads any format, known or not.
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

    /// What stands where no document is, or is any more, to keep late writers out.
    pub fn vacant() -> Self {
        let members = [(FORMAT, Value::from(1)), (ABSENT, Value::from(true))];
        Self(Map::from_iter(
            members.map(|(name, value)| (name.to_owned(), value)),
        ))
    }

    /// Whether there is no document here.
    pub fn is_vacant(&self) -> bool {
        self.0.get(ABSENT) == Some(&Value::Bool(true))
    }

    /// The generation of the lock that it was written under; 0 is before the first.
    pub fn fence(&self) -> u64 {
        self.0.get(FENCE).and_then(Value::as_u64).unwrap_or(0)
    }

    /// The same, written under the lock of this generation.
    pub fn fenced(mut self, generation: u64) -> Self {
        self.0.insert(FENCE.to_owned(), generation.into());
        self
    }

    /// Whether what it says is encrypted.
    pub fn is_sealed(&self) -> bool {
        self.0.contains_key(SEALED)
    }

    /// The same, encrypted; but for its format, so that a version that doesn't know this says so, and
    /// whatever is added later.
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

    /// The inverse of [`Self::sealed`]; one that isn't encrypted is as it was.
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

    /// What the document says, if its format is one of those up to `known`.
    pub fn open<T: DeserializeOwned>(
        mut self,
        origin: &Origin<'_>,
        known: u32,
        seal: &Seal,
    ) -> Result<T> {
        let format = self.0.shift_remove(FORMAT);
        self.0.shift_remove(FENCE);
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
                let body = self.unsealed(origin, seal)?.0;
                serde_json::from_value(body.into()).map_err(|e| origin.malformed(e))
            }
        }
    }
}

/// Something that isn't fenced, since its name is its own.
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
