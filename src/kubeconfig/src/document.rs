//! A kubeconfig's content, as a tree that preserves unknown fields.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Access;

/// The three lists of a kubeconfig, whose entries have names.
pub(super) const LISTS: [&str; 3] = ["clusters", "contexts", "users"];

/// A kubeconfig's type.
const HEADER: [(&str, &str); 2] = [("apiVersion", "v1"), ("kind", "Config")];

pub(super) const CURRENT: &str = "current-context";

/// Other keys that identify a kubeconfig.
const OTHERS: [&str; 4] = ["kind", CURRENT, "preferences", "extensions"];

/// A kubeconfig.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document(Map<String, Value>);

impl Default for Document {
    /// An empty kubeconfig.
    fn default() -> Self {
        Self(
            HEADER
                .map(|(key, value)| (key.into(), value.into()))
                .into_iter()
                .collect(),
        )
    }
}

impl Document {
    /// Takes a parsed file; an empty file is an empty kubeconfig, as in kubectl. `Err` is the
    /// reason that it isn't one.
    pub fn new(value: Value) -> Result<Self, String> {
        let mut root = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(root) => root,
            other => {
                return Err(format!("the top level is {}, not a mapping", kind(&other)));
            }
        };
        for (key, expected) in HEADER {
            match root.get(key) {
                None => {}
                Some(Value::String(found)) if found == expected => {}
                Some(found) => return Err(format!("`{key}` is {found}, not {expected}")),
            }
        }
        let known = LISTS.iter().chain(&OTHERS);
        if !root.is_empty() && !known.into_iter().any(|key| root.contains_key(*key)) {
            return Err("it has neither `kind: Config` nor clusters, contexts or users".into());
        }
        for list in LISTS {
            match root.get(list) {
                None | Some(Value::Null) => {}
                Some(Value::Array(entries)) if entries.iter().all(is_entry) => {}
                Some(Value::Array(_)) => {
                    return Err(format!(
                        "an entry of `{list}` isn't a mapping with a name of type string"
                    ));
                }
                Some(other) => return Err(format!("`{list}` is {}, not a list", kind(other))),
            }
        }
        for (key, value) in Self::default().0 {
            root.entry(key).or_insert(value);
        }
        Ok(Self(root))
    }

    /// Whether any of the three lists has an entry with this name.
    pub fn has(&self, name: &str) -> bool {
        LISTS.iter().any(|list| {
            let entries = self.0.get(*list).and_then(Value::as_array);
            entries.is_some_and(|entries| entries.iter().any(|e| name_of(e) == Some(name)))
        })
    }

    /// Returns the entries of a list.
    pub fn entries(&self, list: &str) -> &[Value] {
        let entries = self.0.get(list).and_then(Value::as_array);
        entries.map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns the entry with this name in a list.
    pub fn find(&self, list: &str, name: &str) -> Option<&Value> {
        self.entries(list)
            .iter()
            .find(|entry| Self::name_of(entry) == name)
    }

    /// An entry's name; kubectl treats a missing name as empty.
    pub fn name_of(entry: &Value) -> &str {
        name_of(entry).unwrap_or_default()
    }

    /// Whether another document has the same meaning, ignoring the order of keys, and treating
    /// missing lists as empty.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let rest = |document: &Self| {
            let mut rest = document.0.clone();
            rest.retain(|key, _| !LISTS.contains(&key.as_str()) && key != CURRENT);
            rest
        };
        self.current() == other.current()
            && rest(self) == rest(other)
            && LISTS
                .iter()
                .all(|list| self.entries(list) == other.entries(list))
    }

    /// Whether the cluster with this name has this server, verified with this CA (PEM).
    pub fn reaches(&self, name: &str, server: &str, ca: &str) -> bool {
        let cluster = self
            .entry("clusters", name)
            .and_then(|entry| entry.get("cluster"));
        cluster.is_some_and(|cluster| {
            cluster.get("server").and_then(Value::as_str) == Some(server)
                && cluster
                    .get("certificate-authority-data")
                    .and_then(Value::as_str)
                    == Some(STANDARD.encode(ca).as_str())
        })
    }

    /// Returns the client certificate (PEM) of the user with this name, if it is embedded in the document.
    pub fn client_certificate(&self, name: &str) -> Option<String> {
        let user = self.entry("users", name)?;
        let data = user.pointer("/user/client-certificate-data")?.as_str()?;
        String::from_utf8(STANDARD.decode(data).ok()?).ok()
    }

    /// Sets the three entries: replaces those with the same name, or appends them.
    pub fn set(&mut self, access: &Access) {
        self.put("clusters", access.cluster_entry());
        self.put("users", access.user_entry());

        // Keep the namespace that the user chose for this context.
        let mut context = access.context_entry();
        let namespace = self.entry("contexts", &access.context);
        if let Some(namespace) = namespace.and_then(|old| old.pointer("/context/namespace")) {
            context["context"]["namespace"] = namespace.clone();
        }
        self.put("contexts", context);
    }

    /// Removes the entries with this name from all three lists, and from `current-context`.
    pub fn remove(&mut self, name: &str) {
        for list in LISTS {
            if let Some(Value::Array(entries)) = self.0.get_mut(list) {
                entries.retain(|entry| name_of(entry) != Some(name));
            }
        }
        if self.current() == Some(name) {
            self.make_current("");
        }
    }

    /// Returns the current context, if the file has one.
    pub fn current(&self) -> Option<&str> {
        self.0
            .get(CURRENT)?
            .as_str()
            .filter(|name| !name.is_empty())
    }

    /// Sets the current context; an empty name means none.
    pub fn make_current(&mut self, context: &str) {
        self.0.insert(CURRENT.into(), context.into());
    }

    /// Renders YAML that Go's parsers interpret correctly: `no` and `1:30` are quoted, certificates
    /// are on one line.
    pub fn to_yaml(&self) -> String {
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        serde_saphyr::to_string_with_options(&self.0, options)
            // A tree of JSON values always serialises; and if not, JSON is valid YAML.
            .unwrap_or_else(|_| json!(self.0).to_string())
    }

    pub(super) fn entry(&self, list: &str, name: &str) -> Option<&Value> {
        let entries = self.0.get(list)?.as_array()?;
        entries.iter().find(|entry| name_of(entry) == Some(name))
    }

    fn put(&mut self, list: &str, new: Value) {
        let entries = self.0.entry(list).or_insert_with(|| json!([]));
        if entries.is_null() {
            *entries = json!([]);
        }
        // `new` has checked that this is a list.
        let Value::Array(entries) = entries else {
            return;
        };
        match entries.iter_mut().find(|old| name_of(old) == name_of(&new)) {
            Some(old) => *old = new,
            None => entries.push(new),
        }
    }
}

fn is_entry(entry: &Value) -> bool {
    let name = entry.get("name");
    entry.is_object() && name.is_none_or(|name| name.is_string() || name.is_null())
}

fn name_of(entry: &Value) -> Option<&str> {
    entry.get("name")?.as_str()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
