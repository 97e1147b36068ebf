//! The grammars of filters. In AIP-160, OR binds more tightly than AND, and a plain sequence is joined by
//! AND. For `eq` and `ne`, the reference of any list method's `filter` allows "a single un-parenthesized
//! expression" or "multiple parenthesized expressions"; the two kinds "cannot be mixed in one request".
//! gcloud's `api_lib/compute/filter_rewrite.py` documents that it has no AND, OR and NOT.

use regex::Regex;

use super::expression::{Expression, Restriction, Test};
use super::token::Token;

/// Deeper than any real filter, and shallow enough for the stack.
const DEEPEST: usize = 32;

const MIXED: &str = "Expressions with eq or ne stand alone, or follow each other in parentheses; they can't be \
                     mixed with other operators, nor joined by AND, OR and NOT.";

/// Parses a filter from its tokens.
pub(super) fn filter(tokens: &[Token]) -> Result<Expression, String> {
    let mut parser = Parser {
        rest: tokens,
        depth: 0,
    };
    let expression = if begins_with_match(tokens) {
        parser.matches()?
    } else {
        parser.conjunction()?
    };
    match parser.rest.first() {
        None => Ok(expression),
        Some(token) => Err(format!("Unexpected {token:?}.")),
    }
}

/// Whether the first expression uses `eq` or `ne`.
fn begins_with_match(tokens: &[Token]) -> bool {
    let mut rest = tokens.iter().skip_while(|token| **token == Token::Open);
    matches!(rest.next(), Some(Token::Word(_))) && rest.next().is_some_and(is_match)
}

fn is_match(operator: &Token) -> bool {
    matches!(operator, Token::Word(word) if word == "eq" || word == "ne")
}

struct Parser<'a> {
    rest: &'a [Token],
    depth: usize,
}

impl Parser<'_> {
    fn conjunction(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.disjunction()?];
        while !matches!(self.rest, [] | [Token::Close, ..]) {
            self.takes_word("AND");
            parts.push(self.disjunction()?);
        }
        Ok(one_or(parts, Expression::All))
    }

    fn disjunction(&mut self) -> Result<Expression, String> {
        let mut parts = vec![self.term()?];
        while self.takes_word("OR") {
            parts.push(self.term()?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    fn term(&mut self) -> Result<Expression, String> {
        if self.takes_word("NOT") || self.takes(&Token::Minus) {
            return Ok(Expression::Not(Box::new(self.simple()?)));
        }
        self.simple()
    }

    fn simple(&mut self) -> Result<Expression, String> {
        match self.parenthesized(Self::conjunction) {
            Some(inner) => inner,
            None => self.restriction(compared),
        }
    }

    /// One expression with `eq` or `ne`, or several in parentheses.
    fn matches(&mut self) -> Result<Expression, String> {
        let mut parts = Vec::new();
        while let Some(part) = self.parenthesized(Self::matches) {
            parts.push(part?);
        }
        if parts.is_empty() {
            parts.push(self.restriction(matched)?);
        }
        match self.rest {
            [] | [Token::Close, ..] => Ok(one_or(parts, Expression::All)),
            _ => Err(MIXED.into()),
        }
    }

    /// The expression in parentheses, if one opens here.
    fn parenthesized(
        &mut self,
        inner: fn(&mut Self) -> Result<Expression, String>,
    ) -> Option<Result<Expression, String>> {
        self.takes(&Token::Open).then(|| {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err("There are too many parentheses.".into());
            }
            let inner = inner(self)?;
            self.depth -= 1;
            if self.takes(&Token::Close) {
                Ok(inner)
            } else {
                Err("A parenthesis is not closed.".into())
            }
        })
    }

    fn restriction(&mut self, test: TestOf) -> Result<Expression, String> {
        let [Token::Word(field), operator, value, rest @ ..] = self.rest else {
            return Err("Expected a comparison: field = value.".into());
        };
        if matches!(field.as_str(), "AND" | "OR" | "NOT") || field.contains('*') {
            return Err(format!("Expected a field instead of {field}."));
        }
        let (text, is_quoted) = match value {
            Token::Word(text) => (text, false),
            Token::Quoted(text) => (text, true),
            other => return Err(format!("Expected a value instead of {other:?}.")),
        };
        let (negated, test) = test(operator, text, is_quoted)?;
        self.rest = rest;
        let path = field.split('.').map(str::to_owned).collect();
        let holds = Expression::Holds(Restriction { path, test });
        Ok(if negated {
            Expression::Not(Box::new(holds))
        } else {
            holds
        })
    }

    fn takes(&mut self, token: &Token) -> bool {
        let found = self.rest.first() == Some(token);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// Consumes a keyword, unless an operator follows: then it is a field.
    fn takes_word(&mut self, word: &str) -> bool {
        let found = matches!(self.rest, [Token::Word(first), ..] if first == word);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }
}

fn one_or(mut parts: Vec<Expression>, of: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => of(parts),
    }
}

/// Builds a test from an operator, a value, and whether the value is quoted. Also returns whether to negate
/// it.
type TestOf = fn(&Token, &str, bool) -> Result<(bool, Test), String>;

/// For the older syntax.
fn matched(operator: &Token, pattern: &str, is_quoted: bool) -> Result<(bool, Test), String> {
    if !is_match(operator) {
        return Err(MIXED.into());
    }
    let negated = *operator == Token::Word("ne".into());
    let regex = Regex::new(&format!("^(?:{})$", literal_parts_escaped(pattern)));
    let regex = regex.map_err(|error| error.to_string())?;
    let alone = (!is_quoted).then(|| pattern.to_owned());
    Ok((negated, Test::Matches(regex, alone)))
}

/// RE2 takes the text between `\Q` and `\E` literally, which `regex` doesn't have.
fn literal_parts_escaped(pattern: &str) -> String {
    let mut known = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        known.push_str(before);
        if let Some(literal) = escape.strip_prefix("\\Q") {
            let (text, after) = literal.split_once("\\E").unwrap_or((literal, ""));
            known.push_str(&regex::escape(text));
            rest = after;
        } else {
            let length = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
            known.push_str(&escape[..length]);
            rest = &escape[length..];
        }
    }
    known.push_str(rest);
    known
}

/// For AIP-160.
fn compared(operator: &Token, text: &str, is_quoted: bool) -> Result<(bool, Test), String> {
    if is_match(operator) {
        return Err(MIXED.into());
    }
    let is_star = !is_quoted && text == "*";
    if !is_quoted && text.contains('*') && !(is_star && *operator == Token::Has) {
        return Err(format!("Wildcards are not supported: '{text}'."));
    }
    Ok(match operator {
        Token::Equal => (false, Test::Equals(text.into())),
        Token::Differ => (true, Test::Equals(text.into())),
        Token::Has if is_star => (false, Test::Present),
        Token::Has => (false, Test::Has(text.into())),
        Token::Compare(comparison) => (false, Test::Compares(*comparison, text.into())),
        Token::Word(word) => return Err(format!("{word} is not an operator.")),
        other => return Err(format!("Expected an operator instead of {other:?}.")),
    })
}
