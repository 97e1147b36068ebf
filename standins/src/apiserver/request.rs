//! What a request asks for: Kubernetes' `RequestInfo`.

use std::collections::HashMap;

use hyper::Method;
use percent_encoding::percent_decode_str;

/// Query parameters. A repeated one keeps its first value, as in Go.
pub type Query = HashMap<String, String>;

/// A request, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestInfo {
    /// An object, or a collection of them.
    Resource(ResourceRequest),
    /// Everything else: health, discovery, version.
    Path(String),
}

/// A request for an object or a collection. The resource may not exist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceRequest {
    /// As authorisation sees it: get, list, watch, create, update, patch, delete, deletecollection.
    pub verb: &'static str,
    /// API group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural name.
    pub resource: String,
    /// `status`, say; empty for none.
    pub subresource: String,
    /// Empty for none (cluster-wide, or all namespaces).
    pub namespace: String,
    /// Empty for a collection.
    pub name: String,
}

impl RequestInfo {
    /// Takes a request line apart.
    pub fn parse(method: &Method, path: &str, query: &Query) -> Self {
        let segments: Vec<_> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
            .collect();
        let parts: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return Self::Path(path.to_owned()),
        };
        let (namespace, rest) = match rest {
            // /namespaces/x and its own subresources are about the namespace itself.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, inner @ ..] if !inner.is_empty() => (*namespace, inner),
            _ => ("", rest),
        };
        let (resource, name, subresource) = match rest {
            [resource] => (*resource, "", ""),
            [resource, name] => (*resource, *name, ""),
            [resource, name, subresource] => (*resource, *name, *subresource),
            _ => return Self::Path(path.to_owned()),
        };
        let mut request = ResourceRequest {
            verb: verb(method, name, query),
            group: group.to_owned(),
            version: version.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        // Real authorisers see the namespace of a namespace as itself.
        if request.resource == "namespaces" && request.group.is_empty() {
            request.namespace = request.name.clone();
        }
        Self::Resource(request)
    }
}

fn verb(method: &Method, name: &str, query: &Query) -> &'static str {
    let watch = query
        .get("watch")
        .is_some_and(|value| value != "false" && value != "0");
    match (method.as_str(), name.is_empty()) {
        ("GET" | "HEAD", true) if watch => "watch",
        ("GET" | "HEAD", true) => "list",
        ("GET" | "HEAD", false) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "deletecollection",
        ("DELETE", false) => "delete",
        _ => "",
    }
}

/// Parses a query string.
pub fn parse_query(query: Option<&str>) -> Query {
    let mut parsed = Query::new();
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        parsed
            .entry(key.into_owned())
            .or_insert_with(|| value.into_owned());
    }
    parsed
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    fn resource(method: Method, path: &str, query: &str) -> ResourceRequest {
        match RequestInfo::parse(&method, path, &parse_query(Some(query))) {
            RequestInfo::Resource(request) => request,
            RequestInfo::Path(path) => panic!("{path} taken for a non-resource"),
        }
    }

    #[test]
    fn a_namespace_is_both_a_place_and_a_thing() {
        let inside = resource(Method::GET, "/api/v1/namespaces/a/configmaps/b", "");
        assert_eq!(
            (
                inside.resource.as_str(),
                inside.namespace.as_str(),
                inside.name.as_str()
            ),
            ("configmaps", "a", "b")
        );
        let itself = resource(Method::PUT, "/api/v1/namespaces/a/status", "");
        assert_eq!(
            (
                itself.resource.as_str(),
                itself.name.as_str(),
                itself.subresource.as_str()
            ),
            ("namespaces", "a", "status")
        );
    }

    #[test]
    fn verbs_follow_method_name_and_watch() {
        let path = "/apis/coordination.k8s.io/v1/leases";
        assert_eq!(resource(Method::GET, path, "").verb, "list");
        assert_eq!(resource(Method::GET, path, "watch=true").verb, "watch");
        assert_eq!(resource(Method::GET, path, "watch=false").verb, "list");
        assert_eq!(resource(Method::DELETE, path, "").verb, "deletecollection");
        assert_eq!(
            resource(Method::DELETE, "/api/v1/nodes/n", "").verb,
            "delete"
        );
    }

    #[test]
    fn an_escaped_slash_stays_inside_its_segment() {
        let request = resource(
            Method::GET,
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode%2Fx",
            "",
        );
        assert_eq!(request.name, "system:node/x");
    }

    #[test]
    fn queries_are_decoded() {
        let query = parse_query(Some("labelSelector=a%3Db%2Cc+in+(d)&limit=5&limit=6"));
        assert_eq!(query["labelSelector"], "a=b,c in (d)");
        assert_eq!(query["limit"], "5");
    }
}
