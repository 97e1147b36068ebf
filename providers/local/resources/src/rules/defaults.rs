//! The fields that Compute Engine returns in every resource of a type, with the values that they have unless a client
//! has set others.

use serde_json::{Map, Value, json};

use crate::base::Type;

/// Adds the fields that a resource doesn't have.
pub fn add(kind: Type, view: &mut Map<String, Value>) {
    for (field, usual) in of(kind, view) {
        match view.get_mut(field) {
            Some(value) => complete(value, &usual),
            None if usual.is_object() && is_of_elements(kind, field) => {}
            None => drop(view.insert(field.to_owned(), usual)),
        }
    }
}

/// Whether a default is one of a list's elements.
fn is_of_elements(kind: Type, field: &str) -> bool {
    kind == Type::Instance && field == "disks"
}

/// Adds missing fields to an object, or to each of a list.
fn complete(value: &mut Value, usual: &Value) {
    match (value, usual) {
        (Value::Object(fields), Value::Object(usual)) => {
            for (field, usual) in usual {
                match fields.get_mut(field) {
                    Some(value) => complete(value, usual),
                    None => drop(fields.insert(field.clone(), usual.clone())),
                }
            }
        }
        (Value::Array(elements), Value::Object(_)) => {
            elements
                .iter_mut()
                .for_each(|element| complete(element, usual));
        }
        _ => {}
    }
}

fn of(kind: Type, view: &Map<String, Value>) -> Vec<(&'static str, Value)> {
    match kind {
        Type::Instance => vec![
            ("canIpForward", false.into()),
            ("cpuPlatform", "Intel Haswell".into()),
            ("deletionProtection", false.into()),
            ("disks", json!({"interface": "SCSI"})),
            ("metadata", json!({"kind": "compute#metadata"})),
            ("scheduling", scheduling(view.get("scheduling"))),
            (
                "shieldedInstanceConfig",
                json!({"enableSecureBoot": false, "enableVtpm": true, "enableIntegrityMonitoring": true}),
            ),
            (
                "shieldedInstanceIntegrityPolicy",
                json!({"updateAutoLearnPolicy": true}),
            ),
            ("startRestricted", false.into()),
        ],
        Type::Disk => vec![("physicalBlockSizeBytes", "4096".into())],
        Type::Network => vec![(
            "networkFirewallPolicyEnforcementOrder",
            "AFTER_CLASSIC_FIREWALL".into(),
        )],
        Type::Subnetwork => vec![
            ("privateIpGoogleAccess", false.into()),
            ("privateIpv6GoogleAccess", "DISABLE_GOOGLE_ACCESS".into()),
            ("purpose", "PRIVATE".into()),
            ("stackType", "IPV4_ONLY".into()),
        ],
        Type::Firewall => vec![("logConfig", json!({"enable": false}))],
        _ => Vec::new(),
    }
}

/// A preemptible instance isn't restarted, nor moved.
fn scheduling(set: Option<&Value>) -> Value {
    let field = |name: &str| set.and_then(|set| set.get(name));
    let preemptible = field("preemptible") == Some(&true.into())
        || field("provisioningModel") == Some(&"SPOT".into());
    let (maintenance, model) = match preemptible {
        true => ("TERMINATE", "SPOT"),
        false => ("MIGRATE", "STANDARD"),
    };
    json!({
        "automaticRestart": !preemptible,
        "onHostMaintenance": maintenance,
        "preemptible": preemptible,
        "provisioningModel": model,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_fields_are_added() {
        let given = json!({
            "canIpForward": true,
            "disks": [{"interface": "NVME"}, {}],
            "scheduling": {"preemptible": true},
        });
        let mut view = given.as_object().cloned().unwrap_or_default();
        add(Type::Instance, &mut view);
        assert_eq!(view["canIpForward"], true);
        assert_eq!(view["disks"][0]["interface"], "NVME");
        assert_eq!(view["disks"][1]["interface"], "SCSI");
        assert_eq!(view["scheduling"]["automaticRestart"], false);
        assert_eq!(view["shieldedInstanceConfig"]["enableVtpm"], true);
        let mut none = Map::new();
        add(Type::Instance, &mut none);
        assert!(!none.contains_key("disks"));
    }
}
