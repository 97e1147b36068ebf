//! Asking a person.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// The line that somebody answers on the terminal; `None` when there is no terminal to ask on.
pub fn ask(question: &str) -> Option<String> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    eprint!("{question}");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok()?;
    Some(answer.trim().to_owned())
}
