//! What is particular to a resource on create and update: Kubernetes' registry strategies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::object;
use super::resources::Resource;
use super::status::{ApiError, ApiResult};

/// Completes and checks a new object.
pub fn prepare_create(resource: &Resource, new: &mut Value) -> ApiResult<()> {
    if resource.is_core("namespaces") {
        let name = object::metadata(new, "name").to_owned();
        new["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
        new["spec"] = json!({"finalizers": ["kubernetes"]});
        new["status"] = json!({"phase": "Active"});
    }
    complete(resource, new)
}

/// Completes and checks `new`, which replaces `old`; with `status`, it is the status that is replaced
/// and nothing else, otherwise everything but the status.
pub fn prepare_update(
    resource: &Resource,
    new: &mut Value,
    old: &Value,
    status: bool,
) -> ApiResult<()> {
    if status {
        let replaced = std::mem::take(&mut new["status"]);
        let version = new["metadata"]["resourceVersion"].take();
        *new = old.clone();
        new["status"] = replaced;
        new["metadata"]["resourceVersion"] = version;
    } else if resource.status {
        keep(new, old, "status");
    }
    if resource.is_core("namespaces") {
        keep(new, old, "spec");
    }
    if resource.is_core("secrets") {
        if new["type"].is_null() {
            keep(new, old, "type");
        } else if new["type"] != old["type"] {
            return Err(immutable(resource, new, "type"));
        }
    }
    complete(resource, new)?;
    let sealed = old["immutable"] == true && matches!(resource.plural, "configmaps" | "secrets");
    if sealed
        && ["immutable", "data", "binaryData"]
            .iter()
            .any(|field| new[*field] != old[*field])
    {
        return Err(immutable(resource, new, "data"));
    }
    Ok(())
}

fn keep(new: &mut Value, old: &Value, field: &str) {
    match old.get(field) {
        Some(value) => new[field] = value.clone(),
        None => drop(
            new.as_object_mut()
                .and_then(|object| object.shift_remove(field)),
        ),
    }
}

fn immutable(resource: &Resource, new: &Value, field: &str) -> ApiError {
    let problem = "Forbidden: field is immutable when `immutable` is set, or always".to_owned();
    ApiError::invalid(
        resource,
        object::metadata(new, "name"),
        &[(field.to_owned(), problem)],
    )
}

fn complete(resource: &Resource, new: &mut Value) -> ApiResult<()> {
    if resource.is_core("secrets") {
        complete_secret(new);
    }
    object::validate(resource, new)?;
    let causes: Vec<_> = match (resource.group, resource.plural) {
        ("", "secrets") => bad_entries(new, "data", is_base64, "must be base64"),
        ("", "configmaps") => {
            let mut causes = bad_entries(new, "data", Value::is_string, "must be text");
            causes.extend(bad_entries(new, "binaryData", is_base64, "must be base64"));
            causes
        }
        _ => Vec::new(),
    };
    if causes.is_empty() {
        Ok(())
    } else {
        Err(ApiError::invalid(
            resource,
            object::metadata(new, "name"),
            &causes,
        ))
    }
}

/// `stringData` is for writing only: it ends up in `data`.
fn complete_secret(new: &mut Value) {
    let Some(secret) = new.as_object_mut() else {
        return;
    };
    if let Some(Value::Object(plain)) = secret.shift_remove("stringData") {
        let data = secret
            .entry("data")
            .or_insert_with(|| Value::Object(Map::new()));
        for (key, value) in plain {
            data[key] = STANDARD.encode(value.as_str().unwrap_or_default()).into();
        }
    }
    if secret
        .get("type")
        .is_none_or(|kind| kind.is_null() || kind == "")
    {
        secret.insert("type".to_owned(), "Opaque".into());
    }
}

fn is_base64(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| STANDARD.decode(text).is_ok())
}

/// Never quotes a value: it may be a secret.
fn bad_entries(
    new: &Value,
    field: &str,
    good: fn(&Value) -> bool,
    must: &str,
) -> Vec<(String, String)> {
    match &new[field] {
        Value::Null => Vec::new(),
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !good(value))
            .map(|(key, _)| (format!("{field}[{key}]"), format!("Invalid value: {must}")))
            .collect(),
        _ => vec![(field.to_owned(), "Invalid value: must be a map".to_owned())],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::apiserver::resources;

    fn core(plural: &str) -> &'static Resource {
        resources::find("", "v1", plural).unwrap()
    }

    #[test]
    fn string_data_is_folded_into_data() {
        let mut secret = json!({"metadata": {"name": "s"}, "stringData": {"k": "v"}});
        prepare_create(core("secrets"), &mut secret).unwrap();
        assert_eq!(
            secret,
            json!({"metadata": {"name": "s"}, "data": {"k": "dg=="}, "type": "Opaque"})
        );
    }

    #[test]
    fn a_secret_that_is_not_base64_is_refused_without_being_quoted() {
        let mut secret = json!({"metadata": {"name": "s"}, "data": {"k": "hunter2!"}});
        let said = prepare_create(core("secrets"), &mut secret)
            .unwrap_err()
            .message;
        assert!(
            said.contains("data[k]") && !said.contains("hunter2"),
            "{said}"
        );
    }

    #[test]
    fn status_and_the_rest_are_written_through_different_doors() {
        let old = json!({"metadata": {"name": "n"}, "spec": {"a": 1}, "status": {"b": 1}});
        let wanted = json!({"metadata": {"name": "n"}, "spec": {"a": 2}, "status": {"b": 2}});
        let mut new = wanted.clone();
        prepare_update(core("nodes"), &mut new, &old, false).unwrap();
        assert_eq!(
            (&new["spec"]["a"], &new["status"]["b"]),
            (&json!(2), &json!(1))
        );
        let mut new = wanted;
        prepare_update(core("nodes"), &mut new, &old, true).unwrap();
        assert_eq!(
            (&new["spec"]["a"], &new["status"]["b"]),
            (&json!(1), &json!(2))
        );
    }

    #[test]
    fn an_immutable_configmap_stays_as_it_is() {
        let old = json!({"metadata": {"name": "c"}, "data": {"k": "v"}, "immutable": true});
        let mut new = json!({"metadata": {"name": "c"}, "data": {"k": "w"}, "immutable": true});
        assert!(prepare_update(core("configmaps"), &mut new, &old, false).is_err());
    }
}
