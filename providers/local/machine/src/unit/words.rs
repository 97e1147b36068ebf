//! Quoting, after systemd.syntax(7): splits a value into words.

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unbalanced quotes")]
pub struct Unbalanced;

/// Splits at blanks that are neither quoted nor escaped, removes quotes, and resolves C-style escapes. An
/// unknown escape is kept.
pub fn split(value: &str) -> Result<Vec<String>, Unbalanced> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\\', _) => escape(&mut rest, word.get_or_insert_default()),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Unbalanced);
    }
    words.extend(word);
    Ok(words)
}

/// Resolves the escape that follows a backslash.
fn escape(rest: &mut std::str::Chars<'_>, word: &mut String) {
    let ahead = rest.as_str();
    let Some(c) = rest.next() else {
        word.push('\\');
        return;
    };
    let (digits, radix) = match c {
        'x' => (ahead.get(1..3), 16),
        'u' => (ahead.get(1..5), 16),
        'U' => (ahead.get(1..9), 16),
        '0'..='7' => (ahead.get(0..3), 8),
        _ => (None, 10),
    };
    let coded = digits
        .and_then(|digits| u32::from_str_radix(digits, radix).ok())
        .and_then(char::from_u32);
    if let (Some(decoded), Some(digits)) = (coded, digits) {
        word.push(decoded);
        let already_taken = usize::from(radix == 8);
        for _ in already_taken..digits.len() {
            rest.next();
        }
        return;
    }
    match c {
        'a' => word.push('\u{7}'),
        'b' => word.push('\u{8}'),
        'f' => word.push('\u{c}'),
        'n' => word.push('\n'),
        'r' => word.push('\r'),
        't' => word.push('\t'),
        'v' => word.push('\u{b}'),
        's' => word.push(' '),
        '\\' | '"' | '\'' => word.push(c),
        other => word.extend(['\\', other]),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn splits_as_the_manual_page_says() {
        let cases: &[(&str, &[&str])] = &[
            ("/bin/echo one two", &["/bin/echo", "one", "two"]),
            (
                r#""two words" 'and three more'"#,
                &["two words", "and three more"],
            ),
            (
                r#"Environment="ONE=one" 'TWO=two two'"#,
                &["Environment=ONE=one", "TWO=two two"],
            ),
            (r#""it's" '"quoted"'"#, &["it's", r#""quoted""#]),
            (
                r"a\x20b \101 tab\tend \s \\",
                &["a b", "A", "tab\tend", " ", "\\"],
            ),
            (r"grep '\.yaml$'", &["grep", r"\.yaml$"]),
            (r"caf\u00e9", &["café"]),
            (r#""" x"#, &["", "x"]),
            ("   ", &[]),
        ];
        for (value, words) in cases {
            assert_eq!(split(value).unwrap(), *words, "{value}");
        }
    }

    #[test]
    fn refuses_a_quote_without_its_partner() {
        assert_eq!(split("'open"), Err(Unbalanced));
    }
}
