//! A second operator's view of the first one's lock, with the built binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;

use assert_cmd::Command;

/// A `replicate` on another host whose lock expires in the far future.
const ELSEWHERE: &str = r#"{"format": 1, "generation": 7,
    "holder": {"by": {"user": "ada", "host": "build-7", "pid": 4711}, "operation": "replicate"},
    "acquired": "2024-01-01T00:00:00Z", "expires": "2999-01-01T00:00:00Z", "released": false,
    "process": null}"#;

fn hakube(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("hakube").unwrap();
    command
        .env_clear()
        .env("HAKUBE_HOME", home)
        .env("HOME", home);
    command.args(arguments);
    command
}

fn stderr(command: &mut Command, code: i32) -> String {
    let output = command.assert().code(code).get_output().clone();
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_locked_cluster_is_locked_until_it_is_unlocked() {
    let home = tempfile::tempdir().unwrap();
    let locks = home.path().join("state/kubernetes/lock");
    fs::create_dir_all(&locks).unwrap();
    fs::write(locks.join("00000000000000000007.json"), ELSEWHERE).unwrap();

    let held = stderr(&mut hakube(home.path(), &["reconcile"]), 4);
    assert!(held.contains("ada@build-7, pid 4711"), "{held}");
    let waited = stderr(&mut hakube(home.path(), &["reconcile", "--wait", "1ms"]), 4);
    // Waiting is reported once.
    assert_eq!(waited.matches("waiting for").count(), 1, "{waited}");

    // Without a terminal, it names the flag for scripts.
    let asked = stderr(&mut hakube(home.path(), &["unlock"]), 3);
    assert!(asked.contains("hakube unlock --yes"), "{asked}");
    let shown = hakube(home.path(), &["unlock", "--yes"])
        .assert()
        .success()
        .get_output()
        .clone();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("ada@build-7"), "{shown}");
    stderr(&mut hakube(home.path(), &["unlock", "--yes"]), 0);

    // It is unlocked; there is just no such cluster.
    let free = stderr(&mut hakube(home.path(), &["reconcile"]), 2);
    assert!(free.contains("there is no cluster kubernetes"), "{free}");
}

#[test]
fn state_is_where_the_url_says() {
    let home = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let locks = elsewhere.path().join("kubernetes/lock");
    fs::create_dir_all(&locks).unwrap();
    fs::write(locks.join("00000000000000000007.json"), ELSEWHERE).unwrap();
    let url = format!("file://{}", elsewhere.path().display());
    stderr(&mut hakube(home.path(), &["reconcile", "--state", &url]), 4);
    stderr(
        hakube(home.path(), &["reconcile"]).env("HAKUBE_STATE", &url),
        4,
    );
    stderr(&mut hakube(home.path(), &["reconcile"]), 2);

    for wrong in ["ftp://team", "s3://", "/var/lib/hakube", "file://relative"] {
        let error = stderr(&mut hakube(home.path(), &["status", "--state", wrong]), 2);
        assert!(
            error.contains("HAKUBE_STATE") && error.contains("--state"),
            "{error}"
        );
    }
}
