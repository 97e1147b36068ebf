//! Persistent disks. They hold no data: a machine's files are in its directory.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{Labelled, Labels, Meta, link, resource};
use crate::types::instance::InitializeParams;

/// A zonal disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// The common fields.
    #[serde(flatten)]
    pub meta: Meta,
    /// In GB, an int64 as a string.
    #[serde(default, deserialize_with = "number_or_string")]
    pub size_gb: Option<String>,
    /// URL of the type.
    #[serde(default, rename = "type")]
    pub disk_type: String,
    /// URL of the image that it was created from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_image: Option<String>,
    /// Its labels.
    #[serde(flatten)]
    pub labels: Labels,
    /// Fields without an effect here.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Accepts an int64 as a string, the wire format, or as a number.
pub fn number_or_string<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(from)? {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
    })
}

impl Disk {
    /// Its size in GB.
    pub fn gigabytes(&self) -> f64 {
        let size = self.size_gb.as_deref();
        size.and_then(|size| size.parse().ok()).unwrap_or_default()
    }

    /// Whether it counts as SSD: all types but the slowest do.
    pub fn is_ssd(&self) -> bool {
        link::last(&self.disk_type) != "pd-standard"
    }

    /// The disk that an instance requests in `initializeParams`.
    pub fn from_params(params: InitializeParams) -> Self {
        Self {
            meta: Meta {
                description: params.description,
                ..Meta::default()
            },
            size_gb: params.disk_size_gb.map(|size| match size {
                Value::String(text) => text,
                other => other.to_string(),
            }),
            disk_type: params.disk_type.unwrap_or_default(),
            source_image: params.source_image,
            labels: Labels::new(params.labels),
            rest: Map::new(),
        }
    }
}

impl Labelled for Disk {
    fn labels_mut(&mut self) -> &mut Labels {
        &mut self.labels
    }
}

resource!(Disk);
