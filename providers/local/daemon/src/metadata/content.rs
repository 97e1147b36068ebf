//! A machine's metadata, computed from the state alone.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use hakube_local_compute::forwarded_addresses;
use hakube_local_resources::rules::project;
use hakube_local_resources::types::Subnetwork;
use hakube_local_resources::types::instance::{Instance, Metadata, NetworkInterface};
use hakube_local_resources::{Key, State, catalog, link};
use serde_json::{Value, json};

use super::tree::Node;

/// Values by key by namespace.
pub type Attributes = BTreeMap<String, BTreeMap<String, String>>;

/// A fake token. Nothing accepts it, this cloud included.
const TOKEN: &str = "emulated-token-of-the-local-cloud";

/// The metadata of an instance; `None` if it was deleted.
pub fn of(state: &State, key: &Key, attributes: &Attributes) -> Option<Node> {
    let instance = &state.instances.get(key)?.resource;
    Some(Node::directory([
        ("instance", instance_node(state, key, instance, attributes)),
        (
            "project",
            Node::directory([
                (
                    "attributes",
                    project::metadata(state).map_or_else(|| Node::named([]), metadata),
                ),
                (
                    "numeric-project-id",
                    number(&catalog::id_of(&state.project)),
                ),
                ("project-id", Node::text(&state.project)),
            ]),
        ),
    ]))
}

fn instance_node(
    state: &State,
    key: &Key,
    instance: &Instance,
    guest_attributes: &Attributes,
) -> Node {
    let name = &key.name;
    let zone = key.scope.to_string();
    let zone = link::last(&zone);
    let project = catalog::id_of(&state.project);
    let number_of = |rest: &str| Node::text(format!("projects/{project}/{rest}"));
    let mut disks = Vec::new();
    for (index, disk) in instance.disks.iter().enumerate() {
        disks.push(Node::directory([
            ("device-name", Node::text(&disk.device_name)),
            ("index", Node::Value(index.into())),
            ("interface", Node::text("SCSI")),
            ("mode", Node::text("READ_WRITE")),
            ("type", Node::text("PERSISTENT")),
        ]));
    }
    let nics = instance.network_interfaces.iter();
    let nics = nics.map(|nic| network_interface(state, &project, key, nic));
    let mut node = Node::directory([
        ("attributes", metadata(&instance.metadata)),
        (
            "description",
            Node::text(instance.meta.description.clone().unwrap_or_default()),
        ),
        ("disks", Node::List(disks)),
        (
            "hostname",
            Node::text(format!("{name}.{zone}.c.{}.internal", state.project)),
        ),
        ("id", number(&instance.meta.id)),
        (
            "machine-type",
            number_of(&format!(
                "machineTypes/{}",
                link::last(&instance.machine_type)
            )),
        ),
        ("maintenance-event", Node::text("NONE")),
        ("name", Node::text(name)),
        ("network-interfaces", Node::List(nics.collect())),
        ("preempted", Node::text("FALSE")),
        ("scheduling", scheduling(instance)),
        ("service-accounts", service_accounts(instance)),
        ("tags", Node::Value(json!(instance.tags.items))),
        ("zone", number_of(&format!("zones/{zone}"))),
    ]);
    if let (Node::Directory { entries, .. }, true) =
        (&mut node, instance.has_guest_attributes(state))
    {
        let namespaces = guest_attributes.iter().map(|(namespace, values)| {
            let values = values.iter();
            let values = values.map(|(key, value)| (key.clone(), Node::text(value)));
            (namespace.clone(), Node::named(values))
        });
        entries.push(("guest-attributes".to_owned(), Node::named(namespaces)));
    }
    node
}

/// IDs are uint64: strings in the API, numbers here.
fn number(text: &str) -> Node {
    let number = text.parse::<u64>();
    number.map_or_else(|_| Node::text(text), |number| Node::Value(number.into()))
}

fn metadata(metadata: &Metadata) -> Node {
    let items = metadata.items.iter();
    Node::named(items.map(|item| (item.key.clone(), Node::text(&item.value))))
}

fn network_interface(state: &State, project: &str, instance: &Key, nic: &NetworkInterface) -> Node {
    let key = state.reference::<Subnetwork>("subnetwork", &nic.subnetwork, None);
    let subnet = key.and_then(|key| state.get::<Subnetwork>(&key)).ok();
    let range = subnet.map(|subnet| subnet.ip_cidr_range);
    let text = |address: Option<Ipv4Addr>| {
        Node::text(address.map(|ip| ip.to_string()).unwrap_or_default())
    };
    let configs = nic.access_configs.iter().map(|config| {
        Node::directory([
            ("external-ip", text(config.nat_ip)),
            ("type", Node::text(&config.kind)),
        ])
    });
    let forwarded = forwarded_addresses(state, instance);
    let forwarded = forwarded.iter().map(Ipv4Addr::to_string).collect();
    // Compute Engine's scheme: 42:01, then the address.
    let [a, b, c, d] = nic.network_ip.map(|ip| ip.octets()).unwrap_or_default();
    Node::directory([
        ("access-configs", Node::List(configs.collect())),
        ("forwarded-ips", Node::Lines(forwarded)),
        (
            "gateway",
            text(range.map(|range| Ipv4Addr::from(u32::from(range.network()) + 1))),
        ),
        ("ip", text(nic.network_ip)),
        (
            "ip-aliases",
            Node::Lines(nic.alias_ranges().map(|range| range.to_string()).collect()),
        ),
        (
            "mac",
            Node::text(format!("42:01:{a:02x}:{b:02x}:{c:02x}:{d:02x}")),
        ),
        ("mtu", Node::Value(1460.into())),
        (
            "network",
            Node::text(format!(
                "projects/{}/networks/{}",
                link::project(&nic.network).map_or_else(|| project.to_owned(), catalog::id_of),
                link::last(&nic.network)
            )),
        ),
        ("subnetmask", text(range.map(|range| range.netmask()))),
    ])
}

fn scheduling(instance: &Instance) -> Node {
    let kept = instance.rest.get("scheduling");
    let field = |name: &str| kept.and_then(|kept| kept.get(name));
    let flag = |name: &str, usual: bool| {
        let set = field(name).and_then(Value::as_bool).unwrap_or(usual);
        Node::text(if set { "TRUE" } else { "FALSE" })
    };
    let maintenance = field("onHostMaintenance").and_then(Value::as_str);
    Node::directory([
        ("automatic-restart", flag("automaticRestart", true)),
        (
            "on-host-maintenance",
            Node::text(maintenance.unwrap_or("MIGRATE")),
        ),
        ("preemptible", flag("preemptible", false)),
    ])
}

fn service_accounts(instance: &Instance) -> Node {
    let accounts = instance.rest.get("serviceAccounts");
    let accounts = accounts.and_then(Value::as_array).into_iter().flatten();
    let mut entries = Vec::new();
    for account in accounts {
        let email = account["email"].as_str().unwrap_or_default();
        let email = match email {
            "" | "default" => catalog::DEFAULT_SERVICE_ACCOUNT,
            email => email,
        };
        let scopes = account["scopes"].as_array().into_iter().flatten();
        let scopes = scopes.filter_map(|scope| scope.as_str().map(str::to_owned));
        let node = Node::directory([
            ("aliases", Node::Lines(vec!["default".into()])),
            ("email", Node::text(email)),
            ("scopes", Node::Lines(scopes.collect())),
            (
                "token",
                Node::Hidden(
                    json!({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}),
                ),
            ),
        ]);
        entries.push((email.to_owned(), node.clone()));
        entries.push(("default".to_owned(), node));
    }
    Node::named(entries)
}
