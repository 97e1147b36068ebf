#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use hakube_local_resources::Block;

use super::*;

/// The state's directory is missing, which has the effect of a full disk.
#[tokio::test]
async fn changes_are_rejected_until_the_state_can_be_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("disk");
    let state = State::new("local", Block::new(99));
    let store = Arc::new(Store::new(state, place.join("state.json")));
    let saving = Arc::clone(&store);
    let saving = tokio::spawn(async move { saving.save_forever().await });
    let change = async |url: &str| {
        let changed = store.transact(|state| {
            state.base = url.to_owned();
            Ok(())
        });
        changed.await
    };
    let base = || store.read(|state| state.base.clone());

    let error = change("first").await.unwrap_err();
    assert!(
        error.to_string().contains("Free disk space there"),
        "{error}"
    );
    assert_eq!(base(), "first");
    // The failure is known by now, so further changes are rejected.
    change("second").await.unwrap_err();
    assert_eq!(base(), "first");

    std::fs::create_dir(&place).unwrap();
    change("third").await.unwrap();
    assert_eq!(base(), "third");
    let saved = load(&place.join("state.json")).unwrap().unwrap();
    assert_eq!(saved.base, "third");
    saving.abort();
}
