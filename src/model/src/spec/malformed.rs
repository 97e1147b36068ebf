//! Words of the model, from text: why one is refused.

/// The problem with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

impl Malformed {
    /// A problem from fixed words.
    pub fn new(problem: &str) -> Self {
        Self(problem.to_owned())
    }
}

/// A name as Compute Engine wants it: `[a-z]([-a-z0-9]{0,61}[a-z0-9])?`.
pub fn name(text: &str) -> Result<String, Malformed> {
    let problem = if text.len() > 63 {
        "it is longer than 63 characters"
    } else if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        "it doesn't start with a lower-case letter"
    } else if text.ends_with('-') {
        "it ends in a hyphen"
    } else if !text.chars().all(is_name_character) {
        "it has characters other than lower-case letters, digits and hyphens"
    } else {
        return Ok(text.to_owned());
    };
    Err(Malformed::new(problem))
}

/// Whether a name may have this character.
pub fn is_name_character(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}
