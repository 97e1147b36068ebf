//! What is served, for clients that ask first: /api, /apis, /version, /openapi.

use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::handlers::VERBS;
use super::resources::{RESOURCES, group_versions};
use super::status::{json_response, respond};
use crate::serve::Body;
use crate::version::Version;

/// Answers a discovery path; `None` for any other.
pub fn answer(path: &str, version: &Version) -> Option<Response<Body>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let document = match parts.as_slice() {
        [] => {
            json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/readyz", "/version"]})
        }
        ["version"] => version.info(),
        ["api"] => {
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        }
        ["apis"] => json!({
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": named_groups().map(|(name, version)| group(name, version)).collect::<Vec<_>>(),
        }),
        ["apis", name] => {
            let (name, version) = named_groups().find(|(group, _)| group == name)?;
            let mut found = group(name, version);
            found["kind"] = "APIGroup".into();
            found["apiVersion"] = "v1".into();
            found
        }
        ["api", version] => resource_list("", version)?,
        ["apis", group, version] => resource_list(group, version)?,
        // No schemas: with an empty document, which is what zero bytes of protobuf are, kubectl
        // validates nothing on its side. It asks for protobuf here up to 1.2x, whatever else it does.
        ["openapi", "v2"] => return Some(respond(StatusCode::OK, OPENAPI_V2, "")),
        ["openapi", "v3"] => json!({"paths": {}}),
        _ => return None,
    };
    Some(json_response(StatusCode::OK, &document))
}

const OPENAPI_V2: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

fn named_groups() -> impl Iterator<Item = (&'static str, &'static str)> {
    group_versions()
        .into_iter()
        .filter(|(group, _)| !group.is_empty())
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resource_list(group: &str, version: &str) -> Option<Value> {
    let mut entries = Vec::new();
    for resource in RESOURCES
        .iter()
        .filter(|r| r.group == group && r.version == version)
    {
        entries.push(json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": VERBS,
            "shortNames": resource.short,
        }));
        if resource.status {
            entries.push(json!({
                "name": format!("{}/status", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": ["get", "patch", "update"],
            }));
        }
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    (!entries.is_empty()).then(|| {
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries})
    })
}
