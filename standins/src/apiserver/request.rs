//! Parsed requests for objects.

use std::collections::HashMap;

use hyper::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::status::{ApiError, ApiResult};

/// A served resource.
#[derive(Debug)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// `configmaps`
    pub plural: &'static str,
    /// `ConfigMap`
    pub kind: &'static str,
    /// kubectl's short name: `cm`.
    pub short: &'static str,
    pub namespaced: bool,
}

/// All served resources: what hakube and its nodes need, and config maps for data to lose. Role bindings are
/// stored, but not evaluated.
pub static RESOURCES: [Resource; 5] = [
    Resource {
        group: "",
        plural: "configmaps",
        kind: "ConfigMap",
        short: "cm",
        namespaced: true,
    },
    Resource {
        group: "",
        plural: "secrets",
        kind: "Secret",
        short: "",
        namespaced: true,
    },
    Resource {
        group: "",
        plural: "nodes",
        kind: "Node",
        short: "no",
        namespaced: false,
    },
    Resource {
        group: "coordination.k8s.io",
        plural: "leases",
        kind: "Lease",
        short: "",
        namespaced: true,
    },
    Resource {
        group: "rbac.authorization.k8s.io",
        plural: "clusterrolebindings",
        kind: "ClusterRoleBinding",
        short: "",
        namespaced: false,
    },
];

/// The namespaces that exist.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

impl Resource {
    /// `v1`, `coordination.k8s.io/v1`
    pub fn api_version(&self) -> String {
        match self.group {
            "" => "v1".to_owned(),
            group => format!("{group}/v1"),
        }
    }

    /// `configmaps`, `leases.coordination.k8s.io`: as in error messages.
    pub fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

/// What to do with an object or a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    List,
    Create,
    Update,
    Patch,
    Delete,
}

/// A request for an object or a collection.
#[derive(Debug)]
pub struct Call {
    pub verb: Verb,
    pub resource: &'static Resource,
    /// Empty for none: cluster-wide, or a list of all namespaces.
    pub namespace: String,
    /// Empty for a collection.
    pub name: String,
    /// The fields that listed objects must have: JSON pointers and values.
    pub selectors: Vec<(String, String)>,
}

/// The decoded segments of a path.
pub fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect()
}

impl Call {
    pub fn parse(method: &Method, segments: &[&str], query: Option<&str>) -> ApiResult<Self> {
        let (group, rest) = match segments {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, "v1", rest @ ..] => (*group, rest),
            _ => return Err(ApiError::no_such_path()),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name) = match rest {
            [plural] => (*plural, ""),
            // A node's status is a part of the node.
            [plural, name] | [plural @ "nodes", name, "status"] => (*plural, *name),
            _ => return Err(ApiError::no_such_path()),
        };
        let resource = RESOURCES
            .iter()
            .find(|resource| resource.group == group && resource.plural == plural)
            .ok_or_else(ApiError::no_such_path)?;
        if [namespace, name].iter().any(|part| part.contains('/')) {
            return Err(ApiError::bad_request("a name can't have a slash"));
        }
        let verb = match (method.as_str(), name.is_empty()) {
            ("GET", false) => Verb::Get,
            ("GET", true) => Verb::List,
            ("POST", true) => Verb::Create,
            ("PUT", false) => Verb::Update,
            ("PATCH", false) => Verb::Patch,
            ("DELETE", false) => Verb::Delete,
            _ => return Err(ApiError::unsupported("this method")),
        };
        let is_placed = resource.namespaced != namespace.is_empty();
        let lists_all = verb == Verb::List && namespace.is_empty();
        if !is_placed && !lists_all {
            return Err(ApiError::no_such_path());
        }
        if verb == Verb::Create && resource.namespaced && !NAMESPACES.contains(&namespace) {
            let message = format!("there is no namespace {namespace:?}: a stand-in has only four");
            return Err(ApiError::bad_request(message));
        }
        let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let query: HashMap<String, String> = query.into_owned().collect();
        if query.get("watch").is_some_and(|value| value != "false") {
            return Err(ApiError::unsupported("watches"));
        }
        if query.contains_key("dryRun") {
            return Err(ApiError::unsupported("dry runs"));
        }
        Ok(Self {
            verb,
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            selectors: selectors(&query)?,
        })
    }

    /// The key of an object in the collection; of the collection itself, with a slash at the end, for no name.
    pub fn key(&self, name: &str) -> String {
        let plural = self.resource.plural;
        match self.namespace.as_str() {
            "" => format!("/registry/{plural}/{name}"),
            namespace => format!("/registry/{plural}/{namespace}/{name}"),
        }
    }

    /// Whether a listed object has the selected fields.
    pub fn selects(&self, object: &Value) -> bool {
        self.selectors.iter().all(|(pointer, value)| {
            let field = object.pointer(pointer).and_then(Value::as_str);
            field == Some(value)
        })
    }
}

fn selectors(query: &HashMap<String, String>) -> ApiResult<Vec<(String, String)>> {
    let mut selectors = Vec::new();
    for (parameter, prefix) in [
        ("labelSelector", "/metadata/labels/"),
        ("fieldSelector", "/"),
    ] {
        let text = query.get(parameter).map(String::as_str).unwrap_or_default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let pair = part.split_once("==").or_else(|| part.split_once('='));
            let (key, value) = pair
                .filter(|(key, _)| !key.ends_with('!'))
                .ok_or_else(|| ApiError::unsupported("selectors other than key=value"))?;
            let path = match parameter {
                "labelSelector" => key.replace('/', "~1"),
                _ => key.replace('.', "/"),
            };
            selectors.push((format!("{prefix}{path}"), value.to_owned()));
        }
    }
    Ok(selectors)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn call(method: Method, path: &str, query: &str) -> ApiResult<Call> {
        let segments = segments(path);
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Call::parse(&method, &segments, Some(query))
    }

    #[test]
    fn paths_and_methods_are_calls() {
        let get = call(Method::GET, "/api/v1/namespaces/a/configmaps/b", "").unwrap();
        assert_eq!(get.verb, Verb::Get);
        assert_eq!(get.key(&get.name), "/registry/configmaps/a/b");
        let leases = "/apis/coordination.k8s.io/v1/leases";
        let list = call(Method::GET, leases, "watch=false").unwrap();
        assert_eq!(list.verb, Verb::List);
        assert_eq!(list.key(""), "/registry/leases/");
        let status = call(Method::PATCH, "/api/v1/nodes/n%3A1/status", "").unwrap();
        assert_eq!(status.key(&status.name), "/registry/nodes/n:1");
    }

    #[test]
    fn other_requests_are_refused() {
        for (method, path, query) in [
            (Method::GET, "/api/v1/pods", ""),
            (Method::GET, "/api/v1/nodes", "watch=true"),
            (Method::POST, "/api/v1/configmaps", ""),
            (Method::POST, "/api/v1/namespaces/team/configmaps", ""),
            (Method::GET, "/api/v1/namespaces/a/nodes/n", ""),
            (Method::GET, "/api/v1/namespaces/a%2Fb/configmaps/c", ""),
            (Method::GET, "/api/v1/nodes", "labelSelector=a+in+(b)"),
            (
                Method::GET,
                "/api/v1/nodes",
                "fieldSelector=metadata.name!%3Da",
            ),
            (Method::DELETE, "/api/v1/nodes", ""),
        ] {
            assert!(call(method, path, query).is_err(), "{path}?{query}");
        }
    }

    #[test]
    fn selectors_compare_labels_and_fields() {
        let node = json!({"metadata": {"name": "n", "labels": {"a.io/zone": "b"}}});
        let selects = |query| {
            let list = call(Method::GET, "/api/v1/nodes", query);
            list.unwrap().selects(&node)
        };
        assert!(selects("labelSelector=a.io%2Fzone%3Db"));
        assert!(selects("fieldSelector=metadata.name%3Dn"));
        assert!(!selects("labelSelector=a.io%2Fzone%3Dc"));
        assert!(!selects("fieldSelector=metadata.name%3D%3Dm"));
        assert!(!selects("labelSelector=x%3D"));
    }
}
