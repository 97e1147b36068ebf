//! A machine's init process, as a program of its own: what the tests boot their machines with, and a
//! way to run a machine without the local cloud (`machine-init DIR`, after writing DIR/guest.json).

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(dir) => hakube_local::machine::init(Path::new(&dir)),
        None => {
            eprintln!("usage: machine-init DIR");
            ExitCode::from(2)
        }
    }
}
