//! References between resources, in every form that Compute Engine takes: a URL on any host,
//! `projects/P/zones/Z/disks/D`, or `zones/Z/disks/D`.

use crate::base::error::ApiError;
use crate::base::resource::{Level, Resource, Type};
use crate::base::scope::{Key, Scope};

/// The key of the resource of type `R` that `field` refers to.
pub fn parse<R: Resource>(field: &str, text: &str) -> Result<Key, ApiError> {
    let (scope, collection, name) = split(text).ok_or_else(|| malformed(field, text))?;
    let level_fits = matches!(
        (R::TYPE.level(), &scope),
        (Level::Global, Scope::Global)
            | (Level::Region, Scope::Region(_))
            | (Level::Zone, Scope::Zone(_))
            | (Level::GlobalOrRegion, Scope::Global | Scope::Region(_))
            | (Level::Any, _)
    );
    if collection != R::TYPE.collection() || !level_fits {
        return Err(wrong_type(field, text, R::TYPE));
    }
    Ok(Key::new(scope, name))
}

/// The key of a reference that is known to be valid.
pub fn key_of(text: &str) -> Option<Key> {
    split(text).map(|(scope, _, name)| Key::new(scope, name))
}

/// The project in a reference.
pub fn project(text: &str) -> Option<&str> {
    let (before, _) = text.split_at(text.len() - below_project(text).len());
    let before = before.strip_suffix('/')?;
    Some(last(before))
}

/// Whether two links written by this cloud point to the same resource. The cloud's URL may have changed in
/// between.
pub fn same(one: &str, other: &str) -> bool {
    project(one) == project(other) && below_project(one) == below_project(other)
}

/// The last segment of a reference.
pub fn last(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

/// The part after `projects/P/`; the whole reference if it starts with the scope.
pub fn below_project(text: &str) -> &str {
    let after = text
        .find("projects/")
        .filter(|at| *at == 0 || text[..*at].ends_with('/'))
        .and_then(|at| text[at + "projects/".len()..].split_once('/'));
    after.map_or(text, |(_, rest)| rest)
}

fn split(text: &str) -> Option<(Scope, &str, &str)> {
    let parts: Vec<&str> = below_project(text).split('/').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    match *parts.as_slice() {
        ["global", collection, name] => Some((Scope::Global, collection, name)),
        ["regions", region, collection, name] => {
            Some((Scope::Region(region.to_owned()), collection, name))
        }
        ["zones", zone, collection, name] => Some((Scope::Zone(zone.to_owned()), collection, name)),
        _ => None,
    }
}

fn malformed(field: &str, text: &str) -> ApiError {
    ApiError::invalid(field, text, "The URL is malformed.")
}

fn wrong_type(field: &str, text: &str, wanted: Type) -> ApiError {
    let why = format!(
        "Unexpected resource type: the URL must be one of {}.",
        wanted.collection()
    );
    ApiError::invalid(field, text, why)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::types::{Disk, Network};

    #[test]
    fn all_forms_of_a_reference_mean_the_same() {
        let key = Key::zonal("europe-west1-b", "d");
        for text in [
            "https://www.googleapis.com/compute/v1/projects/p/zones/europe-west1-b/disks/d",
            "http://127.64.0.1:8780/compute/v1/projects/p/zones/europe-west1-b/disks/d",
            "projects/p/zones/europe-west1-b/disks/d",
            "zones/europe-west1-b/disks/d",
        ] {
            assert_eq!(parse::<Disk>("f", text).unwrap(), key, "{text}");
            let named = text.contains("projects/").then_some("p");
            assert_eq!(project(text), named, "{text}");
        }
    }

    #[test]
    fn links_are_to_the_same_wherever_the_cloud_is_but_not_in_another_project() {
        let link = |host: &str, project: &str| {
            format!("http://{host}/compute/v1/projects/{project}/global/networks/default")
        };
        assert!(same(
            &link("127.64.0.1:8780", "p"),
            &link("127.0.0.1:1", "p")
        ));
        assert!(!same(
            &link("127.64.0.1:8780", "p"),
            &link("127.64.0.1:8780", "q")
        ));
    }

    #[test]
    fn other_types_and_bare_names_are_refused() {
        for text in [
            "default",
            "global/disks/default",
            "zones/z/networks/n",
            "global/networks/",
        ] {
            assert!(
                parse::<Network>("resource.network", text).is_err(),
                "{text}"
            );
        }
    }
}
