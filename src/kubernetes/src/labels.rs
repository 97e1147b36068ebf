//! hakube's labels of a node, by server-side apply: the API server records which ones they are.
//!
//! Source: <https://kubernetes.io/docs/reference/using-api/server-side-apply/>

use hakube_addons::MANAGER;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use std::collections::BTreeMap;

/// Sets exactly these labels of hakube's on the node, overriding conflicts. False if there is no such node.
pub(super) async fn apply(
    nodes: &Api<Node>,
    name: &str,
    labels: &BTreeMap<String, String>,
) -> kube::Result<bool> {
    let Some(node) = nodes.get_opt(name).await? else {
        return Ok(false);
    };
    // With its UID: a node deleted in the meantime isn't recreated.
    let applied = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": node.metadata.uid, "labels": labels},
    });
    let params = PatchParams::apply(MANAGER).force();
    nodes.patch(name, &params, &Patch::Apply(&applied)).await?;
    Ok(true)
}

/// The labels that hakube applied and that exist; `None` if the API server doesn't record managers.
pub(super) fn applied(node: &ObjectMeta) -> Option<BTreeMap<String, String>> {
    let managed = node.managed_fields.as_ref()?;
    let mine = managed.iter().filter(|entry| {
        entry.manager.as_deref() == Some(MANAGER) && entry.operation.as_deref() == Some("Apply")
    });
    let keys = mine.filter_map(|entry| {
        let fields = &entry.fields_v1.as_ref()?.0;
        fields["f:metadata"]["f:labels"].as_object()
    });
    let there = node.labels.as_ref();
    let labels = keys.flat_map(|keys| keys.keys()).filter_map(|key| {
        let (key, value) = there?.get_key_value(key.strip_prefix("f:")?)?;
        Some((key.clone(), value.clone()))
    });
    Some(labels.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    /// A node as listed by API server 1.36, shortened.
    fn node(managed: serde_json::Value) -> ObjectMeta {
        serde_json::from_value(serde_json::json!({
            "name": "h1",
            "labels": {"disk": "ssd", "example.com/gpu": "a1", "other": "x"},
            "managedFields": managed,
        }))
        .unwrap()
    }

    #[test]
    fn applied_labels_are_distinguished_from_others() {
        let account = serde_json::json!([
            {"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
             "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:other": {}, "f:disk": {}}}}},
            {"manager": "hakube", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
             "fieldsV1": {"f:metadata": {"f:labels": {"f:other": {}}}}},
            {"manager": "hakube", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
             "fieldsV1": {"f:metadata": {"f:labels": {"f:example.com/gpu": {}, "f:gone": {}}}}},
        ]);
        let labels = applied(&node(account)).unwrap();
        assert_eq!(
            labels,
            BTreeMap::from([("example.com/gpu".to_owned(), "a1".to_owned())])
        );
        assert_eq!(applied(&node(serde_json::json!([]))), Some(BTreeMap::new()));
        assert_eq!(applied(&node(serde_json::Value::Null)), None);
    }
}
