//! The version of an etcd that is installed on this host.

use hakube_error::{Error, Result};
use hakube_model::Program;
use hakube_output::{Event, Reporter};
use semver::Version;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// It prints a few lines and exits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns the program, if its version is the one requested. ETCD_VERSION selects a download; it can't change an
/// installed program.
///
/// # Errors
/// The program is another version.
pub async fn checked(
    program: Program,
    wanted: Option<&Version>,
    reporter: &dyn Reporter,
) -> Result<Program> {
    let (Some(wanted), Program::Installed(file)) = (wanted, &program) else {
        return Ok(program);
    };
    match of(file).await {
        Some(found) if found.cmp_precedence(wanted).is_eq() => {}
        Some(found) => {
            return Err(Error::bad_input(format!(
                "{} is etcd {found}, but ETCD_VERSION is {wanted}",
                file.display()
            ))
            .hint(format!("to use the installed one: ETCD_VERSION={found}, or leave ETCD_VERSION out"))
            .hint(format!("to use {wanted}: --etcd-binary FILE, or download it: --etcd-releases URL")));
        }
        None => reporter.event(&Event::warning(format!(
            "could not determine the version of {}, and ETCD_VERSION is {wanted}; check which version runs: hakube status",
            file.display()
        ))),
    }
    Ok(program)
}

/// The version that the program reports.
async fn of(file: &Path) -> Option<Version> {
    let asked = Command::new(file)
        .arg("--version")
        .env_clear()
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

fn parse(text: &str) -> Option<Version> {
    let mut lines = text.lines();
    let version = lines.find_map(|line| line.strip_prefix("etcd Version: "))?;
    Version::parse(version.trim()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn etcd_version_output_is_parsed() {
        let text = "etcd Version: 3.5.16\nGit SHA: f20bbad\nGo Version: go1.22.7\n";
        assert_eq!(parse(text).unwrap(), Version::new(3, 5, 16));
        assert_eq!(parse("something else"), None);
    }
}
