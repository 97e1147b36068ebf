//! Field numbers, from k8s.io/api's and apimachinery's generated.proto files.

use Type::{Bool, Bytes, Ignored, Int, Text};

/// A message: its fields, for JSON.
#[derive(Debug)]
pub struct Message {
    /// For error messages.
    pub name: &'static str,
    /// In no particular order.
    pub fields: &'static [Field],
}

/// A field.
#[derive(Debug)]
pub struct Field {
    /// On the wire.
    pub number: u64,
    /// In JSON.
    pub name: &'static str,
    /// Of the field, or of its elements.
    pub kind: Type,
    /// How many.
    pub cardinality: Cardinality,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    Text,
    /// base64 in JSON.
    Bytes,
    Int,
    Bool,
    /// With its form in JSON.
    Time(&'static str),
    Message(&'static Message),
    /// The server's own affair.
    Ignored,
}

/// How often a field may come.
#[derive(Debug, Clone, Copy)]
pub enum Cardinality {
    One,
    Many,
    /// From text to the field's type.
    Map,
}

/// The message for a kind.
pub fn find(kind: &str) -> Option<&'static Message> {
    KINDS.iter().find(|message| message.name == kind)
}

const fn one(number: u64, name: &'static str, kind: Type) -> Field {
    Field {
        number,
        name,
        kind,
        cardinality: Cardinality::One,
    }
}

const fn many(number: u64, name: &'static str, kind: Type) -> Field {
    Field {
        number,
        name,
        kind,
        cardinality: Cardinality::Many,
    }
}

const fn map(number: u64, name: &'static str, kind: Type) -> Field {
    Field {
        number,
        name,
        kind,
        cardinality: Cardinality::Map,
    }
}

const TIME: Type = Type::Time("%Y-%m-%dT%H:%M:%SZ");
const MICRO_TIME: Type = Type::Time("%Y-%m-%dT%H:%M:%S%.6fZ");
const METADATA: Field = one(1, "metadata", Type::Message(&OBJECT_META));

static KINDS: [Message; 10] = [
    Message {
        name: "ConfigMap",
        fields: &[
            METADATA,
            map(2, "data", Text),
            map(3, "binaryData", Bytes),
            one(4, "immutable", Bool),
        ],
    },
    Message {
        name: "Secret",
        fields: &[
            METADATA,
            map(2, "data", Bytes),
            one(3, "type", Text),
            map(4, "stringData", Text),
            one(5, "immutable", Bool),
        ],
    },
    Message {
        name: "Namespace",
        fields: &[METADATA, one(2, "spec", Ignored), one(3, "status", Ignored)],
    },
    Message {
        name: "ServiceAccount",
        fields: &[
            METADATA,
            many(2, "secrets", Type::Message(&OBJECT_REFERENCE)),
            many(3, "imagePullSecrets", Type::Message(&LOCAL_REFERENCE)),
            one(4, "automountServiceAccountToken", Bool),
        ],
    },
    Message {
        name: "Lease",
        fields: &[METADATA, one(2, "spec", Type::Message(&LEASE_SPEC))],
    },
    Message {
        name: "Role",
        fields: &[METADATA, many(2, "rules", Type::Message(&POLICY_RULE))],
    },
    Message {
        name: "ClusterRole",
        fields: &[METADATA, many(2, "rules", Type::Message(&POLICY_RULE))],
    },
    Message {
        name: "RoleBinding",
        fields: BINDING,
    },
    Message {
        name: "ClusterRoleBinding",
        fields: BINDING,
    },
    Message {
        name: "DeleteOptions",
        fields: &[
            one(1, "gracePeriodSeconds", Int),
            one(2, "preconditions", Type::Message(&PRECONDITIONS)),
            one(3, "orphanDependents", Bool),
            one(4, "propagationPolicy", Text),
            many(5, "dryRun", Text),
        ],
    },
];

const BINDING: &[Field] = &[
    METADATA,
    many(2, "subjects", Type::Message(&SUBJECT)),
    one(3, "roleRef", Type::Message(&ROLE_REF)),
];

static OBJECT_META: Message = Message {
    name: "ObjectMeta",
    fields: &[
        one(1, "name", Text),
        one(2, "generateName", Text),
        one(3, "namespace", Text),
        one(4, "selfLink", Ignored),
        one(5, "uid", Text),
        one(6, "resourceVersion", Text),
        one(7, "generation", Ignored),
        one(8, "creationTimestamp", TIME),
        one(9, "deletionTimestamp", TIME),
        one(10, "deletionGracePeriodSeconds", Int),
        map(11, "labels", Text),
        map(12, "annotations", Text),
        many(13, "ownerReferences", Type::Message(&OWNER_REFERENCE)),
        many(14, "finalizers", Text),
        one(17, "managedFields", Ignored),
    ],
};

static OWNER_REFERENCE: Message = Message {
    name: "OwnerReference",
    fields: &[
        one(1, "kind", Text),
        one(3, "name", Text),
        one(4, "uid", Text),
        one(5, "apiVersion", Text),
        one(6, "controller", Bool),
        one(7, "blockOwnerDeletion", Bool),
    ],
};

static OBJECT_REFERENCE: Message = Message {
    name: "ObjectReference",
    fields: &[
        one(1, "kind", Text),
        one(2, "namespace", Text),
        one(3, "name", Text),
        one(4, "uid", Text),
        one(5, "apiVersion", Text),
        one(6, "resourceVersion", Text),
        one(7, "fieldPath", Text),
    ],
};

static LOCAL_REFERENCE: Message = Message {
    name: "LocalObjectReference",
    fields: &[one(1, "name", Text)],
};

static LEASE_SPEC: Message = Message {
    name: "LeaseSpec",
    fields: &[
        one(1, "holderIdentity", Text),
        one(2, "leaseDurationSeconds", Int),
        one(3, "acquireTime", MICRO_TIME),
        one(4, "renewTime", MICRO_TIME),
        one(5, "leaseTransitions", Int),
        one(6, "strategy", Text),
        one(7, "preferredHolder", Text),
    ],
};

static POLICY_RULE: Message = Message {
    name: "PolicyRule",
    fields: &[
        many(1, "verbs", Text),
        many(2, "apiGroups", Text),
        many(3, "resources", Text),
        many(4, "resourceNames", Text),
        many(5, "nonResourceURLs", Text),
    ],
};

static SUBJECT: Message = Message {
    name: "Subject",
    fields: &[
        one(1, "kind", Text),
        one(2, "apiGroup", Text),
        one(3, "name", Text),
        one(4, "namespace", Text),
    ],
};

static ROLE_REF: Message = Message {
    name: "RoleRef",
    fields: &[
        one(1, "apiGroup", Text),
        one(2, "kind", Text),
        one(3, "name", Text),
    ],
};

static PRECONDITIONS: Message = Message {
    name: "Preconditions",
    fields: &[one(1, "uid", Text), one(2, "resourceVersion", Text)],
};
