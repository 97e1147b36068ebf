//! Calls to the provider, from the local cloud's log, with names that also match in the next run.

use std::collections::BTreeMap;

use hakube_local_client::{Act, FaultRule, LoggedRequest};

#[derive(Debug, Clone)]
pub struct Call {
    pub method: String,
    /// Below the project; the whole path for other calls. Names that differ between runs are regular
    /// expressions.
    pub path: String,
    /// The number of earlier calls with the same method and path.
    pub nth: u64,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    /// Creates a named resource.
    Insert,
    /// Changes a resource that was read before, by its fingerprint.
    Update,
    Other,
}

const PROJECT: &str = "/compute/v1/projects/local/";

impl Call {
    pub fn rule(&self, act: Act) -> FaultRule {
        let project = if self.path.starts_with('/') {
            ""
        } else {
            PROJECT
        };
        let path = format!("^{project}{}$", self.path);
        FaultRule::on(&self.method, path, act).skip(self.nth)
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        if self.kind == Kind::Read {
            return Ok(());
        }
        write!(f, " #{}", self.nth)
    }
}

/// The calls among these requests of one command: every change, and each distinct read once.
pub fn distinct(requests: &[LoggedRequest]) -> Vec<Call> {
    let mut counts = BTreeMap::new();
    let mut calls = Vec::new();
    for request in requests {
        let path = request.path.strip_prefix(PROJECT).unwrap_or(&request.path);
        let path = general(path);
        let nth = counts
            .entry((request.method.clone(), path.clone()))
            .and_modify(|count| *count += 1)
            .or_insert(0);
        let kind = kind(&request.method, &path);
        if kind == Kind::Read && *nth > 0 {
            continue;
        }
        calls.push(Call {
            method: request.method.clone(),
            nth: *nth,
            path,
            kind,
        });
    }
    calls
}

fn kind(method: &str, path: &str) -> Kind {
    let last = path.rsplit('/').next().unwrap_or_default();
    match method {
        "GET" => Kind::Read,
        "PATCH" | "PUT" => Kind::Update,
        "POST" if matches!(last, "wait" | "listInstances") => Kind::Read,
        "POST" if last.starts_with("set") => Kind::Update,
        "POST" if COLLECTIONS.contains(&last) => Kind::Insert,
        _ => Kind::Other,
    }
}

const COLLECTIONS: [&str; 9] = [
    "addresses",
    "backendServices",
    "disks",
    "firewalls",
    "forwardingRules",
    "healthChecks",
    "instanceGroups",
    "instances",
    "networks",
];

/// A path that matches in the next run, too: names of later replicas and of operations are random.
fn general(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        let suffix = segment.strip_prefix("kubernetes-master-").unwrap_or("");
        let (suffix, rest) = match suffix.strip_suffix("-pd") {
            Some(suffix) => (suffix, "-pd"),
            None => (suffix, ""),
        };
        if segment.starts_with("operation-") {
            "operation-[^/]+".to_owned()
        } else if suffix.len() == 3 {
            format!("kubernetes-master-[a-z0-9]{{3}}{rest}")
        } else {
            segment.to_owned()
        }
    });
    segments.collect::<Vec<_>>().join("/")
}
