//! Config maps in protobuf. Since 1.33, `kubectl create configmap` sends only that. Responses may stay JSON.
//!
//! Field numbers are those of the generated.proto files of k8s.io/api and apimachinery.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use serde_json::{Value, json};

pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The prefix of every Kubernetes object in protobuf.
const MAGIC: &[u8] = b"k8s\0";

/// The envelope: `runtime.Unknown`.
#[derive(Clone, PartialEq, prost::Message)]
struct Envelope {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TypeMeta {
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ConfigMap {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(map = "string, string", tag = "2")]
    data: HashMap<String, String>,
    #[prost(map = "string, bytes", tag = "3")]
    binary_data: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ObjectMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(map = "string, string", tag = "11")]
    labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "12")]
    annotations: HashMap<String, String>,
}

/// Decodes a config map.
///
/// # Errors
/// It is another kind, or malformed.
pub fn decode(body: &[u8]) -> Result<Value, String> {
    let unreadable = |error: prost::DecodeError| error.to_string();
    let body = body
        .strip_prefix(MAGIC)
        .ok_or("not an object in protobuf")?;
    let envelope = Envelope::decode(body).map_err(unreadable)?;
    let kind = envelope.type_meta.unwrap_or_default().kind;
    if kind != "ConfigMap" {
        return Err(format!(
            "hakube's stand-in reads {kind} as JSON only: kubectl create --filename"
        ));
    }
    let map = ConfigMap::decode(envelope.raw.as_slice()).map_err(unreadable)?;
    let metadata = map.metadata.unwrap_or_default();
    let binary = map.binary_data.into_iter();
    let binary: HashMap<_, _> = binary
        .map(|(key, value)| (key, STANDARD.encode(value)))
        .collect();
    let mut object = json!({"metadata": {"name": metadata.name}});
    let mut set = |path: &str, entries: &HashMap<String, String>| {
        if !entries.is_empty() {
            match path.strip_prefix("metadata.") {
                Some(field) => object["metadata"][field] = json!(entries),
                None => object[path] = json!(entries),
            }
        }
    };
    set("metadata.labels", &metadata.labels);
    set("metadata.annotations", &metadata.annotations);
    set("data", &map.data);
    set("binaryData", &binary);
    Ok(object)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn envelope(kind: &str, raw: Vec<u8>) -> Vec<u8> {
        let kind = kind.to_owned();
        let type_meta = Some(TypeMeta { kind });
        [MAGIC, &Envelope { type_meta, raw }.encode_to_vec()].concat()
    }

    #[test]
    fn a_configmap_is_decoded() {
        // As kubectl 1.36 sends it.
        let raw = b"\x0a\x1a\x0a\x05story\x12\x00\x1a\x07default\x22\x00\x2a\x002\x008\x00B\x00\x12\x0e\x0a\x07chapter\x12\x03one";
        assert_eq!(
            decode(&envelope("ConfigMap", raw.to_vec())).unwrap(),
            json!({"metadata": {"name": "story"}, "data": {"chapter": "one"}})
        );
    }

    #[test]
    fn other_kinds_are_refused() {
        assert!(
            decode(&envelope("Pod", vec![]))
                .unwrap_err()
                .contains("Pod")
        );
        assert!(decode(b"{}").is_err());
        assert!(decode(&envelope("ConfigMap", vec![10, 200])).is_err());
    }
}
