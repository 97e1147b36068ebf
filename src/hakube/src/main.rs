//! hakube: highly available Kubernetes control planes on your own machines.

mod cli;
mod proxies;

use std::process::ExitCode;

fn main() -> ExitCode {
    // All files that hakube creates are private to its user.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    if let Err(error) = proxies::spare_loopback() {
        hakube_output::print_warning(&format!(
            "could not exempt loopback addresses from the proxy: {error}; set no_proxy=127.0.0.0/8"
        ));
    }
    // Fails only if a provider is already installed, which is fine.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    cli::run()
}
