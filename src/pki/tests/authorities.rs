//! The documents that authorities are kept as.

use super::*;

#[test]
fn incomplete_or_mixed_up_documents_are_refused() {
    let documents = authorities().to_documents().0;
    let refused = |edit: &dyn Fn(&mut BTreeMap<String, Secret>)| {
        let mut documents = documents.clone();
        edit(&mut documents);
        Authorities::from_documents(&AuthorityDocuments(documents)).unwrap_err()
    };

    for name in documents.keys() {
        let error = refused(&|d| drop(d.remove(name)));
        assert!(
            matches!(&error, PkiError::Missing { name: n } if n == name),
            "{error}"
        );
    }
    let swapped = refused(&|d| {
        let etcd = d["etcd-ca.key"].clone();
        d.insert("kubernetes-ca.key".into(), etcd);
    });
    assert!(
        matches!(&swapped, PkiError::Mismatch { name } if name == "kubernetes-ca"),
        "{swapped}"
    );
    let garbage = refused(&|d| drop(d.insert("etcd-ca.crt".into(), Secret::new("hm".into()))));
    assert!(
        matches!(&garbage, PkiError::Malformed { name, .. } if name == "etcd-ca.crt"),
        "{garbage}"
    );
}

#[test]
fn debug_output_shows_no_key() {
    let authorities = authorities();
    let shown = format!(
        "{authorities:?} {:?} {:?} {:?}",
        authorities.to_documents(),
        files(&authorities),
        admin(&authorities, Lifetimes::default(), now()).unwrap()
    );
    assert!(!shown.contains("PRIVATE"), "{shown}");
}
