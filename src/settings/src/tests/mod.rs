//! Resolution of settings, and its errors and warnings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cross_checks;
mod layers;
mod libvirt;
mod table;
mod text;
mod values;

use super::{Resolved, Sources, resolve};
use std::path::PathBuf;

/// An operator with these variables and a home directory.
fn sources(env: &[(&str, &str)]) -> Sources {
    Sources {
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        home_dir: Some(PathBuf::from("/home/ada")),
        working_dir: PathBuf::from("/work"),
        ..Sources::default()
    }
}

fn flags(flags: &[(&str, &str)]) -> Vec<(String, String)> {
    flags
        .iter()
        .map(|(flag, value)| ((*flag).to_owned(), (*value).to_owned()))
        .collect()
}

fn resolved(env: &[(&str, &str)]) -> Resolved {
    resolve(&sources(env)).unwrap_or_else(|errors| panic!("{env:?}: {errors}"))
}

/// The errors' messages.
fn refused(env: &[(&str, &str)]) -> Vec<String> {
    match resolve(&sources(env)) {
        Ok(_) => panic!("{env:?} was accepted"),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}

/// A setting's value and origin, as in `hakube env`.
fn shown(resolved: &Resolved, key: &str) -> (String, String) {
    let value = resolved
        .values
        .iter()
        .find(|value| value.key == key)
        .unwrap_or_else(|| panic!("{key} wasn't resolved"));
    (value.value.clone(), value.origin.to_string())
}
