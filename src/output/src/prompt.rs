//! Interactive questions.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// Asks a question and returns the line typed on the terminal; `None` if there is no terminal.
pub fn ask(question: &str) -> Option<String> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    // Without a terminal to show the question, there is no answer either.
    let _ = std::io::stderr().write_all(question.as_bytes());
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok()?;
    Some(answer.trim().to_owned())
}

/// Asks for a name to be typed, before something that can't be undone.
///
/// # Errors
/// Why it wasn't: another answer, or no terminal.
pub fn ask_for_name(question: &str, name: &str) -> Result<(), &'static str> {
    match ask(question) {
        Some(answer) if answer == name => Ok(()),
        Some(_) => Err("the name didn't match"),
        None => Err("there is no terminal to confirm on"),
    }
}
