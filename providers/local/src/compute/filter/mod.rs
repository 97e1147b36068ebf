//! List filters, in one of the API's two syntaxes: AIP-160 (`labels.role = web AND NOT (status = RUNNING OR
//! sizeGb < 10)`), or the older `field eq regex`, `field ne regex` over the whole field. They can't be mixed.
//!
//! What isn't understood is refused: a filter that is half understood would be a wrong list. A field that no
//! resource has is understood: it is absent.

mod parse;
mod token;

use std::cmp::Ordering;
use std::str::FromStr;

use jiff::Timestamp;
use regex::Regex;
use serde_json::Value;

/// A parsed filter.
#[derive(Debug)]
pub struct Filter(Expression);

#[derive(Debug)]
enum Expression {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Holds(Restriction),
}

/// What is asked of one field.
#[derive(Debug)]
struct Restriction {
    path: Vec<String>,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Equals(String),
    /// The text has this in it; what is no text is this.
    Has(String),
    /// The field is there: `field:*`.
    Present,
    Compares(Comparison, String),
    Matches(Regex),
}

/// Which results of comparing the field with the value pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse::filter(&token::tokens(text)?).map(Self)
    }
}

impl Filter {
    /// Whether a resource passes.
    pub fn accepts(&self, item: &Value) -> bool {
        self.0.accepts(item)
    }
}

impl Expression {
    fn accepts(&self, item: &Value) -> bool {
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

/// The values at the end of a path. A path leads through lists to all of their elements: `tags.items`.
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
            // Of a map, one of its keys: `labels:role`.
            Self::Has(key) if value.is_object() => value.get(key).is_some(),
            Self::Has(wanted) => text == *wanted,
            Self::Present => true,
            Self::Compares(comparison, wanted) => comparison.holds(compare(&text, wanted)),
            Self::Matches(regex) => regex.is_match(&text),
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

/// As numbers if both are (int64 is a string in the API), as times if both are, else as text.
fn compare(left: &str, right: &str) -> Ordering {
    if let (Ok(left), Ok(right)) = (left.parse::<f64>(), right.parse::<f64>()) {
        return left.total_cmp(&right);
    }
    if let (Ok(left), Ok(right)) = (left.parse::<Timestamp>(), right.parse::<Timestamp>()) {
        return left.cmp(&right);
    }
    left.cmp(right)
}

#[cfg(test)]
mod tests;
