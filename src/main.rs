//! hakube.
#[allow(dead_code, unused_imports)]
mod kubeconfig;
#[allow(dead_code, unused_imports)]
mod pki;
#[allow(dead_code, unused_imports)]
mod settings;
#[allow(dead_code, unused_imports)]
mod state;

fn main() {}
