//! List filters: the subset of AIP-160 `a.b = "x"`, `a.b != x`, joined by `AND` (or by nothing),
//! with parentheses; and the older `field eq regex`, `field ne regex` over the whole field.

use std::str::FromStr;

use regex::Regex;
use serde_json::Value;

/// A parsed filter: all terms must hold.
#[derive(Debug)]
pub struct Filter(Vec<Term>);

#[derive(Debug)]
struct Term {
    path: Vec<String>,
    negated: bool,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Equals(String),
    Matches(Regex),
}

impl Filter {
    /// Whether a resource passes.
    pub fn accepts(&self, item: &Value) -> bool {
        self.0.iter().all(|term| term.holds(item))
    }
}

impl Term {
    fn holds(&self, item: &Value) -> bool {
        let found = self
            .path
            .iter()
            .try_fold(item, |value, part| value.get(part));
        let text = match found {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        let passes = text.is_some_and(|text| match &self.test {
            Test::Equals(wanted) => text == *wanted,
            Test::Matches(regex) => regex.is_match(&text),
        });
        passes != self.negated
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let mut rest = tokens.as_slice();
        let mut terms = Vec::new();
        conjunction(&mut rest, &mut terms)?;
        match rest.first() {
            None => Ok(Self(terms)),
            Some(token) => Err(format!("Unexpected {token:?}.")),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Equal,
    Differ,
    Word(String),
    Quoted(String),
}

fn conjunction(rest: &mut &[Token], terms: &mut Vec<Term>) -> Result<(), String> {
    loop {
        match rest {
            [Token::Open, after @ ..] => {
                *rest = after;
                conjunction(rest, terms)?;
                let [Token::Close, after @ ..] = rest else {
                    return Err("A parenthesis is not closed.".into());
                };
                *rest = after;
            }
            [Token::Word(word), ..] if matches!(word.as_str(), "OR" | "NOT" | "AND") => {
                return Err(format!("{word} is not supported here."));
            }
            [Token::Word(field), operator, value, after @ ..] => {
                terms.push(term(field, operator, value)?);
                *rest = after;
            }
            _ => return Err("Expected a comparison: field = value.".into()),
        }
        match rest {
            [] | [Token::Close, ..] => return Ok(()),
            [Token::Word(word), after @ ..] if word == "AND" => *rest = after,
            _ => {}
        }
    }
}

fn term(field: &str, operator: &Token, value: &Token) -> Result<Term, String> {
    let (Token::Word(value) | Token::Quoted(value)) = value else {
        return Err(format!("Expected a value after {field}."));
    };
    let whole = |pattern: &str| {
        let regex = Regex::new(&format!("^(?:{pattern})$"));
        regex.map(Test::Matches).map_err(|error| error.to_string())
    };
    let (negated, test) = match operator {
        Token::Equal => (false, Test::Equals(value.clone())),
        Token::Differ => (true, Test::Equals(value.clone())),
        Token::Word(word) if word == "eq" => (false, whole(value)?),
        Token::Word(word) if word == "ne" => (true, whole(value)?),
        other => return Err(format!("Unsupported operator {other:?}.")),
    };
    Ok(Term {
        path: field.split('.').map(str::to_owned).collect(),
        negated,
        test,
    })
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            // After eq and ne a parenthesis belongs to the expression: `name eq (a|b)`.
            '(' if after_match(&tokens) => bare(rest)?,
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '=' => (Token::Equal, 1),
            '!' if rest.starts_with("!=") => (Token::Differ, 2),
            '"' | '\'' => quoted(rest, first)?,
            _ => bare(rest)?,
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    if tokens.is_empty() {
        return Err("The filter is empty.".into());
    }
    Ok(tokens)
}

fn after_match(tokens: &[Token]) -> bool {
    matches!(tokens, [.., Token::Word(field), Token::Word(word)]
        if field != "AND" && (word == "eq" || word == "ne"))
}

fn quoted(text: &str, quote: char) -> Result<(Token, usize), String> {
    let mut value = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            _ if letter == quote => return Ok((Token::Quoted(value), at + 1)),
            _ => value.push(letter),
        }
    }
    Err("A quotation mark is not closed.".into())
}

fn bare(text: &str) -> Result<(Token, usize), String> {
    let mut depth = 0usize;
    let mut end = text.len();
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ')' | '=' | '!' | '"' if depth == 0 => {
                end = at;
                break;
            }
            _ if letter.is_whitespace() && depth == 0 => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let word = &text[..end];
    // Operators of AIP-160 that aren't emulated must not turn into parts of a name.
    let known = word.chars().all(|c| !matches!(c, '<' | '>' | '~')) && !word.starts_with(':');
    if word.is_empty() || !known {
        return Err(format!("Unsupported syntax at '{text}'."));
    }
    Ok((Token::Word(word.to_owned()), end))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn accepts(filter: &str) -> bool {
        let item = json!({
            "name": "main-replica-0",
            "description": "made by \"hakube\" for main",
            "labels": {"hakube-cluster": "main"},
            "sizeGb": "10",
            "autoDelete": true,
        });
        filter.parse::<Filter>().unwrap().accepts(&item)
    }

    #[test]
    fn comparisons_see_nested_fields_and_absent_ones() {
        assert!(accepts(r#"labels.hakube-cluster="main""#));
        assert!(accepts("labels.hakube-cluster = main"));
        assert!(!accepts("labels.hakube-cluster=other"));
        assert!(accepts("labels.other != x"));
        assert!(!accepts("labels.other = x"));
        assert!(accepts("autoDelete = true"));
        assert!(accepts(r#"description = "made by \"hakube\" for main""#));
    }

    #[test]
    fn terms_join_by_and_with_or_without_parentheses() {
        assert!(accepts("name = main-replica-0 AND sizeGb = 10"));
        assert!(accepts("(name = main-replica-0) (sizeGb = 10)"));
        assert!(accepts("((name = main-replica-0) AND (sizeGb != 11))"));
        assert!(!accepts("(name = main-replica-0) AND (sizeGb = 11)"));
    }

    #[test]
    fn eq_and_ne_match_the_whole_field() {
        assert!(accepts("name eq main-replica-.*"));
        assert!(accepts("name eq (main|other)-replica-0"));
        assert!(!accepts("name eq main"));
        assert!(accepts("name ne main"));
        assert!(accepts(r#"name eq "main-replica-\\d""#));
    }

    #[test]
    fn unknown_syntax_is_refused_rather_than_ignored() {
        for bad in [
            "",
            "name",
            "name =",
            "name:main",
            "name > a",
            "a = b OR c = d",
            "NOT a = b",
            "(a = b",
            "a = b)",
            "name eq [",
            r#"name = "open"#,
        ] {
            assert!(bad.parse::<Filter>().is_err(), "{bad}");
        }
    }
}
