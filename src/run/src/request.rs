//! What an operation was asked for.

use serde::{Deserialize, Deserializer, Serialize};

/// What a command asks for. The same request resumes its unfinished operation. Any other is refused until that one is
/// finished or dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// `up`.
    Up,
    /// `replicate`.
    Replicate {
        /// How many replicas.
        count: usize,
        /// Their zone, if one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
    },
    /// `down --replica`.
    RemoveReplica {
        /// The replica, if one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replica: Option<String>,
        /// Its zone, if one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
    },
    /// `replace`.
    Replace {
        /// The replica.
        replica: String,
    },
    /// `nodes scale`.
    ScaleNodes {
        /// How many nodes.
        count: u32,
        /// Their zone, if one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
    },
    /// `nodes add`.
    AddNodes {
        /// How many nodes.
        count: u32,
        /// Their zone, if one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
    },
    /// `down`.
    Down,
    /// `abandon`.
    Abandon,
    /// `certs rotate-ca`.
    RotateAuthorities,
    /// `upgrade`.
    Upgrade {
        /// The version of Kubernetes.
        kubernetes: String,
        /// The version of etcd, if the cluster has one set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        etcd: Option<String>,
    },
    /// `restore`.
    Restore {
        /// The backup's name.
        backup: String,
    },
    /// Rolling back another request, which failed. The same command doesn't resume this: it starts over.
    RollBack {
        /// The request.
        of: Box<Request>,
    },
    /// A request in the words of format 3 that this version doesn't know. No command resumes it.
    Unknown {
        /// The words.
        words: String,
    },
}

/// Reads a request as documents have it: up to format 3, its words.
pub(super) fn recorded<'de, D: Deserializer<'de>>(from: D) -> Result<Request, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Recorded {
        Typed(Request),
        Words(String),
    }
    Ok(match Recorded::deserialize(from)? {
        Recorded::Typed(request) => request,
        Recorded::Words(words) => Request::Unknown { words },
    })
}

impl Request {
    /// The request of an operation of this name: words become what they mean, if that is known.
    pub(super) fn of(self, operation: &str) -> Self {
        match self {
            Self::Unknown { words } => {
                from_words(operation, &words).unwrap_or(Self::Unknown { words })
            }
            known => known,
        }
    }
}

fn from_words(operation: &str, words: &str) -> Option<Request> {
    if let Some(of) = words.strip_prefix("turning back from ") {
        let of = Box::new(from_words(operation, of)?);
        return Some(Request::RollBack { of });
    }
    let given = |word: &str, any: &str| (word != any).then(|| word.to_owned());
    Some(match operation {
        "up" => Request::Up,
        "replicate" => {
            let (count, zone) = words.split_once(" in ")?;
            Request::Replicate {
                count: count.parse().ok()?,
                zone: given(zone, "any zone"),
            }
        }
        "down --replica" => {
            let (replica, zone) = words.split_once(" in ")?;
            Request::RemoveReplica {
                replica: given(replica, "any replica"),
                zone: given(zone, "any zone"),
            }
        }
        "replace" => Request::Replace {
            replica: words.to_owned(),
        },
        "nodes" => {
            let (what, zone) = words.split_once(" in ")?;
            let zone = given(zone, "the cluster's zones");
            match (what.strip_prefix("scale to "), what.strip_prefix("add ")) {
                (Some(count), _) => Request::ScaleNodes {
                    count: count.parse().ok()?,
                    zone,
                },
                (None, Some(count)) => Request::AddNodes {
                    count: count.parse().ok()?,
                    zone,
                },
                (None, None) => return None,
            }
        }
        "down" => Request::Down,
        "abandon" => Request::Abandon,
        "certs rotate-ca" => Request::RotateAuthorities,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_format_3_are_understood() {
        let zone = || Some("europe-west1-c".to_owned());
        let replicate = Request::Replicate {
            count: 1,
            zone: zone(),
        };
        for (operation, words, request) in [
            ("up", "up", Request::Up),
            ("replicate", "1 in europe-west1-c", replicate.clone()),
            (
                "replicate",
                "2 in any zone",
                Request::Replicate {
                    count: 2,
                    zone: None,
                },
            ),
            (
                "replicate",
                "turning back from 1 in europe-west1-c",
                Request::RollBack {
                    of: Box::new(replicate),
                },
            ),
            (
                "down --replica",
                "any replica in europe-west1-c",
                Request::RemoveReplica {
                    replica: None,
                    zone: zone(),
                },
            ),
            (
                "replace",
                "kubernetes-master-abc",
                Request::Replace {
                    replica: "kubernetes-master-abc".to_owned(),
                },
            ),
            (
                "nodes",
                "scale to 3 in the cluster's zones",
                Request::ScaleNodes {
                    count: 3,
                    zone: None,
                },
            ),
            (
                "nodes",
                "add 2 in europe-west1-c",
                Request::AddNodes {
                    count: 2,
                    zone: zone(),
                },
            ),
            ("abandon", "", Request::Abandon),
            ("certs rotate-ca", "", Request::RotateAuthorities),
            (
                "replicate",
                "many",
                Request::Unknown {
                    words: "many".to_owned(),
                },
            ),
        ] {
            let words = words.to_owned();
            assert_eq!(Request::Unknown { words }.of(operation), request);
        }
    }
}
