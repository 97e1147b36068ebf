//! hakube: highly available Kubernetes control planes on machines of your own.

mod addons;
mod artifacts;
mod channel;
mod cli;
mod clock;
mod cluster;
mod error;
mod etcd;
mod kubeconfig;
mod kubernetes;
mod machine;
mod output;
mod pki;
mod plan;
mod proxies;
mod run;
mod settings;
mod state;
#[cfg(test)]
mod testing;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Everything that hakube keeps is its user's only, from birth.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    if let Err(error) = proxies::spare_loopback() {
        output::print_warning(&format!(
            "a proxy is set, and may be asked for what is on this host: {error}; set no_proxy=127.0.0.0/8"
        ));
    }
    // The one failure is that a provider is installed already, which is as good.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    cli::run()
}
