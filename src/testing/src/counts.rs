//! Counts of tested cases. The runner hides the output of passing tests, so each count is also appended to a
//! file below `HAKUBE_TEST_REPORT`, if set; scripts/test shows them at its end.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Reports the number of cases of a matrix, the number of failures, and the seed that chose the cases.
pub fn tell(matrix: &str, cases: usize, failed: usize, seed: Option<u64>) {
    let chosen = seed.map_or_else(String::new, |seed| format!(", seed {seed}"));
    println!("{matrix}: {cases} cases, {failed} failed{chosen}");
    let Some(directory) = std::env::var_os("HAKUBE_TEST_REPORT") else {
        return;
    };
    let file = Path::new(&directory).join("counts");
    let seed = seed.map_or_else(String::new, |seed| seed.to_string());
    let line = format!("{matrix}\t{cases}\t{failed}\t{seed}\n");
    // Tests run in parallel processes: one write each, at the end of the file.
    let mut counts = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    counts.write_all(line.as_bytes()).unwrap();
}
