//! Text for a POSIX shell.

/// A command that runs the script as root under this name, with sudo if necessary. Arguments follow.
pub fn as_root(script: &str, name: &str) -> String {
    format!(
        "$([ \"$(id -u)\" -eq 0 ] || echo sudo -n) sh -c {} {name}",
        word(script)
    )
}

/// Quotes text as one word of a POSIX shell.
pub fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
