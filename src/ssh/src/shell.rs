//! Text for a POSIX shell.

/// Becomes root if it has to, and runs the script, under this name. Arguments follow.
pub fn as_root(script: &str, name: &str) -> String {
    format!(
        "$([ \"$(id -u)\" -eq 0 ] || echo sudo -n) sh -c {} {name}",
        word(script)
    )
}

/// Text as one word of a POSIX shell.
pub fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
