//! The columns of `kubectl get nodes`. kubectl itself prints the name and age of everything else.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::request::{Call, Verb};

/// Whether the client requests a table of nodes.
pub fn is_wanted(call: &Call, accept: &str) -> bool {
    call.resource.plural == "nodes"
        && matches!(call.verb, Verb::Get | Verb::List)
        && accept.contains("as=Table;v=v1;")
}

/// The table of a node, or of a list of nodes.
pub fn of(answer: &Value, now: Timestamp) -> Value {
    let nodes = match answer["items"].as_array() {
        Some(items) => items.as_slice(),
        None => std::slice::from_ref(answer),
    };
    let columns = ["Name", "Status", "Roles", "Age", "Version"].map(|title| {
        let format = if title == "Name" { "name" } else { "" };
        json!({"name": title, "type": "string", "format": format, "description": "", "priority": 0})
    });
    let rows: Vec<Value> = nodes
        .iter()
        .map(|node| json!({"cells": cells(node, now), "object": node}))
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": answer["metadata"]["resourceVersion"]},
        "columnDefinitions": columns,
        "rows": rows,
    })
}

fn cells(node: &Value, now: Timestamp) -> [String; 5] {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let conditions = node["status"]["conditions"].as_array();
    let is_ready =
        |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    let mut status = match conditions.is_some_and(|all| all.iter().any(is_ready)) {
        true => "Ready".to_owned(),
        false => "NotReady".to_owned(),
    };
    if node["spec"]["unschedulable"] == true {
        status.push_str(",SchedulingDisabled");
    }
    let labels = node["metadata"]["labels"].as_object();
    let roles: Vec<&str> = labels
        .into_iter()
        .flat_map(|labels| labels.keys())
        .filter_map(|label| label.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    let roles = match roles.is_empty() {
        true => "<none>".to_owned(),
        false => roles.join(","),
    };
    let created = text(&node["metadata"]["creationTimestamp"]).parse::<Timestamp>();
    let age = created.map_or(0, |then| now.as_second() - then.as_second());
    [
        text(&node["metadata"]["name"]),
        status,
        roles,
        human(age),
        text(&node["status"]["nodeInfo"]["kubeletVersion"]),
    ]
}

/// An age in its largest sensible unit.
fn human(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{}s", seconds.max(0)),
        120..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_node_reads_well() {
        let node = json!({
            "metadata": {
                "name": "n1",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"node-role.kubernetes.io/control-plane": "", "zone": "b"},
            },
            "spec": {"unschedulable": true},
            "status": {
                "conditions": [{"type": "Ready", "status": "Unknown"}],
                "nodeInfo": {"kubeletVersion": "v1.36.0+hakube.stand-in"},
            },
        });
        let now = "2026-01-01T00:05:07Z".parse().unwrap();
        let row = [
            "n1",
            "NotReady,SchedulingDisabled",
            "control-plane",
            "5m",
            "v1.36.0+hakube.stand-in",
        ];
        assert_eq!(of(&node, now)["rows"][0]["cells"], json!(row));
        assert_eq!(of(&json!({"items": []}), now)["rows"], json!([]));
    }
}
