//! Files and names that are unusable: rejected without hanging, before anything is changed.

use crate::support::Home;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longer than the timeout for a pipe.
const SOON: Duration = Duration::from_secs(45);

fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[tokio::test]
async fn a_fifo_without_a_writer_times_out() {
    let home = Home::new();
    let path = home.beside("fifo");
    fifo(&path);
    let path = path.display();
    let commands = [
        format!("env --env-file {path}"),
        format!("up --manifests {path}"),
        format!("up --provider hosts --hosts {path}"),
    ];
    let started = Instant::now();
    let outcomes = commands.iter().map(|command| home.run(command));
    for outcome in futures::future::join_all(outcomes).await {
        outcome.exited(2).says(&["fifo", "did not finish in time"]);
    }
    let took = started.elapsed();
    assert!(took < SOON, "{took:?}");
    assert!(!home.path().join("state").exists() || home.run("status").await.exit != Some(0));
}

#[tokio::test]
async fn directories_and_devices_are_rejected() {
    let mut home = Home::new();
    let directory = home.beside("directory");
    fs::create_dir(&directory).unwrap();
    home.run(&format!("env --env-file {}", directory.display()))
        .await
        .exited(2)
        .says(&["it is a directory"]);
    home.run("env --env-file /dev/zero")
        .await
        .exited(2)
        .says(&["/dev/zero", "it is longer than"]);
    let pipe = home.beside("kubeconfig-pipe");
    fifo(&pipe);
    home.set("KUBECONFIG", pipe.to_str().unwrap());
    home.run("up")
        .await
        .exited(2)
        .says(&["kubeconfig-pipe", "not a kubeconfig", "not a file"]);
}

/// A shell's `<(...)` is a pipe, too.
#[tokio::test]
async fn another_programs_output_can_be_an_input_file() {
    let home = Home::new();
    let script = r#"printf 'NUM_NODES=7\n' | "$@""#;
    let outcome = home.run_by(script, "env --env-file /dev/fd/0").await;
    let outcome = outcome.succeeded();
    let is_it = |line: &str| line.starts_with("NUM_NODES") && line.contains("/dev/fd/0 line 1");
    assert!(outcome.stdout.lines().any(is_it), "{outcome}");
    let script = r#"printf 'kind: Pod\n' | "$@""#;
    home.run_by(script, "up --manifests /dev/fd/0")
        .await
        .exited(2)
        .says(&["line 1", "apiVersion"]);
    let script = r#"printf 'hosts: []\n' | "$@""#;
    home.run_by(script, "up --provider hosts --hosts /dev/fd/0")
        .await
        .exited(2)
        .says(&["/dev/fd/0", "it has no hosts"]);
}

/// There is no fallback for an invalid name.
#[tokio::test]
async fn directories_with_names_that_are_not_utf_8_are_rejected() {
    let home = Home::new();
    let beside = home.beside("");
    let before = fs::read_dir(&beside).unwrap().count();
    for (variable, command) in [
        ("HAKUBE_HOME", "local start"),
        ("HAKUBE_HOME", "up"),
        ("KUBECONFIG", "up"),
        ("XDG_STATE_HOME", "local start"),
    ] {
        let unset = if variable == "XDG_STATE_HOME" {
            "unset HAKUBE_HOME; "
        } else {
            ""
        };
        let script = format!(
            r#"{unset}{variable}={}$(printf 'jos\351'); export {variable}; exec "$@""#,
            beside.display()
        );
        let outcome = home.run_by(&script, command).await;
        outcome.exited(2).says(&["it isn't valid UTF-8"]);
    }
    assert_eq!(fs::read_dir(&beside).unwrap().count(), before);
}

#[tokio::test]
async fn a_closed_stderr_is_ignored() {
    let home = Home::new();
    for script in [
        r#"exec "$@" 2>&-"#,
        r#"exec "$@" 2>/dev/full"#,
        r#"exec "$@" 2>&- >&-"#,
    ] {
        for (command, exit) in [("status", 2), ("up --no-such-flag", 2), ("plan up", 0)] {
            let outcome = home.run_by(script, command).await;
            let lost = script.ends_with(">&-") && exit == 0;
            assert!(
                outcome.exit == Some(exit) || lost && outcome.exit == Some(1),
                "{script}: {outcome}"
            );
        }
    }
    home.run_by(r#"exec "$@" 2>/dev/full"#, "up")
        .await
        .succeeded();
    home.run_by(r#"exec "$@" 2>&-"#, "down --yes")
        .await
        .succeeded();
}

/// A relative entry depends on the working directory: machines would run another file.
#[tokio::test]
async fn a_relative_entry_of_path_is_skipped() {
    let mut home = Home::new();
    let programs = home.beside("bin");
    home.set("PATH", &format!("bin:.:{}", programs.display()));
    home.run("up").await.succeeded();
    home.run("down --yes").await.succeeded();
    let script = format!(
        r#"cd {}; PATH=bin:.; export PATH; exec "$@""#,
        home.beside("").display()
    );
    home.run_by(&script, "plan up")
        .await
        .exited(2)
        .says(&["no etcd in PATH", "skipped relative entries of PATH"]);
}
