//! Strategic merge patch, for the fields of the resources that are served: like a merge patch, except
//! that some lists are keyed.
//! <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>

use serde_json::{Map, Value};

/// Lists that merge by key, from the `patchMergeKey` tags of k8s.io/api. Other lists are replaced.
const KEYED: &[(&str, &str)] = &[
    ("conditions", "type"),
    ("addresses", "type"),
    ("ownerReferences", "uid"),
    ("imagePullSecrets", "name"),
];

/// Merges `patch` into `target`.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if patch
        .get("$patch")
        .is_some_and(|directive| directive == "replace")
        || !target.is_object()
    {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        // $setElementOrder and $retainKeys are about order and about unions, which nothing here has.
        if key.starts_with('$') {
            continue;
        }
        let merge_key = KEYED
            .iter()
            .find(|(list, _)| list == key)
            .map(|(_, merge_key)| *merge_key);
        match (value, merge_key) {
            (Value::Null, _) => drop(target.shift_remove(key)),
            (Value::Array(items), Some(merge_key)) => {
                merge_list(
                    target.entry(key.as_str()).or_insert(Value::Null),
                    items,
                    merge_key,
                );
            }
            _ => merge(target.entry(key.as_str()).or_insert(Value::Null), value),
        }
    }
}

fn merge_list(target: &mut Value, items: &[Value], merge_key: &str) {
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Some(target) = target.as_array_mut() else {
        return;
    };
    for item in items {
        let at = target
            .iter()
            .position(|existing| existing[merge_key] == item[merge_key]);
        match (at, item["$patch"] == "delete") {
            (Some(at), true) => drop(target.remove(at)),
            (Some(at), false) => merge(&mut target[at], item),
            (None, true) => {}
            (None, false) => {
                let mut new = Value::Null;
                merge(&mut new, item);
                target.push(new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn conditions_merge_by_type_and_directives_leave_no_trace() {
        let mut node = json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "x"}, {"type": "Other"}]}});
        merge(
            &mut node,
            &json!({"status": {
                "$setElementOrder/conditions": [{"type": "Ready"}],
                "conditions": [{"type": "Ready", "status": "Unknown"}, {"type": "Other", "$patch": "delete"}, {"type": "New"}],
            }}),
        );
        assert_eq!(
            node,
            json!({"status": {"conditions": [
                {"type": "Ready", "status": "Unknown", "reason": "x"}, {"type": "New"},
            ]}})
        );
    }

    #[test]
    fn other_lists_are_replaced() {
        let mut node = json!({"spec": {"taints": [{"key": "a"}]}});
        merge(&mut node, &json!({"spec": {"taints": [{"key": "b"}]}}));
        assert_eq!(node, json!({"spec": {"taints": [{"key": "b"}]}}));
    }
}
