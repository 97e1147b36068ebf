//! Label and field selectors.

use serde_json::Value;

use super::request::Query;
use super::resources::Resource;
use super::status::{ApiError, ApiResult};

/// What a list or watch is narrowed to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<(String, Condition)>,
    fields: Vec<(String, Condition)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    /// Present, with one of these values.
    In(Vec<String>),
    /// Absent, or with none of these values.
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Condition {
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Self::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
        }
    }
}

impl Selector {
    /// Of a request's `labelSelector` and `fieldSelector`.
    pub fn parse(resource: &Resource, query: &Query) -> ApiResult<Self> {
        let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let mut labels = Vec::new();
        for part in split_requirements(text("labelSelector")) {
            labels.push(requirement(part).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "unable to parse requirement: found {part:?} in labelSelector"
                ))
            })?);
        }
        let mut fields = Vec::new();
        for part in text("fieldSelector")
            .split(',')
            .filter(|part| !part.is_empty())
        {
            let parsed = equality(part).ok_or_else(|| {
                ApiError::bad_request(format!("invalid field selector: {part:?}"))
            })?;
            let supported = matches!(parsed.0.as_str(), "metadata.name" | "metadata.namespace")
                || resource.fields.contains(&parsed.0.as_str());
            if !supported {
                return Err(ApiError::bad_request(format!(
                    "field label not supported: {}",
                    parsed.0
                )));
            }
            fields.push(parsed);
        }
        Ok(Self { labels, fields })
    }

    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether `object` matches.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels
            .iter()
            .all(|(key, condition)| condition.holds(labels[key].as_str()))
            && self
                .fields
                .iter()
                .all(|(path, condition)| condition.holds(Some(&field(object, path))))
    }
}

/// A field as text; absent is empty, as in Kubernetes.
fn field(object: &Value, path: &str) -> String {
    match path.split('.').fold(object, |value, part| &value[part]) {
        Value::String(text) => text.clone(),
        // spec.unschedulable
        Value::Null if path.ends_with("unschedulable") => "false".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Splits at commas that aren't inside parentheses.
fn split_requirements(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

fn requirement(text: &str) -> Option<(String, Condition)> {
    if text.contains('=') {
        return equality(text);
    }
    if let Some(key) = text.strip_prefix('!') {
        return key_of(key).map(|key| (key, Condition::Absent));
    }
    if let Some((head, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let values = values
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        let (key, operator) = head.trim().split_once(char::is_whitespace)?;
        let condition = match operator.trim() {
            "in" => Condition::In(values),
            "notin" => Condition::NotIn(values),
            _ => return None,
        };
        return key_of(key).map(|key| (key, condition));
    }
    key_of(text).map(|key| (key, Condition::Exists))
}

/// `a=b`, `a==b`, `a!=b`
fn equality(text: &str) -> Option<(String, Condition)> {
    if let Some((key, value)) = text.split_once("!=") {
        return key_of(key).map(|key| (key, Condition::NotIn(vec![value.trim().to_owned()])));
    }
    let (key, value) = text.split_once("==").or_else(|| text.split_once('='))?;
    key_of(key).map(|key| (key, Condition::In(vec![value.trim().to_owned()])))
}

fn key_of(text: &str) -> Option<String> {
    let text = text.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::apiserver::resources;
    use serde_json::json;

    fn matches(labels: &str, fields: &str) -> bool {
        let node = json!({"metadata": {"name": "n", "labels": {"zone": "b", "role": ""}}});
        let query = Query::from([
            ("labelSelector".to_owned(), labels.to_owned()),
            ("fieldSelector".to_owned(), fields.to_owned()),
        ]);
        Selector::parse(resources::find("", "v1", "nodes").unwrap(), &query)
            .unwrap()
            .matches(&node)
    }

    #[test]
    fn label_selectors() {
        for yes in [
            "",
            "zone=b",
            "zone==b",
            "zone!=c",
            "size!=1",
            "zone in (a, b)",
            "zone notin (c)",
            "size notin (c)",
            "role",
            "!size",
            "role=",
            "zone in (a,b),role",
        ] {
            assert!(matches(yes, ""), "{yes}");
        }
        for no in [
            "zone=c",
            "zone!=b",
            "zone in (a)",
            "zone notin (b,c)",
            "size",
            "!zone",
            "size=",
            "zone=b,size",
        ] {
            assert!(!matches(no, ""), "{no}");
        }
    }

    #[test]
    fn field_selectors() {
        assert!(matches("", "metadata.name=n") && matches("", "spec.unschedulable=false"));
        assert!(!matches("", "metadata.name!=n"));
    }

    #[test]
    fn nonsense_is_refused_rather_than_matching_everything() {
        let resource = resources::find("", "v1", "nodes").unwrap();
        for (kind, text) in [
            ("labelSelector", "a b"),
            ("labelSelector", "=a"),
            ("fieldSelector", "status.phase=x"),
        ] {
            let query = Query::from([(kind.to_owned(), text.to_owned())]);
            assert!(Selector::parse(resource, &query).is_err(), "{text}");
        }
    }
}
