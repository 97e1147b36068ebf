//! Whether hosts get what they will download. A machine that doesn't would try for ever, and nobody would know why.

use crate::facts::Finding;
use crate::preflight::{FACTS_PATIENCE, WHAT};
use crate::remote::Remote;
use crate::scripts::DOWNLOADS;
use futures::future::join_all;

/// What a machine downloads, as URLs.
#[derive(Debug, Clone, Default)]
pub struct Downloads {
    /// A machine made by itself.
    pub replica: Vec<String>,
    /// A machine of a group.
    pub node: Vec<String>,
}

impl Downloads {
    /// What is wrong, by the host. One that can't be asked is told of by others.
    pub(crate) async fn findings(
        &self,
        wanted: &[&Remote],
        replicas: &[&str],
    ) -> Vec<(String, Finding)> {
        let answers = join_all(wanted.iter().map(async |remote| {
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
            let answer = remote
                .run(WHAT, DOWNLOADS, &[], input.as_bytes(), FACTS_PATIENCE)
                .await;
            let (_, said) = answer.ok()?;
            Some((name.clone(), judge(&said)?))
        }));
        answers.await.into_iter().flatten().collect()
    }
}

/// One finding, however many there are: they are of one server, most of the time.
fn judge(said: &str) -> Option<Finding> {
    let mut lines = said.lines().filter_map(|line| line.split_once(' '));
    let (url, why) = lines.next()?;
    let more = match lines.count() {
        0 => String::new(),
        count => format!("; and {count} more"),
    };
    Some(Finding {
        what: format!("it can't download {url}: {why}{more}"),
        hint: "see that the host reaches the server, and that the file is there: curl --head URL; \
               for a mirror of your own: docs/closed-networks.md"
            .to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn many_files_of_one_server_are_one_finding() {
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
