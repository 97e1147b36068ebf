//! Command lines: prefixes and specifiers.

use super::types::Command;

/// Parses a command: its prefixes, and its words with specifiers resolved. `+` and `!` change privileges,
/// which don't exist here; `@` is not emulated.
pub fn command(words: &[String], resolve: impl Fn(&str) -> String) -> Option<Command> {
    let (program, arguments) = words.split_first()?;
    let name = program.trim_start_matches(['-', ':', '+', '!']);
    let prefixes = &program[..program.len() - name.len()];
    if name.is_empty() || name.starts_with('@') {
        return None;
    }
    let argv = std::iter::once(name).chain(arguments.iter().map(String::as_str));
    Some(Command {
        argv: argv
            .map(|word| {
                if word == r"\;" {
                    ";".to_owned()
                } else {
                    resolve(word)
                }
            })
            .collect(),
        ignore_failure: prefixes.contains('-'),
        literal: prefixes.contains(':'),
    })
}

/// Resolves the specifiers of systemd.unit(5) in the file of the unit `name` on the machine `host`. An
/// unknown one is kept.
pub fn resolve(text: &str, name: &str, host: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let replacement = match after.chars().next() {
            Some('H' | 'l') => host,
            Some('n') => name,
            Some('N' | 'p') => stem,
            Some('t') => "/run",
            Some('S') => "/var/lib",
            Some('L') => "/var/log",
            Some('C') => "/var/cache",
            Some('E') => "/etc",
            Some('h') => "/root",
            Some('%') => "%",
            _ => {
                out.push('%');
                rest = after;
                continue;
            }
        };
        out.push_str(replacement);
        rest = &after[1..];
    }
    out.push_str(rest);
    out
}
