//! The output of commands.

use std::process::{Command, Stdio};

/// The names of ready nodes in kubectl's list of nodes.
pub fn ready(nodes: &str) -> Vec<String> {
    let lines = nodes
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut names: Vec<String> = lines
        .filter(|words| words.get(1) == Some(&"Ready"))
        .map(|words| words[0].to_owned())
        .collect();
    names.sort();
    names
}

/// Returns stdout, or both outputs on failure.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!(
        "{}: {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    ))
}
