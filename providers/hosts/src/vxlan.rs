//! Whether the pod network's packets pass between hosts: UDP, which nobody refuses where nobody listens. So for a few
//! seconds the hosts listen, all at once.

use crate::facts::Finding;
use crate::preflight::{FACTS_PATIENCE, REACH_HINT, WHAT};
use crate::remote::Remote;
use crate::scripts::VXLAN;
use futures::future::join_all;
use std::collections::BTreeSet;

/// For how long a host that hears nothing listens, in seconds. Scripts begin within a second or two of each other.
const LISTEN: &str = "6";

/// What a host said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    /// Something listens on its port already: a kernel that has the pod network, say.
    deaf: bool,
    /// The hosts that it heard.
    from: BTreeSet<String>,
}

/// A host, the others that were to reach it, and what it said; nothing where that isn't known.
struct Listener {
    name: String,
    address: String,
    others: Vec<String>,
    heard: Option<Heard>,
}

/// What is wrong, by the host from which another isn't reached. `own` are the cluster's already: of those only how they
/// and the new ones reach each other is asked.
pub(crate) async fn findings(wanted: &[&Remote], own: &[&Remote]) -> Vec<(String, Finding)> {
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
        let answer = remote
            .run(WHAT, VXLAN, &arguments, b"", FACTS_PATIENCE)
            .await;
        let heard = match &answer {
            Ok((_, said)) => parse(said),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = &heard {
            tracing::warn!("host {name}: UDP 8472 to it was not checked: {why}");
        } else if *is_new && heard.as_ref().is_ok_and(|heard| heard.deaf) {
            tracing::warn!(
                "host {name}: UDP 8472 to it was not checked: something on it has that port"
            );
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
/// It wasn't tried: why.
fn parse(said: &str) -> Result<Heard, String> {
    let mut heard = Heard::default();
    for line in said.lines() {
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
                "from it, {} ({}) isn't reached on UDP 8472, by which pods of different hosts talk",
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

    fn listener(name: &str, others: &[&str], said: Option<&str>) -> Listener {
        Listener {
            name: name.to_owned(),
            address: format!("10.0.0.{name}"),
            others: others.iter().map(|&other| other.to_owned()).collect(),
            heard: said.map(|said| parse(said).unwrap()),
        }
    }

    #[test]
    fn who_was_not_heard_is_found_where_both_took_part() {
        let all = [
            listener("1", &["2", "3", "4"], Some("heard 3\n")),
            listener("2", &["1", "3", "4"], Some("heard 1\nheard 3\n")),
            // It has the port already, so it only sends.
            listener("3", &["1", "2"], Some("deaf\n")),
            // It couldn't be asked.
            listener("4", &["1", "2"], None),
        ];
        let found = judge(&all);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "2");
        let what = &found[0].1.what;
        assert!(
            what.starts_with("from it, 1 (10.0.0.1) isn't reached on UDP 8472"),
            "{what}"
        );
    }

    #[test]
    fn a_host_that_cannot_try_says_why() {
        let said = parse("unchecked it hasn't got python3\n");
        assert_eq!(said, Err("it hasn't got python3".to_owned()));
    }
}
