//! Metadata as a tree, and its output formats.

use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A value: strings as they are, anything else as JSON.
    Value(Value),
    /// Several values: one per line, or an array.
    Lines(Vec<String>),
    /// A value that is returned only when requested by name, not in listings: a token.
    Hidden(Value),
    /// Named children. In JSON their names are in camel case (`machineType`), except for names that users
    /// chose.
    Directory {
        entries: Vec<(String, Self)>,
        /// Whether users chose the names.
        verbatim: bool,
    },
    /// Numbered children: `network-interfaces/0/`.
    List(Vec<Self>),
}

impl Node {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Value(Value::String(text.into()))
    }

    /// Children with the server's own names.
    pub fn directory<const N: usize>(entries: [(&str, Self); N]) -> Self {
        let entries = entries.map(|(name, node)| (name.to_owned(), node));
        Self::Directory {
            entries: entries.into(),
            verbatim: false,
        }
    }

    /// Children with names that users chose.
    pub fn named(entries: impl IntoIterator<Item = (String, Self)>) -> Self {
        Self::Directory {
            entries: entries.into_iter().collect(),
            verbatim: true,
        }
    }

    pub fn is_directory(&self) -> bool {
        matches!(self, Self::Directory { .. } | Self::List(_))
    }

    /// The node at a path of names below this one.
    pub fn at<'a>(&self, mut path: impl Iterator<Item = &'a str>) -> Option<&Self> {
        let Some(name) = path.next() else {
            return Some(self);
        };
        let below = match self {
            Self::Directory { entries, .. } => {
                let mut entries = entries.iter();
                entries
                    .find(|(known, _)| known == name)
                    .map(|(_, node)| node)
            }
            Self::List(parts) => parts.get(name.parse::<usize>().ok()?),
            Self::Value(_) | Self::Lines(_) | Self::Hidden(_) => None,
        };
        below?.at(path)
    }

    /// As text: a value, or the names of the children, directories with a slash.
    pub fn as_text(&self) -> String {
        match self {
            Self::Value(Value::String(text)) => text.clone(),
            Self::Value(value) | Self::Hidden(value) => value.to_string(),
            Self::Lines(lines) => lines.join("\n"),
            Self::Directory { .. } | Self::List(_) => {
                let names = self.below().map(|(name, node)| {
                    let slash = if node.is_directory() { "/" } else { "" };
                    format!("{name}{slash}\n")
                });
                names.collect()
            }
        }
    }

    pub fn as_json(&self) -> Value {
        match self {
            Self::Value(value) | Self::Hidden(value) => value.clone(),
            Self::Lines(lines) => lines.iter().cloned().collect(),
            Self::List(parts) => parts.iter().map(Self::as_json).collect(),
            Self::Directory { entries, verbatim } => {
                let shown = entries.iter().filter(|(_, node)| !node.is_hidden());
                let shown = shown.map(|(name, node)| {
                    let name = if *verbatim {
                        name.clone()
                    } else {
                        camel_case(name)
                    };
                    (name, node.as_json())
                });
                shown.collect::<Map<String, Value>>().into()
            }
        }
    }

    /// The whole subtree, as text: a path and a value per line.
    pub fn as_lines(&self) -> String {
        let mut lines = String::new();
        self.lines_below("", &mut lines);
        lines
    }

    fn lines_below(&self, path: &str, lines: &mut String) {
        if !self.is_directory() {
            lines.push_str(&format!("{path} {}\n", self.as_text()));
            return;
        }
        for (name, node) in self.below().filter(|(_, node)| !node.is_hidden()) {
            let slash = if path.is_empty() { "" } else { "/" };
            node.lines_below(&format!("{path}{slash}{name}"), lines);
        }
    }

    fn is_hidden(&self) -> bool {
        matches!(self, Self::Hidden(_))
    }

    fn below(&self) -> Box<dyn Iterator<Item = (String, &Self)> + '_> {
        match self {
            Self::Directory { entries, .. } => {
                Box::new(entries.iter().map(|(name, node)| (name.clone(), node)))
            }
            Self::List(parts) => {
                let parts = parts.iter().enumerate();
                Box::new(parts.map(|(index, node)| (index.to_string(), node)))
            }
            Self::Value(_) | Self::Lines(_) | Self::Hidden(_) => Box::new(std::iter::empty()),
        }
    }
}

/// `machineType` of `machine-type`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree() -> Node {
        Node::directory([
            (
                "attributes",
                Node::named([("user-data".to_owned(), Node::text("#!"))]),
            ),
            ("machine-type", Node::text("e2-small")),
            (
                "network-interfaces",
                Node::List(vec![Node::directory([("ip", Node::text("10.0.0.2"))])]),
            ),
            ("tags", Node::Value(json!(["a", "b"]))),
            ("token", Node::Hidden(json!({"access_token": "x"}))),
            ("scopes", Node::Lines(vec!["one".into(), "two".into()])),
        ])
    }

    fn at(path: &str) -> Option<String> {
        let tree = tree();
        tree.at(path.split('/')).map(Node::as_text)
    }

    #[test]
    fn paths_lead_to_values_and_listings() {
        assert_eq!(at("machine-type").unwrap(), "e2-small");
        assert_eq!(at("network-interfaces").unwrap(), "0/\n");
        assert_eq!(at("network-interfaces/0/ip").unwrap(), "10.0.0.2");
        assert_eq!(at("tags").unwrap(), r#"["a","b"]"#);
        assert_eq!(at("scopes").unwrap(), "one\ntwo");
        assert_eq!(at("token").unwrap(), r#"{"access_token":"x"}"#);
        for nothing in [
            "network-interfaces/1/ip",
            "network-interfaces/x",
            "machine-type/x",
            "",
        ] {
            assert_eq!(at(nothing), None, "{nothing}");
        }
        assert_eq!(
            tree().as_text(),
            "attributes/\nmachine-type\nnetwork-interfaces/\ntags\ntoken\nscopes\n"
        );
    }

    #[test]
    fn all_of_it_is_json_in_camel_case_but_for_names_that_others_gave_and_has_no_token() {
        assert_eq!(
            tree().as_json(),
            json!({
                "attributes": {"user-data": "#!"},
                "machineType": "e2-small",
                "networkInterfaces": [{"ip": "10.0.0.2"}],
                "tags": ["a", "b"],
                "scopes": ["one", "two"],
            })
        );
        assert!(
            tree()
                .as_lines()
                .contains("network-interfaces/0/ip 10.0.0.2\n")
        );
        assert!(!tree().as_lines().contains("token"));
    }
}
