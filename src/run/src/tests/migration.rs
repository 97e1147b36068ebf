//! Documents of earlier versions of hakube (`recorded/`).

use crate::{Request, Stored};
use hakube_settings::Location;
use hakube_state::{Holder, StateError, Store};
use std::fs;
use std::path::Path;

const FINISHED: &str = include_str!("recorded/intent-format-2-finished.json");
const FORMAT_3: &str = include_str!("recorded/intent-format-3-unfinished.json");
const UNFINISHED: &str = include_str!("recorded/intent-format-2-unfinished.json");

/// A store with this intent of cluster kubernetes.
fn store_with(directory: &Path, intent: &str) -> Store {
    let cluster = directory.join("kubernetes");
    fs::create_dir_all(&cluster).unwrap();
    fs::write(cluster.join("intent.json"), intent).unwrap();
    Store::open(&Location::Directory(directory.to_owned())).unwrap()
}

async fn read(store: &Store) -> Result<Option<Stored>, StateError> {
    store.read("kubernetes").await
}

#[tokio::test]
async fn an_intent_of_format_2_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let stored = read(&store_with(directory.path(), FINISHED)).await;
    let Stored { intent, unfinished } = stored.unwrap().unwrap();
    assert_eq!(unfinished, None);
    assert_eq!(intent.replicas.len(), 2);
    assert!(intent.formed);
    // Its resources' label is only its name.
    assert_eq!(intent.spec.mark(), "kubernetes");
    assert_eq!(intent.spec.id(), None);

    let stored = read(&store_with(directory.path(), UNFINISHED)).await;
    let Stored { intent, unfinished } = stored.unwrap().unwrap();
    let begun = unfinished.unwrap();
    let asked = Request::Replicate {
        count: 1,
        zone: Some("europe-west1-c".to_owned()),
    };
    assert_eq!(begun.request, asked);
    assert_eq!(begun.previous.len(), 1);
    assert_eq!(intent.node_count(), 2);
}

/// What an unfinished operation was asked for was prose up to format 3.
#[tokio::test]
async fn an_unfinished_operation_of_format_3_is_resumed_by_the_same_request() {
    let directory = tempfile::tempdir().unwrap();
    let stored = read(&store_with(directory.path(), FORMAT_3)).await;
    let begun = stored.unwrap().unwrap().unfinished.unwrap();
    assert_eq!(begun.operation, "replicate");
    let asked = Request::Replicate {
        count: 1,
        zone: Some("europe-west1-d".to_owned()),
    };
    assert_eq!(begun.request, asked);
    assert_eq!(
        (begun.previous.len(), begun.previous_nodes),
        (2, Some(Vec::new()))
    );
}

#[tokio::test]
async fn an_intent_of_format_2_is_written_as_one_of_format_4() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with(directory.path(), UNFINISHED);
    let stored = read(&store).await.unwrap().unwrap();
    let lock = store.lock("kubernetes", Holder::current("repair")).await;
    let lock = lock.unwrap();
    for generation in [1, 2] {
        let revision = lock.write(&stored).await.unwrap();
        assert_eq!(revision.generation, generation);
    }
    lock.release().await.unwrap();
    assert_eq!(read(&store).await.unwrap(), Some(stored));
    let text = fs::read_to_string(directory.path().join("kubernetes/intent.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["format"], 4);
    assert_eq!(document["revision"], 2);
    assert_eq!(document["sha256"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn later_formats_and_edited_documents_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = store_with(directory.path(), FINISHED);
    let stored = read(&store).await.unwrap().unwrap();
    let lock = store.lock("kubernetes", Holder::current("repair")).await;
    let lock = lock.unwrap();
    lock.write(&stored).await.unwrap();
    lock.release().await.unwrap();
    let file = directory.path().join("kubernetes/intent.json");
    let written = fs::read_to_string(&file).unwrap();

    let later = written.replace("\"format\": 4", "\"format\": 5");
    fs::write(&file, later).unwrap();
    let error = read(&store).await.unwrap_err();
    assert!(
        matches!(error, StateError::NewerFormat { found: 5, .. }),
        "{error}"
    );

    for (from, to) in [
        ("\"revision\": 1", "\"revision\": 9"),
        ("\"formed\": true", "\"formed\": false"),
        ("\"sha256\"", "\"sha512\""),
    ] {
        assert!(written.contains(from), "{from}");
        fs::write(&file, written.replacen(from, to, 1)).unwrap();
        let error = read(&store).await.unwrap_err();
        assert!(
            matches!(error, StateError::Damaged { .. }),
            "{from}: {error}"
        );
        assert!(error.to_string().contains("hakube state adopt"), "{error}");
    }
}
