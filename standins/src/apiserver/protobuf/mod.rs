//! Request bodies in protobuf. Since 1.33 `kubectl create configmap` and its like send nothing else;
//! answers may stay JSON.
//!
//! Only the kinds that kubectl creates this way have a [`schema`]; others are refused, as is a field
//! that the schema doesn't have: dropping it would be silent.

mod schema;
mod wire;

use serde_json::{Value, json};

use self::wire::Wire;

/// `application/vnd.kubernetes.protobuf`
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// Precedes every Kubernetes object in protobuf.
const MAGIC: &[u8] = b"k8s\0";

/// Decodes an object in its envelope, `runtime.Unknown`.
pub fn decode(body: &[u8]) -> Result<Value, String> {
    let envelope = body
        .strip_prefix(MAGIC)
        .ok_or("it does not start with the magic number k8s\\0")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in wire::fields(envelope) {
        match field? {
            (1, Wire::Bytes(type_meta)) => {
                for field in wire::fields(type_meta) {
                    match field? {
                        (1, Wire::Bytes(text)) => api_version = wire::text(text)?,
                        (2, Wire::Bytes(text)) => kind = wire::text(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let message = schema::find(&kind).ok_or_else(|| {
        format!("this stand-in reads {kind} ({api_version}) as JSON or YAML, not as protobuf")
    })?;
    let mut object = wire::decode(message, raw)?;
    let mut typed = json!({"apiVersion": api_version, "kind": kind});
    if let (Some(typed), Some(object)) = (typed.as_object_mut(), object.as_object_mut()) {
        typed.append(object);
    }
    Ok(typed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A length-delimited field.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        out.extend(content);
        out
    }

    fn envelope(kind: &[u8], raw: &[u8]) -> Vec<u8> {
        [
            MAGIC,
            &field(1, &[field(1, b"v1"), field(2, kind)].concat()),
            &field(2, raw),
            &field(3, b""),
        ]
        .concat()
    }

    #[test]
    fn a_configmap_is_what_kubectl_meant() {
        // As Go marshals it: fields that aren't pointers are there even when they are empty.
        let metadata = [
            field(1, b"a"),
            field(2, b""),
            field(3, b"default"),
            vec![7 << 3, 0],
            field(8, b""),
        ]
        .concat();
        let entry = [field(1, b"k"), field(2, b"v")].concat();
        let bytes = [field(1, b"b"), field(2, b"\xff")].concat();
        let raw = [
            field(1, &metadata),
            field(2, &entry),
            field(3, &bytes),
            vec![4 << 3, 1],
        ]
        .concat();
        assert_eq!(
            decode(&envelope(b"ConfigMap", &raw)).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "a", "namespace": "default"},
                "data": {"k": "v"}, "binaryData": {"b": "/w=="}, "immutable": true,
            })
        );
    }

    #[test]
    fn nothing_is_dropped_in_silence() {
        assert!(decode(b"{}").is_err());
        assert!(decode(&envelope(b"Pod", b"")).unwrap_err().contains("Pod"));
        assert!(
            decode(&envelope(b"ConfigMap", &field(9, b"?")))
                .unwrap_err()
                .contains("field 9")
        );
        assert!(
            decode(&envelope(b"ConfigMap", &[1 << 3 | 2, 200])).is_err(),
            "cut short"
        );
    }
}
