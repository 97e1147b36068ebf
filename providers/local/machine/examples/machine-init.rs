//! A machine's init process as its own program. The tests boot their machines with it; it also runs a
//! machine without the local cloud: write DIR/guest.json, then run `machine-init DIR`.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(dir) => hakube_local_machine::init(Path::new(&dir)),
        None => {
            eprintln!("usage: machine-init DIR");
            ExitCode::from(2)
        }
    }
}
