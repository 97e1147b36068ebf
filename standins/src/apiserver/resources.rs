//! The resources that are served. Adding one is one line in [`RESOURCES`].

use serde_json::Value;

/// Which names an object may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// RFC 1123 label (namespaces).
    Label,
    /// RFC 1123 subdomain (nearly all).
    Subdomain,
    /// Whatever fits in a path segment (RBAC: `system:masters-binding`).
    PathSegment,
}

/// A resource: how it is called, where it lives, what it can do.
#[derive(Debug, PartialEq, Eq)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version within the group.
    pub version: &'static str,
    /// `configmaps`
    pub plural: &'static str,
    /// `configmap`
    pub singular: &'static str,
    /// `ConfigMap`
    pub kind: &'static str,
    /// What kubectl users type: `cm`.
    pub short: &'static [&'static str],
    /// Lives in a namespace.
    pub namespaced: bool,
    /// Has a /status subresource of its own.
    pub status: bool,
    /// An update must say which version it was made from (real: `AllowUnconditionalUpdate`).
    pub needs_version: bool,
    /// Which names are valid.
    pub name_rule: NameRule,
    /// Field selectors besides `metadata.name` and `metadata.namespace`.
    pub fields: &'static [&'static str],
}

impl Resource {
    const fn new(
        group: &'static str,
        plural: &'static str,
        singular: &'static str,
        kind: &'static str,
        short: &'static [&'static str],
    ) -> Self {
        Self {
            group,
            version: "v1",
            plural,
            singular,
            kind,
            short,
            namespaced: true,
            status: false,
            needs_version: false,
            name_rule: NameRule::Subdomain,
            fields: &[],
        }
    }

    const fn cluster_wide(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    const fn needs_version(mut self) -> Self {
        self.needs_version = true;
        self
    }

    const fn names(mut self, rule: NameRule) -> Self {
        self.name_rule = rule;
        self
    }

    const fn fields(mut self, fields: &'static [&'static str]) -> Self {
        self.fields = fields;
        self
    }

    /// `v1`, `coordination.k8s.io/v1`
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `configmaps`, `leases.coordination.k8s.io`: as error messages have it.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Gives an object the `apiVersion` and `kind` that it must have.
    pub fn stamp(&self, object: &mut Value) {
        object["apiVersion"] = self.api_version().into();
        object["kind"] = self.kind.into();
    }

    /// Whether it is the resource `plural` of the core group.
    pub fn is_core(&self, plural: &str) -> bool {
        self.group.is_empty() && self.plural == plural
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// Everything that is served. RBAC objects are stored, so that manifests apply, but nothing evaluates
/// them: see `authz`.
pub static RESOURCES: &[Resource] = &[
    Resource::new("", "configmaps", "configmap", "ConfigMap", &["cm"]),
    Resource::new("", "secrets", "secret", "Secret", &[]).fields(&["type"]),
    NAMESPACES,
    Resource::new("", "nodes", "node", "Node", &["no"])
        .cluster_wide()
        .with_status()
        .fields(&["spec.unschedulable"]),
    Resource::new("", "events", "event", "Event", &["ev"]).fields(EVENT_FIELDS),
    Resource::new(
        "",
        "serviceaccounts",
        "serviceaccount",
        "ServiceAccount",
        &["sa"],
    ),
    Resource::new("coordination.k8s.io", "leases", "lease", "Lease", &[]).needs_version(),
    Resource::new(RBAC, "clusterroles", "clusterrole", "ClusterRole", &[])
        .cluster_wide()
        .names(NameRule::PathSegment),
    Resource::new(
        RBAC,
        "clusterrolebindings",
        "clusterrolebinding",
        "ClusterRoleBinding",
        &[],
    )
    .cluster_wide()
    .names(NameRule::PathSegment),
    Resource::new(RBAC, "roles", "role", "Role", &[]).names(NameRule::PathSegment),
    Resource::new(RBAC, "rolebindings", "rolebinding", "RoleBinding", &[])
        .names(NameRule::PathSegment),
];

/// The one resource that the server itself needs: nothing is created outside of a namespace.
pub const NAMESPACES: Resource = Resource::new("", "namespaces", "namespace", "Namespace", &["ns"])
    .cluster_wide()
    .with_status()
    .names(NameRule::Label)
    .fields(&["status.phase"]);

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "source",
    "type",
];

/// Finds a resource.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES
        .iter()
        .find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// The groups and versions that are served, in the table's order, the core group first.
pub fn group_versions() -> Vec<(&'static str, &'static str)> {
    let mut all = Vec::new();
    for resource in RESOURCES {
        let one = (resource.group, resource.version);
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}
