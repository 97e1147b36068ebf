//! Backups are restored after any loss: of data, of machines, of everything. etcd and Kubernetes are the real ones.

use crate::lost_data::lose_data;
use crate::real_kubernetes::programs;
use crate::support::{Api, Home, eventually, replica_names};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A cluster of three replicas with Kubernetes' own programs and etcd's.
async fn three(programs: &Path) -> Home {
    let mut home = Home::new();
    home.set("HAKUBE_STAND_INS", "false");
    home.set("HAKUBE_KUBE_BINARIES", programs.to_str().unwrap());
    home.set(
        "HAKUBE_ETCD_BINARY",
        programs.join("etcd").to_str().unwrap(),
    );
    home.add_program(&programs.join("etcdutl"));
    home.run("up").await.succeeded();
    home.run("replicate --count 2").await.succeeded();
    home
}

async fn write(home: &Home, names: &[&str]) {
    let api = Api::of(home).await;
    for name in names {
        api.write(name).await.unwrap();
    }
}

async fn written(home: &Home) -> BTreeSet<String> {
    Api::of(home).await.written().await
}

/// The names of the cluster's backups.
async fn backups(home: &Home) -> Vec<String> {
    let list = home.run("backup list -o json").await.succeeded();
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    let names = list["backups"].as_array().unwrap().iter();
    names
        .map(|backup| backup["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn assert_whole(home: &Home) {
    let status = home.status().await;
    assert_eq!(status["quorum"]["voters"], 3, "{status:#}");
    assert_eq!(status["quorum"]["healthy"], 3, "{status:#}");
    assert_eq!(status["unfinished"], serde_json::Value::Null, "{status:#}");
    let plan = home.run("reconcile --dry-run").await.succeeded();
    assert!(plan.stdout.contains("Nothing to do"), "{plan}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_restored_after_it_lost_its_quorum_and_after_it_lost_everything() {
    let Some(programs) = programs() else { return };
    let home = three(&programs).await;
    write(&home, &["first", "second"]).await;
    home.run("backup save")
        .await
        .succeeded()
        .says(&["saved backup"]);
    let [early] = &backups(&home).await[..] else {
        panic!("one backup")
    };
    write(&home, &["third"]).await;
    home.run(&format!("restore {early} --yes"))
        .await
        .exited(3)
        .says(&["has its quorum", "--force"]);

    // Two of three lose their data. The third's is saved without a quorum, so nothing is lost.
    let names = replica_names(&home.status().await);
    for name in &names[..2] {
        lose_data(&home, name);
    }
    eventually("the quorum is lost", async || {
        (home.status().await["quorum"]["healthy"] != 3).then_some(())
    })
    .await;
    home.run("repair").await.exited(3).says(&["hakube restore"]);
    home.run(&format!("backup save --from {}", names[2]))
        .await
        .succeeded();
    home.run("backup verify")
        .await
        .succeeded()
        .says(&["is whole"]);
    home.run("restore latest --yes").await.succeeded();
    assert_whole(&home).await;
    let all = BTreeSet::from(["first", "second", "third"].map(str::to_owned));
    assert!(written(&home).await.is_superset(&all));
    write(&home, &["fourth"]).await;

    // Back to the first backup, over data that works.
    home.run(&format!("restore {early} --force --yes"))
        .await
        .succeeded();
    assert_whole(&home).await;
    let now = written(&home).await;
    assert!(now.contains("first") && now.contains("second"), "{now:?}");
    assert!(!now.contains("third") && !now.contains("fourth"), "{now:?}");
    write(&home, &["fifth"]).await;

    // Neither machines nor state are left.
    home.run("backup save --keep 1").await.succeeded();
    assert_eq!(backups(&home).await.len(), 1);
    home.run("down --yes").await.succeeded();
    home.run("restore latest --yes").await.succeeded();
    assert_whole(&home).await;
    assert!(written(&home).await.contains("fifth"));
    home.run("down --yes").await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_are_private_and_encrypted_with_the_keys_of_the_state() {
    let mut home = Home::new();
    home.run("up").await.succeeded();
    write(&home, &["a-secret"]).await;
    home.run("backup save")
        .await
        .succeeded()
        .says(&["isn't encrypted"]);
    let root = home.path().join("backups");
    for file in files(&root) {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", file.display());
    }
    let keys = home.beside("passphrase");
    std::fs::write(&keys, "correct horse battery staple\n").unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o600)).unwrap();
    home.set("HAKUBE_STATE_PASSPHRASE_FILE", keys.to_str().unwrap());
    home.run("backup save --keep 1").await.succeeded();
    let [name] = &backups(&home).await[..] else {
        panic!("one backup")
    };
    for file in files(&root) {
        let content = std::fs::read(&file).unwrap();
        for secret in [&b"a-secret"[..], b"PRIVATE KEY"] {
            let is_there = content.windows(secret.len()).any(|part| part == secret);
            assert!(!is_there, "{}", file.display());
        }
    }
    home.run("backup verify").await.succeeded();

    // A flipped bit is found before anything changes.
    let snapshot = files(&root)
        .into_iter()
        .find(|file| file.ends_with("etcd.db.age"))
        .unwrap();
    let mut content = std::fs::read(&snapshot).unwrap();
    let middle = content.len() / 2;
    content[middle] = if content[middle] == b'A' { b'B' } else { b'A' };
    std::fs::write(&snapshot, content).unwrap();
    for command in ["backup verify", "restore latest --force --yes"] {
        home.run(command)
            .await
            .exited(1)
            .says(&[name, "backup list"]);
    }
    assert!(written(&home).await.contains("a-secret"));
    home.run("down --yes").await.succeeded();
}

fn files(root: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap().flatten() {
        match entry.path().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}
