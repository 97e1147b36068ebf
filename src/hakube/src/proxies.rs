//! Exempts loopback addresses from http_proxy and the like.
//!
//! The local cloud, tunnels and replicas on this host use 127.0.0.0/8, and requests to them carry tokens.
//! Google's client reads proxies only from the environment, so that is where the exemption is set.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// The variables that set proxies.
const PROXIES: [&str; 6] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
];
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Re-executes the process with loopback exempted, if a proxy is set and it isn't exempt yet.
///
/// # Errors
/// The process could not re-execute itself.
pub fn spare_loopback() -> std::io::Result<()> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if !PROXIES.iter().any(|name| variable(name).is_some()) {
        return Ok(());
    }
    let exempt = variable("no_proxy").or_else(|| variable("NO_PROXY"));
    let Some(exempt) = with_loopback(exempt) else {
        return Ok(());
    };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "hakube".into());
    // `exec` returns only on failure.
    Err(Command::new("/proc/self/exe")
        .arg0(name)
        .args(arguments)
        .env("no_proxy", &exempt)
        .env("NO_PROXY", &exempt)
        .exec())
}

/// Adds loopback to the exemptions; `None` if it is exempt already.
fn with_loopback(exempt: Option<OsString>) -> Option<OsString> {
    let Some(mut exempt) = exempt else {
        return Some(LOOPBACK.into());
    };
    let has_it = exempt
        .to_string_lossy()
        .split(',')
        .any(|each| matches!(each.trim(), "127.0.0.0/8" | "*"));
    if has_it {
        return None;
    }
    exempt.push(",");
    exempt.push(LOOPBACK);
    Some(exempt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_exempted_once() {
        let with = |exempt: &str| with_loopback(Some(exempt.into()));
        assert_eq!(with_loopback(None), Some(LOOPBACK.into()));
        assert_eq!(
            with("corp.example,127.0.0.1"),
            Some("corp.example,127.0.0.1,localhost,127.0.0.0/8,::1".into())
        );
        assert_eq!(with("corp.example, 127.0.0.0/8"), None);
        assert_eq!(with("*"), None);
    }
}
