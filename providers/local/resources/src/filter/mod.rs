//! List filters in either of the API's syntaxes: AIP-160 (`labels.role = web AND NOT (status = RUNNING OR
//! sizeGb < 10)`), or the older `field eq regex` and `field ne regex`, which match the whole field. They
//! can't be mixed.
//!
//! A filter that isn't fully understood is rejected, since it would give a wrong list. An unknown field is
//! allowed: it counts as absent.

mod expression;
mod parse;
mod token;

use std::str::FromStr;

use serde_json::Value;

use expression::Expression;

/// A parsed filter.
#[derive(Debug)]
pub struct Filter(Expression);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse::filter(&token::tokens(text)?).map(Self)
    }
}

impl Filter {
    /// Whether a resource matches.
    pub fn accepts(&self, item: &Value) -> bool {
        self.0.accepts(item)
    }
}

#[cfg(test)]
mod tests;
