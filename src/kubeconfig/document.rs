//! The content of a kubeconfig, as a value tree that keeps what it doesn't know.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Access;

/// The three lists of a kubeconfig, each of entries with a name.
const LISTS: [&str; 3] = ["clusters", "contexts", "users"];

/// What a kubeconfig says about itself.
const HEADER: [(&str, &str); 2] = [("apiVersion", "v1"), ("kind", "Config")];

const CURRENT: &str = "current-context";

/// A kubeconfig.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document(Map<String, Value>);

impl Default for Document {
    /// A kubeconfig without entries.
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
    /// Takes a parsed file; nothing at all is an empty kubeconfig, as it is to kubectl. `Err` says what
    /// keeps it from being one.
    pub fn new(value: Value) -> Result<Self, String> {
        let mut root = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(root) => root,
            other => {
                return Err(format!(
                    "it holds {} at the top, not a mapping",
                    kind(&other)
                ));
            }
        };
        for (key, expected) in HEADER {
            match root.get(key) {
                None => {}
                Some(Value::String(found)) if found == expected => {}
                Some(found) => return Err(format!("`{key}` is {found}, not {expected}")),
            }
        }
        if !root.is_empty()
            && !root.contains_key("kind")
            && !LISTS.iter().any(|l| root.contains_key(*l))
        {
            return Err("it has neither `kind: Config` nor clusters, contexts or users".into());
        }
        for list in LISTS {
            match root.get(list) {
                None | Some(Value::Null) => {}
                Some(Value::Array(entries)) if entries.iter().all(|e| name_of(e).is_some()) => {}
                Some(Value::Array(_)) => return Err(format!("an entry of `{list}` has no name")),
                Some(other) => return Err(format!("`{list}` is {}, not a list", kind(other))),
            }
        }
        for (key, value) in Self::default().0 {
            root.entry(key).or_insert(value);
        }
        Ok(Self(root))
    }

    /// Whether any of the three lists has an entry of this name.
    pub fn has(&self, name: &str) -> bool {
        LISTS.iter().any(|list| {
            let entries = self.0.get(*list).and_then(Value::as_array);
            entries.is_some_and(|entries| entries.iter().any(|e| name_of(e) == Some(name)))
        })
    }

    /// Whether the cluster of this name is this server, verified with this authority (PEM).
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

    /// The client certificate (PEM) of the user of this name, where it is in the document itself.
    pub fn client_certificate(&self, name: &str) -> Option<String> {
        let user = self.entry("users", name)?;
        let data = user.pointer("/user/client-certificate-data")?.as_str()?;
        String::from_utf8(STANDARD.decode(data).ok()?).ok()
    }

    /// Puts the three entries in: in the place of those of the same name, else at the end.
    pub fn set(&mut self, access: &Access) {
        self.put("clusters", access.cluster_entry());
        self.put("users", access.user_entry());

        // The namespace that somebody chose for this context is theirs.
        let mut context = access.context_entry();
        let namespace = self.entry("contexts", &access.context);
        if let Some(namespace) = namespace.and_then(|old| old.pointer("/context/namespace")) {
            context["context"]["namespace"] = namespace.clone();
        }
        self.put("contexts", context);
    }

    /// Takes the entries of this name out of all three lists, and the name out of `current-context`.
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

    /// The current context, if the file names one.
    pub fn current(&self) -> Option<&str> {
        self.0
            .get(CURRENT)?
            .as_str()
            .filter(|name| !name.is_empty())
    }

    /// Makes a context the current one; none, with an empty name.
    pub fn make_current(&mut self, context: &str) {
        self.0.insert(CURRENT.into(), context.into());
    }

    /// YAML that Go's parsers read as it is meant: `no` and `1:30` quoted, certificates on one line.
    pub fn to_yaml(&self) -> String {
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        serde_saphyr::to_string_with_options(&self.0, options)
            // A tree of JSON values always serialises; and if not, JSON is YAML.
            .unwrap_or_else(|_| json!(self.0).to_string())
    }

    fn entry(&self, list: &str, name: &str) -> Option<&Value> {
        let entries = self.0.get(list)?.as_array()?;
        entries.iter().find(|entry| name_of(entry) == Some(name))
    }

    fn put(&mut self, list: &str, new: Value) {
        let entries = self.0.entry(list).or_insert_with(|| json!([]));
        if entries.is_null() {
            *entries = json!([]);
        }
        // `new` has seen to it that what is here is a list.
        let Value::Array(entries) = entries else {
            return;
        };
        match entries.iter_mut().find(|old| name_of(old) == name_of(&new)) {
            Some(old) => *old = new,
            None => entries.push(new),
        }
    }
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
