//! The ownership label on Compute Engine's resources: a label if the resource can have labels,
//! otherwise the whole description. Its value is the *owner*: the cluster, and more where that
//! isn't enough ([`GceConfig::owner`](crate::GceConfig::owner)).

use google_cloud_compute_v1::model;
use hakube_provider::{
    Attempt, MARK, Namesake, Owner, ResourceId, Result, mark_description, someone_elses,
};
use std::collections::{HashMap, HashSet};

/// The label of a node group's machines. Its value is the group's name.
pub(crate) const GROUP_LABEL: &str = "hakube-node-group";

/// A resource that can have the ownership label.
pub(crate) trait Marked {
    /// The owner in its label or description.
    fn owner(&self) -> Option<&str>;

    /// Its name.
    fn name(&self) -> Option<&str>;

    /// Its description.
    fn text(&self) -> Option<&str>;

    /// When it was created: RFC 3339.
    fn since(&self) -> Option<&str>;

    /// Whether its owner is this one.
    fn is_owned_by(&self, owner: &str) -> bool {
        self.owner() == Some(owner)
    }

    /// Compute Engine's numeric id.
    fn number(&self) -> Option<u64>;
}

macro_rules! marked {
    (|$found:ident| $owner:expr; $($kind:ident),+) => {
        $(impl Marked for model::$kind {
            fn owner(&self) -> Option<&str> {
                let $found = self;
                $owner
            }

            fn name(&self) -> Option<&str> {
                self.name.as_deref()
            }

            fn since(&self) -> Option<&str> {
                self.creation_timestamp.as_deref()
            }

            fn text(&self) -> Option<&str> {
                self.description.as_deref()
            }

            fn number(&self) -> Option<u64> {
                self.id
            }
        })+
    };
}

marked!(|found| found.labels.get(MARK).map(String::as_str); Instance, Disk);
marked!(
    |found| found.description.as_deref()?.strip_prefix(MARK)?.strip_prefix('=');
    Address, BackendService, Firewall, ForwardingRule, HealthCheck, InstanceGroup,
    InstanceGroupManager, InstanceTemplate, Network, Subnetwork
);

/// Returns the resource if it is the owner's; otherwise an error.
pub(crate) fn ours<T: Marked>(attempt: &Attempt, owner: &str, found: T) -> Result<T> {
    if found.is_owned_by(owner) {
        return Ok(found);
    }
    let mut error = someone_elses(attempt, owner, found.owner());
    if let (None, Some(text)) = (found.owner(), found.text().filter(|text| !text.is_empty())) {
        error
            .message
            .push_str(&format!(" (its description: {text})"));
    }
    Err(error.with_hint(
        "rename or delete it if it is yours, or choose another KUBE_GCE_INSTANCE_PREFIX",
    ))
}

/// The labels of a new resource, including the ownership label.
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

/// The owner's resources of a list, without duplicates: one that is created or deleted between two
/// pages may be on both.
pub(crate) fn ours_once<T: Marked>(owner: &str, list: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    let new = |found: &T| found.number().is_none_or(|number| seen.insert(number));
    list.into_iter()
        .filter(|found| found.is_owned_by(owner))
        .filter(new)
        .collect()
}

/// The owned resources of a list, with their owners.
pub(crate) fn whose<T: Marked>(
    list: &[T],
    id: impl Fn(&T) -> ResourceId,
) -> impl Iterator<Item = Namesake> {
    list.iter().filter_map(move |found| {
        Some(Namesake {
            owner: Owner::of_mark(found.owner()?),
            since: found.since().map(str::to_owned),
            example: id(found).to_string(),
        })
    })
}

/// A list filter for any ownership label.
pub(crate) fn any_label_filter() -> String {
    format!("labels.{MARK}:*")
}

/// A list filter for an owner's label.
pub(crate) fn label_filter(owner: &str) -> String {
    format!("labels.{MARK}=\"{owner}\"")
}

/// A list filter for an owner's description.
pub(crate) fn description_filter(owner: &str) -> String {
    format!("description=\"{}\"", mark_description(owner))
}
