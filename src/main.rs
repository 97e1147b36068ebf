//! hakube.
fn main() {}
