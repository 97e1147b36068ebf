//! Checks after the chaos.

use super::writers::Book;
use crate::lab::{Lab, PATIENCE};
use hakube_yard::until_some;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Acknowledged writes that are missing.
pub fn lost(lab: &Lab, books: &[Book]) -> Vec<String> {
    let there = lab.await_kubectl(
        "all writes are listed",
        &[
            "get",
            "configmaps",
            "--selector=chaos=yes",
            "--output=jsonpath={range .items[*]}{.metadata.name}{\"\\n\"}{end}",
        ],
        |text| !text.is_empty(),
    );
    let there: BTreeSet<&str> = there.lines().collect();
    let all = books.iter().flat_map(|book| &book.acknowledged);
    assert!(all.clone().count() > 50, "too few writes");
    all.filter(|name| !there.contains(name.as_str()))
        .cloned()
        .collect()
}

/// The hash of each member's data at one revision, if they differ.
pub fn differing_members(lab: &Lab, replicas: &[&str]) -> Option<BTreeMap<String, u64>> {
    let mut keys = Vec::new();
    for (flag, file) in [
        ("--cacert", "ca.crt"),
        ("--cert", "server.crt"),
        ("--key", "server.key"),
    ] {
        let path = format!("/etc/kubernetes/pki/etcd/{file}");
        let host = lab.host(replicas[0]);
        let text = host.run(&["cat", &path]).unwrap().checked().unwrap();
        let copy = lab.file(&format!("etcd-{file}"));
        std::fs::write(&copy, text).unwrap();
        keys.push(format!("{flag}={}", copy.display()));
    }
    let etcdctl = |replica: &str, arguments: &[&str]| -> Result<Value, String> {
        let mut command = lab.command_in(lab.program("etcdctl"));
        command
            .arg(format!(
                "--endpoints=https://{}:2379",
                lab.host(replica).address()
            ))
            .args(&keys)
            .args(arguments)
            .arg("--write-out=json");
        let text = crate::lab::run(&mut command)?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    // Members compact at the same revision, but at different times.
    until_some("all members have compacted as far", PATIENCE, || {
        let revision = etcdctl(replicas[0], &["endpoint", "status"])
            .ok()
            .and_then(|status| status[0]["Status"]["header"]["revision"].as_u64());
        let Some(revision) = revision else {
            return Ok(None);
        };
        let mut hashes = BTreeMap::new();
        let mut compacted = BTreeSet::new();
        for replica in replicas {
            let rev = format!("--rev={revision}");
            let Ok(answer) = etcdctl(replica, &["endpoint", "hashkv", &rev]) else {
                return Ok(None);
            };
            let answer = &answer[0]["HashKV"];
            let Some(hash) = answer["hash"].as_u64() else {
                return Ok(None);
            };
            compacted.insert(answer["compact_revision"].as_i64());
            hashes.insert((*replica).to_owned(), hash);
        }
        if compacted.len() > 1 {
            return Ok(None);
        }
        let distinct: BTreeSet<u64> = hashes.values().copied().collect();
        eprintln!("   hashes of members at revision {revision}: {hashes:?}");
        Ok(Some((distinct.len() > 1).then_some(hashes)))
    })
    .unwrap()
}
