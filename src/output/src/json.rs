//! Events for scripts: one JSON object a line on stdout.

use super::{Event, Reporter, print};

/// Writes each event as a line of JSON.
#[derive(Debug, Default)]
pub struct JsonLines;

impl Reporter for JsonLines {
    fn event(&self, event: &Event) {
        if let Ok(line) = serde_json::to_string(event) {
            print(&(line + "\n"));
        }
    }
}
