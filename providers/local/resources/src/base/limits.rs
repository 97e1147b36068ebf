//! Compute Engine's limits on names, labels, tags and metadata.

use std::collections::BTreeMap;

use crate::base::error::ApiError;

const MAX_NAME: usize = 63;
const MAX_LABELS: usize = 64;
const MAX_METADATA_KEY: usize = 128;
const MAX_METADATA_VALUE: usize = 262_144;
const MAX_METADATA_TOTAL: usize = 512 * 1024;

/// `[a-z]([-a-z0-9]{0,61}[a-z0-9])?`
pub fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Rejects an invalid resource name.
pub fn name(field: &str, value: &str) -> Result<(), ApiError> {
    if is_name(value) {
        return Ok(());
    }
    Err(ApiError::invalid(
        field,
        value,
        "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'",
    ))
}

/// Rejects labels that are too many, too long or malformed.
pub fn labels(field: &str, labels: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if labels.len() > MAX_LABELS {
        let why = format!("Must not have more than {MAX_LABELS} labels.");
        return Err(ApiError::invalid(field, labels.len(), why));
    }
    let letter = |c: char| c.is_lowercase() || c.is_numeric() || c == '_' || c == '-';
    for (key, value) in labels {
        let key_fits = key.chars().count() <= MAX_NAME
            && key.starts_with(char::is_lowercase)
            && key.chars().all(letter);
        if !key_fits {
            return Err(ApiError::invalid(
                field,
                key,
                r"Label key must match '[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}'",
            ));
        }
        if value.chars().count() > MAX_NAME || !value.chars().all(letter) {
            return Err(ApiError::invalid(
                field,
                value,
                format!(
                    r"The value of label '{key}' must match '[\p{{Ll}}\p{{Lo}}\p{{N}}_-]{{0,63}}'"
                ),
            ));
        }
    }
    Ok(())
}

/// Rejects metadata that is too large, and malformed or duplicate keys.
pub fn metadata<'a>(items: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), ApiError> {
    let mut seen = std::collections::BTreeSet::new();
    let mut total = 0;
    for (key, value) in items {
        let key_fits = (1..=MAX_METADATA_KEY).contains(&key.len())
            && key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !key_fits {
            let why = "Must be a match of regex '[a-zA-Z0-9-_]{1,128}'";
            return Err(ApiError::invalid("resource.metadata.items.key", key, why));
        }
        if !seen.insert(key) {
            let why = "Duplicate metadata key.";
            return Err(ApiError::invalid("resource.metadata.items.key", key, why));
        }
        if value.len() > MAX_METADATA_VALUE {
            // The value may be a secret, so it isn't repeated.
            let why = format!(
                "Value is too large: {} bytes; at most {MAX_METADATA_VALUE}.",
                value.len()
            );
            return Err(ApiError::invalid("resource.metadata.items.value", key, why));
        }
        total += key.len() + value.len();
    }
    if total >= MAX_METADATA_TOTAL {
        let why = format!("All metadata together must be smaller than {MAX_METADATA_TOTAL} bytes.");
        return Err(ApiError::invalid("resource.metadata", total, why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rfc_1035() {
        for good in ["a", "a1", "main-replica-0", &"a".repeat(63)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "A", "1a", "-a", "a-", "a_b", "a.b", &"a".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn metadata_has_limits_per_value_and_in_total() {
        let largest = "x".repeat(MAX_METADATA_VALUE);
        let too_large = "x".repeat(MAX_METADATA_VALUE + 1);
        assert!(metadata([("user-data", largest.as_str())].into_iter()).is_ok());
        assert!(metadata([("user-data", too_large.as_str())].into_iter()).is_err());
        assert!(metadata([("a", largest.as_str()), ("b", largest.as_str())].into_iter()).is_err());
        assert!(metadata([("a.b", "")].into_iter()).is_err());
        assert!(metadata([("a", ""), ("a", "")].into_iter()).is_err());
    }

    #[test]
    fn labels_are_lower_case_and_at_most_64() {
        let one = |k: &str, v: &str| BTreeMap::from([(k.to_owned(), v.to_owned())]);
        assert!(labels("labels", &one("hakube-cluster", "main_1")).is_ok());
        assert!(labels("labels", &one("hakube-cluster", "")).is_ok());
        assert!(labels("labels", &one("Cluster", "main")).is_err());
        assert!(labels("labels", &one("cluster", "Main")).is_err());
        assert!(labels("labels", &one("cluster", &"a".repeat(64))).is_err());
        let many: BTreeMap<_, _> = (0..65).map(|n| (format!("k{n}"), String::new())).collect();
        assert!(labels("labels", &many).is_err());
    }
}
