//! Conditions on the fields of a resource.

use std::cmp::Ordering;

use jiff::Timestamp;
use regex::Regex;
use serde_json::Value;

/// Conditions, joined.
#[derive(Debug)]
pub enum Expression {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Holds(Restriction),
}

/// A condition on one field.
#[derive(Debug)]
pub struct Restriction {
    pub path: Vec<String>,
    pub test: Test,
}

/// What a field must be.
#[derive(Debug)]
pub enum Test {
    Equals(String),
    /// A string contains this text; any other value equals it.
    Has(String),
    /// The field is present: `field:*`.
    Present,
    Compares(Comparison, String),
    /// The expression matches the whole text, or the value equals what was written without quotes: a time
    /// has a plus sign, which an expression wouldn't match.
    Matches(Regex, Option<String>),
}

/// Which orderings of field and value satisfy the condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Expression {
    pub fn accepts(&self, item: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.accepts(item)),
            Self::Any(parts) => parts.iter().any(|part| part.accepts(item)),
            Self::Not(part) => !part.accepts(item),
            Self::Holds(restriction) => restriction.holds(item),
        }
    }
}

impl Restriction {
    fn holds(&self, item: &Value) -> bool {
        let mut found = Vec::new();
        reach(item, &self.path, &mut found);
        found.into_iter().any(|value| self.test.passes(value))
    }
}

/// The values at the end of a path. A path goes through all elements of a list: `tags.items`.
fn reach<'a>(value: &'a Value, path: &[String], found: &mut Vec<&'a Value>) {
    match (value, path) {
        (Value::Null, _) => {}
        (Value::Array(elements), _) => elements.iter().for_each(|e| reach(e, path, found)),
        (_, []) => found.push(value),
        (_, [field, rest @ ..]) => {
            if let Some(value) = value.get(field) {
                reach(value, rest, found);
            }
        }
    }
}

impl Test {
    fn passes(&self, value: &Value) -> bool {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match self {
            Self::Equals(wanted) => text == *wanted,
            Self::Has(part) if value.is_string() => text.contains(part.as_str()),
            // For a map, one of its keys: `labels:role`.
            Self::Has(key) if value.is_object() => value.get(key).is_some(),
            Self::Has(wanted) => text == *wanted,
            Self::Present => true,
            Self::Compares(comparison, wanted) => comparison.holds(compare(&text, wanted)),
            Self::Matches(regex, alone) => {
                let equals = |wanted: &String| compare(&text, wanted).is_eq();
                regex.is_match(&text) || alone.as_ref().is_some_and(equals)
            }
        }
    }
}

impl Comparison {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// Compares as numbers if both are (int64 is a string in the API), as times if both are, otherwise as text.
fn compare(left: &str, right: &str) -> Ordering {
    if let (Ok(left), Ok(right)) = (left.parse::<f64>(), right.parse::<f64>()) {
        return left.total_cmp(&right);
    }
    if let (Ok(left), Ok(right)) = (left.parse::<Timestamp>(), right.parse::<Timestamp>()) {
        return left.cmp(&right);
    }
    left.cmp(right)
}
