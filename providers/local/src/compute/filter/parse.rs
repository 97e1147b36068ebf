//! A filter's grammar, as AIP-160 has it: OR binds more tightly than AND, and what merely follows each other is
//! joined by AND.

use regex::Regex;

use super::token::Token;
use super::{Expression, Restriction, Test};

/// More than anybody writes, and little enough for the stack.
const DEEPEST: usize = 32;

/// The filter that these pieces are.
pub(super) fn filter(tokens: &[Token]) -> Result<Expression, String> {
    let mut parser = Parser {
        rest: tokens,
        depth: 0,
    };
    let expression = parser.conjunction()?;
    match parser.rest.first() {
        None => Ok(expression),
        Some(token) => Err(format!("Unexpected {token:?}.")),
    }
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
        if !self.takes(&Token::Open) {
            return self.restriction();
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("There are too many parentheses.".into());
        }
        let inner = self.conjunction()?;
        self.depth -= 1;
        if self.takes(&Token::Close) {
            Ok(inner)
        } else {
            Err("A parenthesis is not closed.".into())
        }
    }

    fn restriction(&mut self) -> Result<Expression, String> {
        let [Token::Word(field), operator, value, rest @ ..] = self.rest else {
            return Err("Expected a comparison: field = value.".into());
        };
        if matches!(field.as_str(), "AND" | "OR" | "NOT") || field.contains('*') {
            return Err(format!("Expected a field instead of {field}."));
        }
        let (negated, test) = test(operator, value)?;
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

    /// A word that is one of the grammar, and no field: no operator follows.
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

/// What an operator and a value ask for, and whether it is to be so or not.
fn test(operator: &Token, value: &Token) -> Result<(bool, Test), String> {
    let (text, is_quoted) = match value {
        Token::Word(text) => (text, false),
        Token::Quoted(text) => (text, true),
        other => return Err(format!("Expected a value instead of {other:?}.")),
    };
    if let Token::Word(word) = operator {
        return match word.as_str() {
            "eq" => Ok((false, whole(text)?)),
            "ne" => Ok((true, whole(text)?)),
            other => Err(format!("{other} is no operator.")),
        };
    }
    let is_star = !is_quoted && text == "*";
    if !is_quoted && text.contains('*') && !(is_star && *operator == Token::Has) {
        return Err(format!("Wildcards are not supported: '{text}'."));
    }
    Ok(match operator {
        Token::Equal => (false, Test::Equals(text.clone())),
        Token::Differ => (true, Test::Equals(text.clone())),
        Token::Has if is_star => (false, Test::Present),
        Token::Has => (false, Test::Has(text.clone())),
        Token::Compare(comparison) => (false, Test::Compares(*comparison, text.clone())),
        other => return Err(format!("Expected an operator instead of {other:?}.")),
    })
}

fn whole(pattern: &str) -> Result<Test, String> {
    let regex = Regex::new(&format!("^(?:{pattern})$"));
    regex.map(Test::Matches).map_err(|error| error.to_string())
}
