//! Whether hosts can download what they need. Without this check, a machine that can't would retry
//! forever without a visible cause.

use super::facts::Finding;
use crate::config::Downloads;
use crate::remote::{CHECKING, Remote, USE};
use crate::scripts::DOWNLOADS;
use futures::future::join_all;

impl Downloads {
    /// The problems, by host. Skips unreachable hosts: other checks report those.
    pub(super) async fn findings(
        &self,
        wanted: &[&Remote],
        replicas: &[&str],
    ) -> Vec<(String, Finding)> {
        let results = join_all(wanted.iter().map(async |remote| {
            let name = &remote.host.name;
            let urls = if replicas.contains(&name.as_str()) {
                &self.replica
            } else {
                &self.node
            };
            if urls.is_empty() {
                return None;
            }
            let input = urls.join("\n");
            let result = remote
                .run(USE, DOWNLOADS, &[], input.as_bytes(), CHECKING)
                .await;
            let (_, output) = result.ok()?;
            Some((name.clone(), judge(&output)?))
        }));
        results.await.into_iter().flatten().collect()
    }
}

/// Merges the output into one finding: most of the time, all failures have the same server.
fn judge(output: &str) -> Option<Finding> {
    let mut lines = output.lines().filter_map(|line| line.split_once(' '));
    let (url, why) = lines.next()?;
    let more = match lines.count() {
        0 => String::new(),
        count => format!("; and {count} more"),
    };
    Some(Finding {
        what: format!("it can't download {url}: {why}{more}"),
        hint: "check on the host that the server is reachable and has the file: curl --head URL; \
               to use your own mirror, see docs/closed-networks.md"
            .to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn many_failed_downloads_are_one_finding() {
        assert_eq!(judge(""), None);
        let one = judge("http://m/kubelet HTTP Error 404: File not found\n").unwrap();
        assert_eq!(
            one.what,
            "it can't download http://m/kubelet: HTTP Error 404: File not found"
        );
        let three = judge("http://m/a x\nhttp://m/b x\nhttp://m/c x\n").unwrap();
        assert!(
            three.what.ends_with("http://m/a: x; and 2 more"),
            "{three:?}"
        );
    }
}
