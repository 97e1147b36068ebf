//! Ownership of entries. Clusters may share a name, and a kubeconfig has entries of many clusters. A context
//! records its cluster's ID in an extension, and hakube doesn't change another cluster's entries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::document::Document;
use super::file::read;
use super::paths::Paths;

/// The extension's name.
const EXTENSION: &str = "hakube";

/// The extensions of a context of the cluster with this ID.
pub(super) fn extensions(id: &str) -> Value {
    json!([{"name": EXTENSION, "extension": {"clusterId": id}}])
}

/// The owner of the entries with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Whose {
    /// There are no entries.
    Nobodys,
    /// The cluster with this ID.
    Cluster(String),
    /// Not recorded. The CA (base64) that they trust, if any.
    Unsaid(Option<String>),
}

impl Document {
    fn whose(&self, name: &str) -> Whose {
        if !self.has(name) {
            return Whose::Nobodys;
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let context = self.entry("contexts", name);
        let extensions = context.and_then(|entry| entry.pointer("/context/extensions"));
        let mut extensions = extensions.and_then(Value::as_array).into_iter().flatten();
        let own = extensions.find(|one| one["name"] == EXTENSION);
        if let Some(id) = own.and_then(|own| text(&own["extension"]["clusterId"])) {
            return Whose::Cluster(id);
        }
        let cluster = self.entry("clusters", name);
        let ca = cluster.and_then(|entry| entry.pointer("/cluster/certificate-authority-data"));
        Whose::Unsaid(ca.and_then(text))
    }
}

/// The name of the cluster's context: the wanted one, unless another cluster owns it. Then the
/// cluster's ID is appended, and the name is kept even when the other cluster is deleted.
///
/// Entries without recorded owner are the cluster's if they trust its CA (PEM). Unreadable files
/// are ignored. Blocks on files.
pub fn context_of(paths: &Paths, wanted: &str, id: Option<&str>, ca: &str) -> String {
    let own = id.map(|id| format!("{wanted}-{id}"));
    let documents: Vec<Document> = paths
        .iter()
        .filter_map(|path| read(path).ok().flatten())
        .collect();
    if let Some(own) = own.as_ref()
        && documents.iter().any(|document| document.has(own))
    {
        return own.clone();
    }
    let mut whose = documents.iter().map(|document| document.whose(wanted));
    let is_anothers = whose.any(|whose| match (whose, id) {
        (Whose::Nobodys, _) => false,
        (Whose::Cluster(found), Some(id)) => found != id,
        (Whose::Cluster(_), None) => true,
        (Whose::Unsaid(found), _) => found.as_deref() != Some(STANDARD.encode(ca).as_str()),
    });
    own.filter(|_| is_anothers)
        .unwrap_or_else(|| wanted.to_owned())
}

/// Whether the entries with this name record the cluster with this ID as their owner, in any file.
/// True if entries go to a device, since none are wanted. Blocks on files.
pub fn is_owned(paths: &Paths, name: &str, id: &str) -> bool {
    if paths.discards() {
        return true;
    }
    let documents = paths.iter().filter_map(|path| read(path).ok().flatten());
    let mut whose = documents.map(|document| document.whose(name));
    whose.any(|whose| whose == Whose::Cluster(id.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const CA: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

    fn document(context: Value, ca: &str) -> Document {
        let ca = STANDARD.encode(ca);
        Document::new(json!({
            "contexts": [{"name": "prod", "context": context}],
            "clusters": [{"name": "prod", "cluster": {"certificate-authority-data": ca}}],
        }))
        .unwrap()
    }

    fn in_file(document: &Document) -> (tempfile::TempDir, Paths) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, document.to_yaml()).unwrap();
        (directory, Paths::new(&[file]))
    }

    #[test]
    fn another_clusters_context_is_not_used() {
        let theirs = json!({"cluster": "prod", "extensions": extensions("theirs")});
        let (_directory, paths) = in_file(&document(theirs, CA));
        assert_eq!(context_of(&paths, "prod", Some("mine"), CA), "prod-mine");
        assert_eq!(context_of(&paths, "prod", Some("theirs"), CA), "prod");
        assert_eq!(context_of(&paths, "dev", Some("mine"), CA), "dev");
        assert!(is_owned(&paths, "prod", "theirs"));
        assert!(!is_owned(&paths, "prod", "mine"));
    }

    #[test]
    fn its_own_context_is_kept_after_the_other_cluster_is_deleted() {
        let own = Document::new(json!({"contexts": [
            {"name": "prod-mine", "context": {"extensions": extensions("mine")}},
        ]}));
        let (_directory, paths) = in_file(&own.unwrap());
        assert_eq!(context_of(&paths, "prod", Some("mine"), CA), "prod-mine");
        assert_eq!(context_of(&paths, "prod", Some("other"), CA), "prod");
    }

    #[test]
    fn a_context_without_owner_is_identified_by_its_ca() {
        let (_directory, paths) = in_file(&document(json!({"cluster": "prod"}), CA));
        assert_eq!(context_of(&paths, "prod", Some("mine"), CA), "prod");
        assert_eq!(
            context_of(&paths, "prod", Some("mine"), "another"),
            "prod-mine"
        );
        assert!(!is_owned(&paths, "prod", "mine"));
    }
}
