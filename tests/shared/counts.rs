//! How many cases a test tried. The runner hides what a test that passes prints, so each count also goes
//! to a file below `HAKUBE_TEST_REPORT`, if that is set: scripts/test shows all of them at its end.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Tells how many cases of a matrix there were, how many failed, and the seed that chose them.
pub fn tell(matrix: &str, cases: usize, failed: usize, seed: Option<u64>) {
    let chosen = seed.map_or_else(String::new, |seed| format!(", seed {seed}"));
    println!("{matrix}: {cases} cases, {failed} failed{chosen}");
    let Some(directory) = std::env::var_os("HAKUBE_TEST_REPORT") else {
        return;
    };
    let file = Path::new(&directory).join("counts");
    let seed = seed.map_or_else(String::new, |seed| seed.to_string());
    let line = format!("{matrix}\t{cases}\t{failed}\t{seed}\n");
    // Tests are processes that run at the same time: one write each, at the end of the file.
    let mut counts = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    counts.write_all(line.as_bytes()).unwrap();
}
