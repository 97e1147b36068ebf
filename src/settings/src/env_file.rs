//! Env files, in the subset of shell syntax that is unambiguous.

use super::parse::Malformed;

/// An assignment, or the problem with the line, with the line number from 1.
pub type Line = (usize, Result<(String, String), Malformed>);

/// Parses `NAME=value` lines. An `export` before the name, quotes around the value, empty lines and comments
/// are allowed. Anything that a shell would expand is refused: sourcing the file gives the same result.
pub fn parse(text: &str) -> impl Iterator<Item = Line> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| (number, assignment(line)))
}

fn assignment(line: &str) -> Result<(String, String), Malformed> {
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let (name, value) = line
        .split_once('=')
        .ok_or_else(|| Malformed::new("it has no ="))?;
    if !is_variable(name) {
        return Err(Malformed(format!("{name:?} isn't the name of a variable")));
    }
    Ok((name.to_owned(), unquote(value)?))
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn unquote(value: &str) -> Result<String, Malformed> {
    let (inner, rest) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..]
            .split_once(quote)
            .ok_or_else(|| Malformed::new("the quote isn't closed"))?,
        _ => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
    };
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with('#') {
        return Err(Malformed::new(
            "there is text after the value; quote a value with spaces",
        ));
    }
    if !value.starts_with('\'') && inner.contains(['$', '`', '\\']) {
        return Err(Malformed::new(
            "a shell would expand the value; write it out, or put it in single quotes",
        ));
    }
    Ok(inner.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_parsed_like_a_shell() {
        let cases = [
            ("A=1", "1"),
            ("export A=1", "1"),
            ("A=", ""),
            ("A=1 # why", "1"),
            ("A=1#2", "1#2"),
            ("A=\"two words\" # why", "two words"),
            ("A='cost: $5'", "cost: $5"),
            ("A=a=b,c=d", "a=b,c=d"),
            ("  A=~/x  ", "~/x"),
        ];
        for (line, value) in cases {
            let lines: Vec<Line> = parse(line).collect();
            assert_eq!(lines, [(1, Ok(("A".into(), value.into())))], "{line}");
        }
    }

    #[test]
    fn lines_that_a_shell_would_read_differently_are_refused_by_number() {
        for line in [
            "A",
            "A =1",
            "A= 1",
            "1A=1",
            "A=two words",
            "A=\"open",
            "A='a'b",
            "A=$HOME",
            "A=\"`id`\"",
        ] {
            let text = format!("# a comment\n\n{line}\n");
            let lines: Vec<Line> = parse(&text).collect();
            assert!(matches!(lines[..], [(3, Err(_))]), "{line}: {lines:?}");
        }
    }
}
