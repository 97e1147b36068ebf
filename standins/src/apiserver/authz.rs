//! Who may do what: a fixed policy, small and honest.
//!
//! RBAC objects are stored but not evaluated. What is here is what Kubernetes' default roles give the
//! components of a control plane, cut down to the resources that exist:
//!
//! | who | may |
//! |---|---|
//! | group `system:masters` | everything |
//! | everybody | read `/healthz`, `/livez`, `/readyz`, `/version` |
//! | the authenticated | discovery |
//! | `system:kube-controller-manager`, `system:kube-scheduler` | read everything but secrets; write leases and configmaps in `kube-system`, events, node status |
//! | group `system:nodes` | read nodes; write its own node, and its own lease in `kube-node-lease`; events |
//! | group `system:bootstrappers` | the same for any node. Real ones may only ask for a certificate; there is no such API here |

use super::auth::{AUTHENTICATED, User};
use super::request::{RequestInfo, ResourceRequest};
use super::status::{ApiError, ApiResult};

const READ: &[&str] = &["get", "list", "watch"];
const NODE_LEASES: &str = "kube-node-lease";
const NODE_USER: &str = "system:node:";

/// Refuses what the policy doesn't allow, in Kubernetes' words.
pub fn authorize(user: &User, request: &RequestInfo, method: &str) -> ApiResult<()> {
    match request {
        RequestInfo::Path(path) if may_read_path(user, path, method) => Ok(()),
        RequestInfo::Path(path) => Err(ApiError::forbidden(format!(
            "forbidden: User {:?} cannot {} path {path:?}",
            user.name,
            method.to_lowercase()
        ))),
        RequestInfo::Resource(request) if may(user, request) => Ok(()),
        RequestInfo::Resource(request) => Err(refusal(user, request)),
    }
}

/// What can only be judged when the object is known: a node creates nothing under another's name.
/// Kubernetes' NodeRestriction admission.
pub fn admit(user: &User, request: &ResourceRequest, name: &str) -> ApiResult<()> {
    let own = user.name.strip_prefix(NODE_USER);
    if !user.is_in("system:masters")
        && user.is_in("system:nodes")
        && request.resource != "events"
        && own != Some(name)
    {
        return Err(ApiError::forbidden(format!(
            "{} {name:?} is forbidden: node {:?} is not allowed to {} the object of another",
            request.resource,
            own.unwrap_or_default(),
            request.verb
        )));
    }
    Ok(())
}

fn may_read_path(user: &User, path: &str, method: &str) -> bool {
    if user.is_in("system:masters") {
        return true;
    }
    let below = |root: &str| {
        path == root
            || path
                .strip_prefix(root)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    let public = ["/healthz", "/livez", "/readyz", "/version"]
        .into_iter()
        .any(below);
    let discovery = path == "/" || ["/api", "/apis", "/openapi"].into_iter().any(below);
    matches!(method, "GET" | "HEAD") && (public || (discovery && user.is_in(AUTHENTICATED)))
}

fn may(user: &User, request: &ResourceRequest) -> bool {
    if user.is_in("system:masters") {
        return true;
    }
    match user.name.as_str() {
        "system:kube-controller-manager" | "system:kube-scheduler" => controller_may(request),
        name if user.is_in("system:nodes") => name
            .strip_prefix(NODE_USER)
            .is_some_and(|node| node_may(request, Some(node))),
        _ if user.is_in("system:bootstrappers") => node_may(request, None),
        _ => false,
    }
}

fn controller_may(request: &ResourceRequest) -> bool {
    let reads = READ.contains(&request.verb);
    match (request.group.as_str(), request.resource.as_str()) {
        (_, "secrets") => false,
        _ if reads => true,
        ("coordination.k8s.io", "leases") | ("", "configmaps") => {
            request.namespace == "kube-system"
        }
        ("", "events") => matches!(request.verb, "create" | "patch" | "update"),
        ("", "nodes") => {
            request.subresource == "status" && matches!(request.verb, "patch" | "update")
        }
        _ => false,
    }
}

/// `own` is the only node whose objects may be written; `None` for any.
fn node_may(request: &ResourceRequest, own: Option<&str>) -> bool {
    let about_own = own.is_none_or(|own| request.name == own);
    // A creation names its object in the body only: see `admit`.
    let writes = match request.verb {
        "create" => request.name.is_empty(),
        "update" | "patch" => about_own,
        _ => false,
    };
    match (
        request.group.as_str(),
        request.resource.as_str(),
        request.subresource.as_str(),
    ) {
        ("", "nodes", "") => READ.contains(&request.verb) || writes,
        ("", "nodes", "status") => writes && request.verb != "create",
        ("coordination.k8s.io", "leases", "") => {
            request.namespace == NODE_LEASES
                && (writes || (matches!(request.verb, "get" | "delete") && about_own))
        }
        ("", "events", "") => matches!(request.verb, "create" | "patch" | "update"),
        _ => false,
    }
}

fn refusal(user: &User, request: &ResourceRequest) -> ApiError {
    let ResourceRequest {
        verb,
        group,
        resource,
        subresource,
        namespace,
        name,
        ..
    } = request;
    let qualified = if group.is_empty() {
        resource.clone()
    } else {
        format!("{resource}.{group}")
    };
    let subject = if name.is_empty() {
        qualified
    } else {
        format!("{qualified} {name:?}")
    };
    let what = if subresource.is_empty() {
        resource.clone()
    } else {
        format!("{resource}/{subresource}")
    };
    let scope = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {namespace:?}")
    };
    ApiError::forbidden(format!(
        "{subject} is forbidden: User {:?} cannot {verb} resource {what:?} in API group {group:?} {scope}",
        user.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::request::parse_query;
    use hyper::Method;

    fn allowed(name: &str, group: &str, method: Method, target: &str) -> bool {
        let user = User {
            name: name.to_owned(),
            groups: vec![group.to_owned(), AUTHENTICATED.to_owned()],
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = RequestInfo::parse(&method, path, &parse_query(Some(query)));
        authorize(&user, &request, method.as_str()).is_ok()
    }

    const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces";

    #[test]
    fn a_node_keeps_to_itself() {
        let node = |method, target: &str| allowed("system:node:a", "system:nodes", method, target);
        assert!(node(Method::POST, "/api/v1/nodes"));
        assert!(node(Method::PUT, "/api/v1/nodes/a/status"));
        assert!(node(Method::GET, "/api/v1/nodes/b"));
        assert!(!node(Method::PUT, "/api/v1/nodes/b/status"));
        assert!(!node(Method::DELETE, "/api/v1/nodes/a"));
        assert!(node(
            Method::PUT,
            &format!("{LEASES}/kube-node-lease/leases/a")
        ));
        assert!(!node(
            Method::PUT,
            &format!("{LEASES}/kube-node-lease/leases/b")
        ));
        assert!(!node(
            Method::GET,
            "/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef"
        ));
    }

    #[test]
    fn controllers_lead_from_kube_system_and_read_no_secrets() {
        let scheduler =
            |method, target: &str| allowed("system:kube-scheduler", "x", method, target);
        assert!(scheduler(
            Method::POST,
            &format!("{LEASES}/kube-system/leases")
        ));
        assert!(!scheduler(
            Method::POST,
            &format!("{LEASES}/default/leases")
        ));
        assert!(scheduler(Method::GET, "/api/v1/nodes?watch=true"));
        assert!(!scheduler(Method::GET, "/api/v1/secrets"));
        assert!(!scheduler(Method::DELETE, "/api/v1/nodes/a"));
    }

    #[test]
    fn strangers_see_health_and_nothing_else() {
        let stranger = User {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
        };
        let may = |path: &str| {
            authorize(
                &stranger,
                &RequestInfo::parse(&Method::GET, path, &parse_query(None)),
                "GET",
            )
            .is_ok()
        };
        assert!(
            may("/readyz")
                && may("/readyz/etcd")
                && may("/livez")
                && may("/healthz")
                && may("/version")
        );
        assert!(!may("/readyzzz") && !may("/api") && !may("/api/v1/nodes") && !may("/openapi/v2"));
    }

    #[test]
    fn refusals_read_as_in_kubernetes() {
        let user = User {
            name: "jane".to_owned(),
            groups: vec![AUTHENTICATED.to_owned()],
        };
        let request = RequestInfo::parse(
            &Method::GET,
            "/api/v1/namespaces/default/configmaps",
            &parse_query(None),
        );
        let said = authorize(&user, &request, "GET").map_err(|error| error.message);
        assert_eq!(
            said,
            Err("configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the \
                 namespace \"default\"".to_owned())
        );
    }
}
