//! Environment files (`EnvironmentFile=`) and the expansion of variables (`$VAR`, `${VAR}`).

use std::collections::BTreeMap;

use super::words;

pub type Environment = BTreeMap<String, String>;

/// Expands variables in a command line as systemd.service(5) does: `${VAR}` stays within its word, `$VAR` as
/// a separate word becomes as many words as its value has, `$$` is a dollar sign. The program's name (the
/// first word) isn't expanded.
pub fn expand_argv(argv: &[String], environment: &Environment) -> Vec<String> {
    let mut expanded = Vec::with_capacity(argv.len());
    for (index, word) in argv.iter().enumerate() {
        match word.strip_prefix('$') {
            _ if index == 0 => expanded.push(word.clone()),
            Some(name) if is_name(name) => {
                let value = environment.get(name).map_or("", String::as_str);
                let split = words::split(value);
                expanded.extend(
                    split.unwrap_or_else(|_| value.split_whitespace().map(str::to_owned).collect()),
                );
            }
            _ => expanded.push(expand_word(word, environment)),
        }
    }
    expanded
}

fn expand_word(word: &str, environment: &Environment) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'))
            && is_name(name)
        {
            out.push_str(environment.get(name).map_or("", String::as_str));
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

/// Whether this is a valid variable name.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Parses an `EnvironmentFile=`: one assignment per line, comments with `#` or `;`, line continuation with a
/// backslash, values quoted as in a shell. Other lines are skipped.
pub fn environment_file(text: &str) -> Vec<(String, String)> {
    let joined = text.replace("\\\n", "");
    joined
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| is_name(name.trim_end()))
        .map(|(name, value)| (name.trim_end().to_owned(), unquote(value.trim())))
        .collect()
}

/// Removes quotes around a whole value. Without quotes and within double quotes, a backslash escapes.
fn unquote(value: &str) -> String {
    if let Some(single) = value
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
    {
        return single.to_owned();
    }
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value);
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(argv: &[&str]) -> Vec<String> {
        let environment = [
            ("ONE", "one"),
            ("TWO", "two two"),
            ("EMPTY", ""),
            ("Q", "'a b' c"),
        ];
        let environment = environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        expand_argv(
            &argv.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(),
            &environment,
        )
    }

    /// The examples of systemd.service(5), "Command lines".
    #[test]
    fn expands_as_the_manual_page_says() {
        assert_eq!(
            expand(&["/bin/echo", "$ONE", "$TWO", "${TWO}"]),
            ["/bin/echo", "one", "two", "two", "two two"]
        );
        assert_eq!(
            expand(&["/bin/echo", "${ONE}", "x${TWO}y"]),
            ["/bin/echo", "one", "xtwo twoy"]
        );
        assert_eq!(
            expand(&["/bin/echo", "$$ONE", "$${ONE}", "a$ONE"]),
            ["/bin/echo", "$ONE", "${ONE}", "a$ONE"]
        );
        assert_eq!(
            expand(&["/bin/echo", "$NONE", "${NONE}", "$EMPTY"]),
            ["/bin/echo", ""]
        );
        assert_eq!(expand(&["${ONE}", "$Q"]), ["${ONE}", "a b", "c"]);
        assert_eq!(
            expand(&["x", "${", "$", "cost: 5$"]),
            ["x", "${", "$", "cost: 5$"]
        );
    }

    #[test]
    fn reads_environment_files() {
        let text = "# comment\nA=1\n; another\nB = two words \nC=\"quoted \\\"x\\\"\"\nD='raw \\n'\nE=a\\\nb\nnonsense\n9=x\n";
        let read = environment_file(text);
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "quoted \"x\""),
            ("D", "raw \\n"),
            ("E", "ab"),
        ];
        assert_eq!(
            read,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
