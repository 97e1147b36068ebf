//! Documents with a format number, so that an older hakube never misreads a newer one's state.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Result, StateError};
use crate::pki::AuthorityDocuments;

const FORMAT: &str = "format";

/// Something that the store keeps one of per cluster. It must serialise to a JSON object without a
/// member `format`: the store adds that.
pub trait Document: Serialize + DeserializeOwned {
    /// The object is `<cluster>/<NAME>.json`.
    const NAME: &'static str;
    /// The format that is written. Counted up when an older hakube would misread what is written now.
    const FORMAT: u32;
}

impl Document for AuthorityDocuments {
    const NAME: &'static str = "pki";
    const FORMAT: u32 = 1;
}

/// Where a document was found, for errors.
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
}

pub(super) fn encode<T: Serialize>(origin: &Origin<'_>, format: u32, body: &T) -> Result<Vec<u8>> {
    let body = serde_json::to_value(body).map_err(|e| origin.malformed(e))?;
    let Value::Object(body) = body else {
        return Err(origin.malformed("it isn't a JSON object"));
    };
    let mut document = Map::from_iter([(FORMAT.to_owned(), format.into())]);
    document.extend(body);
    serde_json::to_vec_pretty(&document).map_err(|e| origin.malformed(e))
}

pub(super) fn decode<T: DeserializeOwned>(
    origin: &Origin<'_>,
    known: u32,
    content: &[u8],
) -> Result<T> {
    let mut document: Map<String, Value> =
        serde_json::from_slice(content).map_err(|e| origin.malformed(e))?;
    match document
        .shift_remove(FORMAT)
        .as_ref()
        .and_then(Value::as_u64)
    {
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
        Some(_) => serde_json::from_value(document.into()).map_err(|e| origin.malformed(e)),
    }
}
