//! Checks that the pod network's packets pass between hosts. They are UDP, and nothing refuses UDP
//! to a closed port. So all hosts listen at once for a few seconds.

use super::facts::{Finding, REACH_HINT};
use crate::remote::{CHECKING, Remote, USE};
use crate::scripts::VXLAN;
use futures::future::join_all;
use std::collections::BTreeSet;

/// How many seconds a host that hears nothing listens. Scripts start within a second or two of each other.
const LISTEN: &str = "6";

/// A host's report.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    /// Whether its port is in use already, for instance by a kernel that has the pod network.
    deaf: bool,
    from: BTreeSet<String>,
}

/// A host, the hosts that should reach it, and its report; `None` if it didn't check.
struct Listener {
    name: String,
    address: String,
    others: Vec<String>,
    heard: Option<Heard>,
}

/// The problems, by the host that can't reach another. `own` are the cluster's existing hosts:
/// between those, nothing is checked.
pub(super) async fn findings(wanted: &[&Remote], own: &[&Remote]) -> Vec<(String, Finding)> {
    let all = wanted.iter().map(|remote| (*remote, true));
    let all: Vec<(&Remote, bool)> = all
        .chain(own.iter().map(|remote| (*remote, false)))
        .collect();
    if wanted.is_empty() || all.len() < 2 {
        return Vec::new();
    }
    let listeners = join_all(all.iter().map(async |(remote, is_new)| {
        let name = &remote.host.name;
        let others = all
            .iter()
            .filter(|(other, other_is_new)| other.host.name != *name && (*is_new || *other_is_new));
        let others: Vec<&Remote> = others.map(|(other, _)| *other).collect();
        let peers = others
            .iter()
            .map(|other| format!("{}={}", other.host.name, other.host.address));
        let mut arguments = vec![name.clone(), LISTEN.to_owned()];
        arguments.extend(peers);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = remote.run(USE, VXLAN, &arguments, b"", CHECKING).await;
        let heard = match &output {
            Ok((_, text)) => parse(text),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = &heard {
            tracing::warn!("host {name}: UDP 8472 to it was not checked: {why}");
        } else if *is_new && heard.as_ref().is_ok_and(|heard| heard.deaf) {
            tracing::warn!("host {name}: UDP 8472 to it was not checked: the port is in use on it");
        }
        Listener {
            name: name.clone(),
            address: remote.host.address.to_string(),
            others: others.iter().map(|other| other.host.name.clone()).collect(),
            heard: heard.ok(),
        }
    }));
    judge(&listeners.await)
}

/// # Errors
/// The host couldn't check; the reason.
fn parse(text: &str) -> Result<Heard, String> {
    let mut heard = Heard::default();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("unchecked", why)) => return Err(why.to_owned()),
            Some(("heard", name)) => {
                heard.from.insert(name.to_owned());
            }
            _ => heard.deaf |= line == "deaf",
        }
    }
    Ok(heard)
}

fn judge(listeners: &[Listener]) -> Vec<(String, Finding)> {
    let sent = |name: &String| {
        let mut listeners = listeners.iter();
        listeners.any(|other| other.name == *name && other.heard.is_some())
    };
    let mut found = Vec::new();
    for listener in listeners {
        let Some(heard) = listener.heard.as_ref().filter(|heard| !heard.deaf) else {
            continue;
        };
        let others = listener.others.iter();
        for other in others.filter(|other| sent(other) && !heard.from.contains(*other)) {
            let what = format!(
                "it can't reach {} ({}) on UDP 8472, which pods on different hosts need to communicate",
                listener.name, listener.address
            );
            let hint = REACH_HINT.to_owned();
            found.push((other.clone(), Finding { what, hint }));
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn listener(name: &str, others: &[&str], text: Option<&str>) -> Listener {
        Listener {
            name: name.to_owned(),
            address: format!("10.0.0.{name}"),
            others: others.iter().map(|&other| other.to_owned()).collect(),
            heard: text.map(|text| parse(text).unwrap()),
        }
    }

    #[test]
    fn a_host_that_was_not_heard_is_reported_if_both_took_part() {
        let all = [
            listener("1", &["2", "3", "4"], Some("heard 3\n")),
            listener("2", &["1", "3", "4"], Some("heard 1\nheard 3\n")),
            // Its port is in use, so it only sends.
            listener("3", &["1", "2"], Some("deaf\n")),
            // It was unreachable.
            listener("4", &["1", "2"], None),
        ];
        let found = judge(&all);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "2");
        let what = &found[0].1.what;
        assert!(
            what.starts_with("it can't reach 1 (10.0.0.1) on UDP 8472"),
            "{what}"
        );
    }

    #[test]
    fn a_host_that_cannot_check_reports_why() {
        let text = parse("unchecked python3 is missing\n");
        assert_eq!(text, Err("python3 is missing".to_owned()));
    }
}
