//! What `kubectl get` shows: columns per resource, printed by the server as in Kubernetes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::resources::Resource;

/// A column: its title, whether it is for `-o wide` only, and how to fill it.
struct Column {
    title: &'static str,
    wide: bool,
    cell: fn(&Value, Timestamp) -> Value,
}

const fn column(title: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Column {
    Column {
        title,
        wide: false,
        cell,
    }
}

const fn wide(title: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Column {
    Column {
        title,
        wide: true,
        cell,
    }
}

const NAME: Column = column("Name", |object, _| object["metadata"]["name"].clone());
const AGE: Column = column("Age", |object, now| {
    age(&object["metadata"]["creationTimestamp"], now).into()
});

static DEFAULT: &[Column] = &[NAME, AGE];
static CONFIG_MAP: &[Column] = &[
    NAME,
    column("Data", |map, _| {
        (entries(&map["data"]) + entries(&map["binaryData"])).into()
    }),
    AGE,
];
static SECRET: &[Column] = &[
    NAME,
    column("Type", |secret, _| secret["type"].clone()),
    column("Data", |secret, _| entries(&secret["data"]).into()),
    AGE,
];
static NAMESPACE: &[Column] = &[
    NAME,
    column("Status", |namespace, _| text(&namespace["status"]["phase"])),
    AGE,
];
static LEASE: &[Column] = &[
    NAME,
    column("Holder", |lease, _| text(&lease["spec"]["holderIdentity"])),
    AGE,
];
static EVENT: &[Column] = &[
    column("Last Seen", |event, now| {
        age(&event["lastTimestamp"], now).into()
    }),
    column("Type", |event, _| text(&event["type"])),
    column("Reason", |event, _| text(&event["reason"])),
    column("Object", |event, _| {
        let object = &event["involvedObject"];
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        format!("{kind}/{}", object["name"].as_str().unwrap_or_default()).into()
    }),
    column("Message", |event, _| text(&event["message"])),
];
static NODE: &[Column] = &[
    NAME,
    column("Status", |node, _| node_status(node).into()),
    column("Roles", |node, _| node_roles(node).into()),
    AGE,
    column("Version", |node, _| {
        text(&node["status"]["nodeInfo"]["kubeletVersion"])
    }),
    wide("Internal-IP", |node, _| node_address(node, "InternalIP")),
    wide("External-IP", |node, _| node_address(node, "ExternalIP")),
    wide("OS-Image", |node, _| {
        text(&node["status"]["nodeInfo"]["osImage"])
    }),
    wide("Kernel-Version", |node, _| {
        text(&node["status"]["nodeInfo"]["kernelVersion"])
    }),
    wide("Container-Runtime", |node, _| {
        text(&node["status"]["nodeInfo"]["containerRuntimeVersion"])
    }),
];

fn columns_of(resource: &Resource) -> &'static [Column] {
    match resource.plural {
        "configmaps" => CONFIG_MAP,
        "secrets" => SECRET,
        "namespaces" => NAMESPACE,
        "nodes" => NODE,
        "leases" => LEASE,
        "events" => EVENT,
        _ => DEFAULT,
    }
}

/// `columnDefinitions` of a table.
pub fn columns(resource: &Resource) -> Vec<Value> {
    columns_of(resource)
        .iter()
        .map(|column| {
            json!({
                "name": column.title,
                "type": "string",
                // Tells clients which column names the object.
                "format": if column.title == "Name" { "name" } else { "" },
                "description": "",
                "priority": i32::from(column.wide),
            })
        })
        .collect()
}

/// The cells of an object's row.
pub fn cells(resource: &Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    columns_of(resource)
        .iter()
        .map(|column| (column.cell)(object, now))
        .collect()
}

fn text(value: &Value) -> Value {
    match value {
        Value::Null => "".into(),
        other => other.clone(),
    }
}

fn entries(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

fn node_status(node: &Value) -> String {
    let conditions = node["status"]["conditions"].as_array();
    let ready =
        conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"));
    let mut status =
        match ready.map(|condition| condition["status"].as_str().unwrap_or_default()) {
            Some("True") => "Ready",
            Some(_) => "NotReady",
            None => "Unknown",
        }
        .to_owned();
    if node["spec"]["unschedulable"] == true {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn node_roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object();
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flat_map(|labels| labels.keys())
        .filter_map(|label| label.strip_prefix("node-role.kubernetes.io/"))
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    }
}

fn node_address(node: &Value, kind: &str) -> Value {
    let addresses = node["status"]["addresses"].as_array();
    let found = addresses.and_then(|all| all.iter().find(|address| address["type"] == kind));
    found.map_or_else(|| "<none>".into(), |address| text(&address["address"]))
}

fn age(time: &Value, now: Timestamp) -> String {
    let then = time
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    then.map_or_else(
        || "<unknown>".to_owned(),
        |then| human(now.as_second() - then.as_second()),
    )
}

/// Kubernetes' `duration.HumanDuration`: two units while the first is small, one after that.
fn human(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |large: i64, unit: &str, small: i64, small_unit: &str| match seconds % large / small {
        0 => format!("{}{unit}", seconds / large),
        rest => format!("{}{unit}{rest}{small_unit}", seconds / large),
    };
    match seconds {
        i64::MIN..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, "m", 1, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, "h", MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, "d", HOUR, "h"),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two(YEAR, "y", DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectls() {
        for (seconds, text) in [
            (5, "5s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3600, "60m"),
            (10_860, "3h1m"),
            (90_000, "25h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (-3, "0s"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }

    #[test]
    fn a_node_reads_well() {
        let node = json!({
            "metadata": {"labels": {"node-role.kubernetes.io/control-plane": "", "zone": "b"}},
            "spec": {"unschedulable": true},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
        });
        assert_eq!(node_status(&node), "NotReady,SchedulingDisabled");
        assert_eq!(node_roles(&node), "control-plane");
    }
}
