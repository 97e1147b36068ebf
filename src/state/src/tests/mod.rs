#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_luck;
mod buckets;
mod seal;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::*;
use hakube_model::Lifetimes;
use hakube_pki::{Authorities, AuthorityDocuments};
use hakube_settings::Location;

impl Store {
    /// A store that is gone with the last clone.
    pub(crate) fn memory() -> Self {
        Self::open(&Location::Memory).unwrap()
    }

    /// The store in a directory.
    pub(crate) fn in_directory(root: &Path) -> Result<Self> {
        Self::open(&Location::Directory(root.to_owned()))
    }

    /// The same store, used from a host with this clock.
    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Wish {
    replicas: u32,
    padding: String,
}

impl Document for Wish {
    const NAME: &'static str = "intent";
    const FORMAT: u32 = 2;
}

fn wish(replicas: u32) -> Wish {
    Wish {
        replicas,
        padding: String::new(),
    }
}

fn operation(id: &str, started: Timestamp) -> Operation {
    Operation {
        id: id.into(),
        operation: "up".into(),
        by: Actor {
            user: "root".into(),
            host: "build-7".into(),
            pid: 123,
        },
        started,
        finished: None,
        outcome: None,
        steps: Vec::new(),
        endpoint_gap_ms: None,
    }
}

/// Tests of a store's behaviour run over both kinds.
fn stores(directory: &Path) -> [Store; 2] {
    [
        Store::in_directory(&directory.join("state")).unwrap(),
        Store::memory(),
    ]
}

async fn lock(store: &Store, cluster: &str) -> LockGuard {
    store.lock(cluster, Holder::current("up")).await.unwrap()
}

/// Writes under its own lock.
async fn write(store: &Store, cluster: &str, document: &impl Document) {
    let guard = lock(store, cluster).await;
    guard.write(document).await.unwrap();
    guard.release().await.unwrap();
}

/// All files in a directory: permission bits by path.
fn tree(root: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let path = entry
                .path()
                .strip_prefix(root)
                .unwrap()
                .display()
                .to_string();
            found.insert(path, metadata.permissions().mode() & 0o777);
            if metadata.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    found
}

#[tokio::test]
async fn documents_are_stored_replaced_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    for store in stores(directory.path()) {
        assert_eq!(store.read::<Wish>("prod").await.unwrap(), None);
        assert!(store.clusters().await.unwrap().is_empty());

        let prod = lock(&store, "prod").await;
        prod.write(&wish(1)).await.unwrap();
        prod.write(&wish(3)).await.unwrap();
        write(&store, "dev", &wish(1)).await;
        assert_eq!(store.read("prod").await.unwrap(), Some(wish(3)));
        assert_eq!(store.clusters().await.unwrap(), ["dev", "prod"]);
        let every = store.every::<Wish>().await.unwrap().into_iter();
        let every: Vec<(String, Wish)> = every.map(|(name, one)| (name, one.unwrap())).collect();
        let wanted = [("dev".to_owned(), wish(1)), ("prod".to_owned(), wish(3))];
        assert_eq!(every, wanted);

        prod.delete_cluster().await.unwrap();
        prod.delete_cluster().await.unwrap();
        assert_eq!(store.clusters().await.unwrap(), ["dev"]);
        assert_eq!(store.read::<Wish>("prod").await.unwrap(), None);

        // A deleted document can be recreated.
        prod.write(&wish(5)).await.unwrap();
        assert_eq!(store.read("prod").await.unwrap(), Some(wish(5)));
    }
}

#[tokio::test]
async fn authorities_survive_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let authorities = Authorities::generate(Lifetimes::default(), Timestamp::now()).unwrap();
    for store in stores(directory.path()) {
        write(&store, "prod", &authorities.to_documents()).await;
        let found: AuthorityDocuments = store.read("prod").await.unwrap().unwrap();
        assert_eq!(found, authorities.to_documents());
    }
}

#[tokio::test]
async fn files_are_private() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("home/state");
    fs::create_dir_all(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();

    let store = Store::in_directory(&root).unwrap();
    let guard = lock(&store, "prod").await;
    guard.write(&wish(1)).await.unwrap();
    guard.write(&wish(2)).await.unwrap();
    guard
        .journal_append(&operation("a", Timestamp::UNIX_EPOCH))
        .await
        .unwrap();

    assert_eq!(
        fs::metadata(&root).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let expected = [
        ("prod", 0o700),
        ("prod/intent.json", 0o600),
        ("prod/journal", 0o700),
        ("prod/journal/19700101T000000.000Z-a.json", 0o600),
        ("prod/lock", 0o700),
        ("prod/lock/holder.json", 0o600),
    ];
    let expected = expected.map(|(path, mode)| (path.to_owned(), mode));
    assert_eq!(tree(&root), BTreeMap::from(expected));
}

#[tokio::test]
async fn a_deleted_cluster_leaves_no_secrets_even_of_killed_writes() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::in_directory(directory.path()).unwrap();
    let authorities = Authorities::generate(Lifetimes::default(), Timestamp::now()).unwrap();
    let lock = lock(&store, "prod").await;
    lock.write(&wish(1)).await.unwrap();
    lock.write(&authorities.to_documents()).await.unwrap();
    lock.journal_append(&operation("a", Timestamp::now()))
        .await
        .unwrap();
    fs::write(directory.path().join("prod/pki.json#1"), "half a key").unwrap();
    lock.delete_cluster().await.unwrap();
    lock.check().await.unwrap();
    lock.release().await.unwrap();

    let files: Vec<_> = tree(directory.path())
        .into_keys()
        .filter(|p| p.contains('.'))
        .collect();
    let expected = ["prod/intent.json", "prod/lock/holder.json", "prod/pki.json"];
    assert_eq!(files, expected);
    for file in expected {
        let content = fs::read_to_string(directory.path().join(file)).unwrap();
        assert!(!content.contains("KEY"), "{file}: {content}");
    }
    let found: Option<AuthorityDocuments> = store.read("prod").await.unwrap();
    assert_eq!(found, None);
}

#[tokio::test]
async fn unknown_formats_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::in_directory(directory.path()).unwrap();
    write(&store, "prod", &wish(1)).await;
    let file = directory.path().join("prod/intent.json");
    let read = async |content: &str| {
        fs::write(&file, content).unwrap();
        store.read::<Wish>("prod").await.unwrap_err()
    };

    let newer = read(r#"{"format": 7, "something": "else"}"#).await;
    assert!(
        matches!(
            newer,
            StateError::NewerFormat {
                found: 7,
                known: 2,
                ..
            }
        ),
        "{newer}"
    );
    assert!(
        newer
            .to_string()
            .contains("format 7; this hakube supports formats up to 2"),
        "{newer}"
    );
    for content in [r#"{"format": 0, "replicas": 1}"#, r#"{"replicas": 1}"#] {
        let error = read(content).await;
        assert!(matches!(error, StateError::NoFormat { .. }), "{error}");
    }
    for content in ["", "{", "[]", r#"{"format": 2, "replicas": "many"}"#] {
        let error = read(content).await;
        assert!(matches!(error, StateError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains("prod/intent.json"), "{error}");
    }
}

#[tokio::test]
async fn the_journal_is_ordered_and_lists_an_operation_once() {
    let directory = tempfile::tempdir().unwrap();
    let start = Timestamp::now();
    for store in stores(directory.path()) {
        let first = operation("b", start);
        let second = operation("a", start + SignedDuration::from_secs(1));
        let guard = lock(&store, "prod").await;
        for op in [&second, &first] {
            guard.journal_append(op).await.unwrap();
        }
        let ended = Operation {
            finished: Some(start + SignedDuration::from_secs(2)),
            outcome: Some(Outcome::Failed {
                error: "no capacity".into(),
            }),
            steps: vec![StepRecord {
                key: "machine/kubernetes-master".into(),
                seconds: 1.5,
                outcome: Outcome::Done,
            }],
            endpoint_gap_ms: Some(12),
            ..second
        };
        guard.journal_append(&ended).await.unwrap();
        assert_eq!(store.journal_list("prod").await.unwrap(), [first, ended]);
        assert!(store.journal_list("dev").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_journal_keeps_the_last_operations() {
    let store = Store::memory();
    let guard = lock(&store, "prod").await;
    let start = Timestamp::now();
    for number in 0..=journal::KEPT {
        let later = SignedDuration::from_secs(i64::try_from(number).unwrap());
        let entry = operation(&number.to_string(), start + later);
        guard.journal_append(&entry).await.unwrap();
    }
    let kept = store.journal_list("prod").await.unwrap();
    assert_eq!(kept.len(), journal::KEPT);
    assert_eq!(kept[0].id, "1");
}

/// Also when hakube is killed between writing the summary and deleting what it summarises, and when
/// the clock is set back.
#[tokio::test]
async fn earlier_operations_are_counted_once() {
    let store = Store::memory();
    let guard = lock(&store, "prod").await;
    let start = Timestamp::now();
    let at = |number: usize| start + SignedDuration::from_secs(i64::try_from(number).unwrap());
    let ended = |number: usize| Operation {
        outcome: Some(if number.is_multiple_of(2) {
            Outcome::Done
        } else {
            Outcome::Failed {
                error: "no capacity".into(),
            }
        }),
        endpoint_gap_ms: (number == 4).then_some(12),
        ..operation(&number.to_string(), at(number))
    };
    for number in 0..journal::KEPT + 7 {
        // Before it ends and after.
        let begun = operation(&number.to_string(), at(number));
        guard.journal_append(&begun).await.unwrap();
        guard.journal_append(&ended(number)).await.unwrap();
        // After a crash: merged into the summary, and not deleted.
        if number >= journal::KEPT {
            let revived = ended(number - journal::KEPT);
            store.journal_put("prod", &revived).await.unwrap();
        }
    }
    let early = operation("early", start - SignedDuration::from_hours(1));
    guard.journal_append(&early).await.unwrap();
    let kept = store.journal_list("prod").await.unwrap();
    assert_eq!(kept[0], early, "the running operation is kept");
    assert_eq!(kept.len(), journal::KEPT);

    let earlier = store.journal_earlier("prod").await.unwrap().unwrap();
    let up = BTreeMap::from([("done".to_owned(), 4), ("failed".to_owned(), 4)]);
    assert_eq!(earlier.commands, BTreeMap::from([("up".to_owned(), up)]));
    assert_eq!(earlier.operations, 8);
    assert_eq!((earlier.first, earlier.last), (Some(at(0)), Some(at(7))));
    assert_eq!(
        (earlier.endpoint_moves, earlier.longest_endpoint_gap_ms),
        (1, Some(12))
    );
    guard.delete_cluster().await.unwrap();
    assert_eq!(store.journal_earlier("prod").await.unwrap(), None);
}

#[test]
fn an_unusable_directory_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let root = file.join("state");
    let error = Store::in_directory(&root).unwrap_err().to_string();
    assert!(error.contains(root.to_str().unwrap()), "{error}");
    assert!(error.contains("HAKUBE_HOME"), "{error}");
}

const CHILD: &str = "HAKUBE_TEST_STATE_OF_CHILD";

/// Runs itself in a process that can't write files of more than some kilobytes. To a program this
/// looks like a full disk: the write fails half way.
#[test]
fn a_write_that_fails_half_way_leaves_the_old_state() {
    let directory = tempfile::tempdir().unwrap();
    let child = Command::new("sh")
        // With the signal ignored, the write fails with an error instead.
        .args(["-c", r#"trap "" XFSZ && ulimit -f 16 && exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "tests::child_of_the_test_above", "--nocapture"])
        .env(CHILD, directory.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    assert_eq!(
        tree(directory.path()).keys().collect::<Vec<_>>(),
        [
            "prod",
            "prod/intent.json",
            "prod/lock",
            "prod/lock/holder.json"
        ]
    );
    let kept = fs::read_to_string(directory.path().join("prod/intent.json")).unwrap();
    assert!(kept.contains("\"replicas\": 1"), "{kept}");
}

#[tokio::test]
async fn child_of_the_test_above() {
    let Some(root) = std::env::var_os(CHILD) else {
        return;
    };
    let store = Store::in_directory(Path::new(&root)).unwrap();
    let guard = lock(&store, "prod").await;
    guard.write(&wish(1)).await.unwrap();
    let large = Wish {
        padding: "x".repeat(1 << 20),
        ..wish(3)
    };
    let error = guard.write(&large).await.unwrap_err();
    assert!(
        matches!(
            error,
            LockError::State(StateError::Store {
                action: "write",
                ..
            })
        ),
        "{error}"
    );
    assert_eq!(store.read("prod").await.unwrap(), Some(wish(1)));
    guard.release().await.unwrap();
}
