//! Compares objects, and checks whether they are ready. Pure.

use serde_json::{Map, Value};

/// Metadata that the API server sets and changes itself.
const BOOKKEEPING: [&str; 5] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "uid",
];

/// The first field in which an object differs from what applying it would give.
pub(super) fn first_difference(is: &Value, would_be: &Value) -> Option<String> {
    let strip = |object: &Value| {
        let mut object = object.clone();
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
            // Items of lists have neither.
            fields.remove("apiVersion");
            fields.remove("kind");
        }
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in BOOKKEEPING {
                metadata.remove(field);
            }
        }
        object
    };
    let mut path = Vec::new();
    differs(&strip(is), &strip(would_be), &mut path).then(|| path.join("."))
}

fn differs(one: &Value, other: &Value, path: &mut Vec<String>) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => fields_differ(one, other, path),
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.any(|(index, (one, other))| {
                path.push(index.to_string());
                let found = differs(one, other, path);
                if !found {
                    path.pop();
                }
                found
            })
        }
        _ => one != other,
    }
}

fn fields_differ(
    one: &Map<String, Value>,
    other: &Map<String, Value>,
    path: &mut Vec<String>,
) -> bool {
    let more = other.keys().filter(|key| !one.contains_key(*key));
    for key in one.keys().chain(more) {
        path.push(key.clone());
        let null = &Value::Null;
        if differs(
            one.get(key).unwrap_or(null),
            other.get(key).unwrap_or(null),
            path,
        ) {
            return true;
        }
        path.pop();
    }
    false
}

/// Why an object isn't ready; `None` if it is, or if there is nothing to wait for.
pub(super) fn not_ready(object: &Value) -> Option<String> {
    let status = &object["status"];
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let is_seen =
        number(&status["observedGeneration"]) >= number(&object["metadata"]["generation"]);
    let pods =
        |has: u64, wants: u64| (has < wants).then(|| format!("has {has} of {wants} pods ready"));
    let condition = |name: &str| {
        let conditions = status["conditions"].as_array();
        let found = conditions.and_then(|all| all.iter().find(|one| one["type"] == name));
        match found {
            Some(condition) if condition["status"] == "True" => None,
            Some(condition) => Some(
                condition["message"]
                    .as_str()
                    .unwrap_or("isn't available")
                    .to_owned(),
            ),
            None => Some(format!("isn't {}", name.to_lowercase())),
        }
    };
    match object["kind"].as_str() {
        Some("Deployment" | "StatefulSet" | "DaemonSet") if !is_seen => {
            Some("hasn't been processed by its controller yet".to_owned())
        }
        Some("Deployment") => {
            let wants = object["spec"]["replicas"].as_u64().unwrap_or(1);
            let updated =
                number(&status["updatedReplicas"]).min(number(&status["availableReplicas"]));
            pods(updated, wants)
        }
        Some("StatefulSet") => {
            let wants = object["spec"]["replicas"].as_u64().unwrap_or(1);
            pods(number(&status["readyReplicas"]), wants)
        }
        Some("DaemonSet") => {
            let wants = number(&status["desiredNumberScheduled"]);
            let updated =
                number(&status["updatedNumberScheduled"]).min(number(&status["numberAvailable"]));
            pods(updated, wants)
        }
        Some("APIService") => condition("Available").map(|why| format!("isn't available: {why}")),
        Some("CustomResourceDefinition") => condition("Established"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_api_servers_metadata_is_no_difference() {
        let is = json!({
            "metadata": {"name": "a", "resourceVersion": "1", "managedFields": [1], "generation": 1},
            "spec": {"replicas": 2, "ports": [{"port": 53}]},
            "status": {"replicas": 0},
        });
        let mut would_be = is.clone();
        would_be["metadata"]["resourceVersion"] = json!("2");
        would_be["metadata"]["generation"] = json!(2);
        would_be["metadata"]["managedFields"] = json!([]);
        would_be["kind"] = json!("Deployment");
        assert_eq!(first_difference(&is, &would_be), None);
        would_be["spec"]["ports"][0]["port"] = json!(54);
        assert_eq!(
            first_difference(&is, &would_be).as_deref(),
            Some("spec.ports.0.port")
        );
    }

    #[test]
    fn fields_that_only_one_of_them_has_are_differences() {
        let (without, with) = (json!({"data": {}}), json!({"data": {"a": "b"}}));
        for (one, other) in [(&without, &with), (&with, &without)] {
            assert_eq!(first_difference(one, other).as_deref(), Some("data.a"));
        }
    }

    #[test]
    fn ready_means_the_latest_generation() {
        let deployment = |generation: u64, updated: u64, available: u64| {
            json!({
                "kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2},
                "status": {"observedGeneration": generation, "updatedReplicas": updated, "availableReplicas": available},
            })
        };
        assert_eq!(not_ready(&deployment(2, 2, 2)), None);
        let late = [
            deployment(1, 2, 2),
            deployment(2, 1, 2),
            deployment(2, 2, 0),
        ];
        assert!(late.iter().all(|late| not_ready(late).is_some()));
        let api = |status: &str| {
            json!({"kind": "APIService", "status": {"conditions": [
                {"type": "Available", "status": status, "message": "no endpoints"}]}})
        };
        assert_eq!(not_ready(&api("True")), None);
        assert_eq!(
            not_ready(&api("False")).as_deref(),
            Some("isn't available: no endpoints")
        );
        assert_eq!(not_ready(&json!({"kind": "ConfigMap"})), None);
    }
}
