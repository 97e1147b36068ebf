//! A filter's text, in pieces.

use super::Comparison;

/// One piece.
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

/// The pieces of a filter.
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
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        return quoted(text, quote);
    }
    if after_match(before) {
        return expression(text);
    }
    if text.starts_with('(') {
        return Ok((Token::Open, 1));
    }
    // A value may begin with a minus sign, a field can't.
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

/// After `eq` and `ne` comes a regular expression, whose signs are its own: `name eq (a|b)`.
fn after_match(tokens: &[Token]) -> bool {
    matches!(tokens, [.., Token::Word(field), Token::Word(word)]
        if !matches!(field.as_str(), "AND" | "OR" | "NOT") && (word == "eq" || word == "ne"))
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

/// A regular expression without quotation marks: up to a blank, or a parenthesis that it didn't open.
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

/// A field's name, a value without quotation marks (a URL or a time, with colons), or a word like AND.
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
