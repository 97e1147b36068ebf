//! Discovery, for kubectl.

use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::request::RESOURCES;
use super::serve::{self, Body, respond};

/// The response for a discovery path; `None` for other paths.
pub fn answer(path: &[&str]) -> Option<Response<Body>> {
    let document = match path {
        ["api"] => json!({"kind": "APIVersions", "versions": ["v1"]}),
        ["apis"] => json!({
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": RESOURCES
                .iter()
                .filter(|resource| !resource.group.is_empty())
                .map(|resource| {
                    let version = json!({"groupVersion": resource.api_version(), "version": "v1"});
                    json!({"name": resource.group, "versions": [version], "preferredVersion": version})
                })
                .collect::<Vec<_>>(),
        }),
        ["api", "v1"] => resource_list("")?,
        ["apis", group, "v1"] => resource_list(group)?,
        // No schemas. With an empty document (zero bytes of protobuf), kubectl doesn't validate on its side.
        ["openapi", "v2"] => return Some(respond(StatusCode::OK, OPENAPI_V2, "")),
        ["openapi", "v3"] => json!({"paths": {}}),
        _ => return None,
    };
    Some(serve::json(StatusCode::OK, &document))
}

const OPENAPI_V2: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

fn resource_list(group: &str) -> Option<Value> {
    let served = RESOURCES.iter().filter(|resource| resource.group == group);
    let api_version = served.clone().next()?.api_version();
    let resources: Vec<Value> = served
        .map(|resource| {
            let shorts = [resource.short].into_iter();
            json!({
                "name": resource.plural,
                "singularName": resource.kind.to_lowercase(),
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": ["create", "delete", "get", "list", "patch", "update"],
                "shortNames": shorts.filter(|short| !short.is_empty()).collect::<Vec<_>>(),
            })
        })
        .collect();
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": resources,
    }))
}
