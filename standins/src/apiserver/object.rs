//! What all objects have in common: identity and metadata.

use serde_json::{Map, Value};

use super::resources::{NameRule, Resource};
use super::status::{ApiError, ApiResult};

/// A text field of an object's metadata; empty when absent.
pub fn metadata<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// Now, as `metav1.Time`.
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Checks that `object` is of this resource and in this namespace, and fills in what it leaves out.
pub fn conform(resource: &Resource, namespace: &str, object: &mut Value) -> ApiResult<()> {
    let Some(fields) = object.as_object_mut() else {
        return Err(ApiError::bad_request(
            "the object provided is unrecognized: it is not a JSON object",
        ));
    };
    let (api_version, kind) = (resource.api_version(), resource.kind);
    for (field, expected) in [("apiVersion", api_version.as_str()), ("kind", kind)] {
        match fields.get(field).and_then(Value::as_str) {
            None | Some("") => {}
            Some(given) if given == expected => {}
            Some(given) => {
                return Err(ApiError::bad_request(format!(
                    "the object provided is unrecognized (must be of type {kind}, {api_version}): {field} is {given:?}"
                )));
            }
        }
    }
    let metadata = fields
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    if !metadata.is_object() {
        return Err(ApiError::bad_request("metadata must be an object"));
    }
    resource.stamp(object);
    match self::metadata(object, "namespace") {
        given if given == namespace => {}
        "" => object["metadata"]["namespace"] = namespace.into(),
        _ => {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    Ok(())
}

/// Checks what `metadata` may hold: the name, and labels and annotations that are maps of text.
pub fn validate(resource: &Resource, object: &Value) -> ApiResult<()> {
    let name = metadata(object, "name");
    let mut causes = Vec::new();
    if let Err(why) = check_name(resource.name_rule, name) {
        causes.push((
            "metadata.name".to_owned(),
            format!("Invalid value: {name:?}: {why}"),
        ));
    }
    for field in ["labels", "annotations"] {
        let map = &object["metadata"][field];
        let texts = map.is_null()
            || map
                .as_object()
                .is_some_and(|map| map.values().all(Value::is_string));
        if !texts {
            causes.push((
                format!("metadata.{field}"),
                "Invalid value: must be a map of strings to strings".to_owned(),
            ));
        }
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(ApiError::invalid(resource, name, &causes))
    }
}

/// Whether `name` is one, in the words of apimachinery's validation.
fn check_name(rule: NameRule, name: &str) -> Result<(), &'static str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| plain(b) || b == b'-')
            && text.bytes().next().is_some_and(plain)
            && text.bytes().last().is_some_and(plain)
    };
    match rule {
        NameRule::Label if label(name) && name.len() <= 63 => Ok(()),
        NameRule::Label => Err(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
             end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        ),
        NameRule::Subdomain if name.split('.').all(label) && name.len() <= 253 => Ok(()),
        NameRule::Subdomain => Err(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ),
        NameRule::PathSegment if path_segment(name) => Ok(()),
        NameRule::PathSegment => Err("may not be '.' or '..', nor contain '/' or '%'"),
    }
}

/// Whether a name can be one segment of a path, and of an etcd key.
pub fn path_segment(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '%'])
}

/// Gives a new object its identity. With `generateName` and no name it gets a random suffix.
pub fn initialise(object: &mut Value) {
    let generate = metadata(object, "generateName").to_owned();
    if metadata(object, "name").is_empty() && !generate.is_empty() {
        object["metadata"]["name"] = format!("{generate}{}", random_suffix()).into();
    }
    object["metadata"]["uid"] = uuid::Uuid::new_v4().to_string().into();
    object["metadata"]["creationTimestamp"] = now().into();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in [
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
        ] {
            metadata.shift_remove(field);
        }
    }
}

/// Five characters that spell no words: Kubernetes' own alphabet.
fn random_suffix() -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5)
        .map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]))
        .collect()
}

/// Carries over what an update can't change.
pub fn keep_identity(new: &mut Value, old: &Value) {
    let Some(metadata) = new["metadata"].as_object_mut() else {
        return;
    };
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        match &old["metadata"][field] {
            Value::Null => metadata.shift_remove(field),
            kept => metadata.insert(field.to_owned(), kept.clone()),
        };
    }
}

/// Whether deleting has to wait for somebody who asked to be asked.
pub fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|list| !list.is_empty())
}

/// Whether deletion has begun.
pub fn is_terminating(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_rfc_1123() {
        for good in ["a", "a.b-c", "0", "kube-root-ca.crt"] {
            assert!(check_name(NameRule::Subdomain, good).is_ok(), "{good}");
        }
        for bad in ["", "A", "-a", "a-", "a..b", "a_b", "a/b"] {
            assert!(check_name(NameRule::Subdomain, bad).is_err(), "{bad}");
        }
        assert!(check_name(NameRule::Label, "a.b").is_err());
        assert!(check_name(NameRule::PathSegment, "system:node").is_ok());
        assert!(check_name(NameRule::PathSegment, "..").is_err());
    }
}
