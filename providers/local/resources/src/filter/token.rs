//! The tokens of a filter.

use super::expression::Comparison;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    Minus,
    Equal,
    Differ,
    Has,
    Compare(Comparison),
    Word(String),
    Quoted(String),
}

/// Splits a filter into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (token, length) = next(rest, &tokens)?;
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    if tokens.is_empty() {
        return Err("The filter is empty.".into());
    }
    Ok(tokens)
}

fn next(text: &str, before: &[Token]) -> Result<(Token, usize), String> {
    const OPERATORS: &[(&str, Token)] = &[
        ("!=", Token::Differ),
        ("<=", Token::Compare(Comparison::LessOrEqual)),
        (">=", Token::Compare(Comparison::GreaterOrEqual)),
        ("<", Token::Compare(Comparison::Less)),
        (">", Token::Compare(Comparison::Greater)),
        ("=", Token::Equal),
        (":", Token::Has),
        (")", Token::Close),
    ];
    let is_expression = after_match(before);
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        return quoted(text, quote, is_expression);
    }
    if is_expression {
        return expression(text);
    }
    if text.starts_with('(') {
        return Ok((Token::Open, 1));
    }
    // A value may start with a minus sign, a field can't.
    let is_value = matches!(
        before.last(),
        Some(Token::Equal | Token::Differ | Token::Has | Token::Compare(_))
    );
    if text.starts_with('-') && !is_value {
        return Ok((Token::Minus, 1));
    }
    let mut operators = OPERATORS.iter();
    match operators.find(|(written, _)| text.starts_with(written)) {
        Some((written, token)) => Ok((token.clone(), written.len())),
        None => word(text, is_value),
    }
}

/// A regular expression follows `eq` and `ne` and may contain parentheses: `name eq (a|b)`.
fn after_match(tokens: &[Token]) -> bool {
    matches!(tokens, [.., Token::Word(field), Token::Word(word)]
        if !matches!(field.as_str(), "AND" | "OR" | "NOT") && (word == "eq" || word == "ne"))
}

/// A quoted text, without its backslashes. A regular expression keeps them: they are its own, as gcloud sends
/// them (`".*\bmain\b.*"`).
fn quoted(text: &str, quote: char, is_expression: bool) -> Result<(Token, usize), String> {
    let mut value = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                if is_expression {
                    value.push(letter);
                }
                value.extend(letters.next().map(|(_, escaped)| escaped));
            }
            _ if letter == quote => return Ok((Token::Quoted(value), at + 1)),
            _ => value.push(letter),
        }
    }
    Err("A quotation mark is not closed.".into())
}

/// An unquoted regular expression: up to a blank, or to a parenthesis that it didn't open.
fn expression(text: &str) -> Result<(Token, usize), String> {
    let mut depth = 0usize;
    let end = text.find(|letter: char| {
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => return true,
            ')' => depth -= 1,
            _ => {}
        }
        letter.is_whitespace() && depth == 0
    });
    let end = end.unwrap_or(text.len());
    if end == 0 {
        return Err(format!("Expected a regular expression at '{text}'."));
    }
    Ok((Token::Word(text[..end].to_owned()), end))
}

/// A field's name, an unquoted value (a URL or a time, with colons), or a keyword such as AND.
fn word(text: &str, is_value: bool) -> Result<(Token, usize), String> {
    let letter = |c: char| {
        c.is_alphanumeric()
            || matches!(c, '_' | '-' | '.' | '/' | '*')
            || (is_value && matches!(c, ':' | '+' | '@'))
    };
    let end = text.find(|c| !letter(c)).unwrap_or(text.len());
    let rest = &text[end..];
    let ends_well = rest.is_empty()
        || rest.starts_with(|c: char| {
            c.is_whitespace() || c == ')' || (!is_value && matches!(c, '=' | '!' | '<' | '>' | ':'))
        });
    if end == 0 || !ends_well {
        return Err(format!("Unsupported syntax at '{text}'."));
    }
    Ok((Token::Word(text[..end].to_owned()), end))
}
