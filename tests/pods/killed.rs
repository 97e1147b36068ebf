//! hakube is killed at each step of a command.

use super::lab::Lab;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// More steps than any command has.
const MOST: usize = 60;

/// Repeats a command. Each run is killed at the first step at which no earlier run was, until a run
/// finishes. Returns the number of kills.
pub fn at_each_step(lab: &Lab, arguments: &[&str]) -> usize {
    let mut killed = BTreeSet::new();
    while killed.len() < MOST {
        let mut child = lab
            .hakube_command(arguments)
            .args(["--output", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let new = lines.map_while(Result::ok).find_map(|line| {
            let event: serde_json::Value = serde_json::from_str(&line).ok()?;
            let key = event["step"].as_str()?;
            (event["event"] == "step_started" && !killed.contains(key)).then(|| key.to_owned())
        });
        let Some(key) = new else {
            let output = child.wait_with_output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "after it was killed at {killed:?}: {errors}"
            );
            return killed.len();
        };
        child.kill().unwrap();
        child.wait().unwrap();
        killed.insert(key);
    }
    panic!("too many steps: {killed:?}");
}
