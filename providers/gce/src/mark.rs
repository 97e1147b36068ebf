//! The cluster's mark on Compute Engine's resources: a label where they have labels, else the whole
//! description. Its value is the *owner*: the cluster, or more where that isn't enough
//! ([`GceConfig::owner`](crate::GceConfig::owner)).

use google_cloud_compute_v1::model;
use hakube_provider::{Attempt, ErrorKind, MARK, Result, mark_description};
use std::collections::{HashMap, HashSet};

/// The label that tells machines of a node group from machines made one by one; its value is the group's
/// name.
pub(crate) const GROUP_LABEL: &str = "hakube-node-group";

/// A resource that can bear the mark.
pub(crate) trait Marked {
    /// Whether it bears the mark of this owner.
    fn bears(&self, owner: &str) -> bool;

    /// What it says of itself.
    fn says(&self) -> Option<&str>;

    /// Compute Engine's own number for it.
    fn number(&self) -> Option<u64>;
}

macro_rules! marked_by_label {
    ($($kind:ident),+) => {
        $(impl Marked for model::$kind {
            fn bears(&self, owner: &str) -> bool {
                self.labels.get(MARK).is_some_and(|value| value == owner)
            }

            fn says(&self) -> Option<&str> {
                self.description.as_deref()
            }

            fn number(&self) -> Option<u64> {
                self.id
            }
        })+
    };
}

macro_rules! marked_by_description {
    ($($kind:ident),+) => {
        $(impl Marked for model::$kind {
            fn bears(&self, owner: &str) -> bool {
                self.description.as_deref() == Some(mark_description(owner).as_str())
            }

            fn says(&self) -> Option<&str> {
                self.description.as_deref()
            }

            fn number(&self) -> Option<u64> {
                self.id
            }
        })+
    };
}

marked_by_label!(Instance, Disk);
marked_by_description!(
    Address,
    BackendService,
    Firewall,
    ForwardingRule,
    HealthCheck,
    InstanceGroup,
    InstanceGroupManager,
    InstanceTemplate,
    Network,
    Subnetwork
);

/// The resource, if it is the owner's; else it is someone else's and stays as it is.
pub(crate) fn ours<T: Marked>(attempt: &Attempt, owner: &str, found: T) -> Result<T> {
    if found.bears(owner) {
        return Ok(found);
    }
    let says = found.says().filter(|says| !says.is_empty());
    let says = says.map(|says| format!(" (its description: {says})"));
    let says = says.unwrap_or_default();
    let message = format!("it exists, without the mark of cluster {owner}{says}");
    Err(attempt
        .error(ErrorKind::Conflict, message)
        .with_hint("rename or delete it if it is yours, or choose another KUBE_GCE_INSTANCE_PREFIX, which names start with"))
}

/// Labels with the mark, for what is made.
pub(crate) fn labels<'a>(
    cluster: &str,
    others: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> HashMap<String, String> {
    others
        .into_iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .chain([(MARK.to_owned(), cluster.to_owned())])
        .collect()
}

/// Of a list, what is the owner's, once each: what comes or goes between two pages of a list may be on both.
pub(crate) fn ours_once<T: Marked>(owner: &str, list: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    let new = |found: &T| found.number().is_none_or(|number| seen.insert(number));
    list.into_iter()
        .filter(|found| found.bears(owner))
        .filter(new)
        .collect()
}

/// The filter of a list call that finds the mark in labels.
pub(crate) fn label_filter(owner: &str) -> String {
    format!("labels.{MARK}=\"{owner}\"")
}

/// The filter of a list call that finds the mark in descriptions.
pub(crate) fn description_filter(owner: &str) -> String {
    format!("description=\"{}\"", mark_description(owner))
}
