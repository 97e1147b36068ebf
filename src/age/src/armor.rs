//! Armor: base64 between two marker lines, 64 characters a line.

use crate::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
const END: &str = "-----END AGE ENCRYPTED FILE-----";
pub(crate) const COLUMNS: usize = 64;

pub(crate) fn wrap(file: &[u8]) -> String {
    let mut text = format!("{BEGIN}\n");
    let encoded = STANDARD.encode(file);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(COLUMNS));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(END);
    text.push('\n');
    text
}

pub(crate) fn unwrap(text: &str) -> Result<Vec<u8>> {
    let mut lines = text.trim().lines();
    if lines.next() != Some(BEGIN) {
        return Err(Error::Format("it doesn't begin with age's armor"));
    }
    let mut encoded = String::with_capacity(text.len());
    let mut is_last = false;
    for line in &mut lines {
        if line == END {
            let nothing_after = lines.next().is_none();
            let decoded = STANDARD.decode(encoded).ok().filter(|_| nothing_after);
            return decoded.ok_or(Error::Format("its armor isn't base64"));
        }
        if is_last || line.len() > COLUMNS || line.is_empty() {
            return Err(Error::Format("its armor has lines of the wrong length"));
        }
        is_last = line.len() < COLUMNS;
        encoded.push_str(line);
    }
    Err(Error::Format("its armor has no end"))
}
