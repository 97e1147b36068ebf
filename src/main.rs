//! hakube.
#[allow(dead_code, unused_imports)]
mod settings;

fn main() {}
