//! etcd's data is lost, damaged or outdated: no member starts empty, and no acknowledged write is lost.

use crate::support::{
    Api, Etcd, Home, Process, Writer, assert_agreement, eventually, replica, replicas_that_are,
};
use etcd_client::AlarmType;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::{Path, PathBuf};

const ZONE: &str = "europe-west1-b";

/// A replica's etcd: its disk and its process.
struct Member {
    home: PathBuf,
    data: PathBuf,
}

impl Member {
    fn of(home: &Home, replica: &str) -> Self {
        Self {
            home: home.path(),
            data: home.machine_root(ZONE, replica).join("var/lib/etcd"),
        }
    }

    fn process(&self) -> Option<Process> {
        let flag = format!("--data-dir={}", self.data.display());
        let mut processes = Process::all_of(&self.home).into_iter();
        processes.find(|process| process.runs("etcd") && process.command.contains(&flag))
    }

    /// Kills etcd, and changes its data while it can't run.
    fn killed_while(&self, happens: impl FnOnce(&Path)) {
        let process = self.process().expect("etcd runs");
        process.signal(Signal::SIGSTOP);
        happens(&self.data);
        process.signal(Signal::SIGKILL);
    }
}

/// Kills the replica's etcd, and wipes its data.
pub fn lose_data(home: &Home, replica: &str) {
    Member::of(home, replica).killed_while(wipe);
}

fn wipe(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => std::fs::remove_dir_all(path).unwrap(),
            false => std::fs::remove_file(path).unwrap(),
        }
    }
}

/// Overwrites data with garbage, from this offset on.
fn overwrite(file: &Path, from: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.write_all_at(&[0x5a; 65536], from).unwrap();
}

fn damage_log(data: &Path) {
    let logs = std::fs::read_dir(data.join("member/wal"))
        .unwrap()
        .flatten();
    let logs = logs.map(|entry| entry.path());
    let logs = logs.filter(|path| path.extension().is_some_and(|ends| ends == "wal"));
    logs.for_each(|log| overwrite(&log, 512));
}

fn damage_database(data: &Path) {
    overwrite(&data.join("member/snap/db"), 0);
}

/// Waits for a condition of this kind on a replica, and returns its suggested commands.
async fn condition(home: &Home, replica: &str, kind: &str) -> Vec<String> {
    eventually(&format!("{kind} of {replica}"), async || {
        let status = home.status().await;
        let conditions = status["conditions"].as_array()?;
        let found = conditions
            .iter()
            .find(|found| found["replica"] == replica && found["kind"] == kind)?;
        let fixes = found["fix"].as_array().unwrap().iter();
        Some(fixes.map(|fix| fix.as_str().unwrap().to_owned()).collect())
    })
    .await
}

async fn three() -> (Home, Writer, Value) {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate --count 2").await.succeeded();
    let status = assert_agreement(&home, 3).await;
    let api = Api::of(&home).await;
    let writer = Writer::start(move |name| {
        let api = api.clone();
        async move { api.write(&name).await }
    });
    writer.goes_on().await;
    (home, writer, status)
}

/// Checks that the problem is reported, `repair` fixes it, and the client lost no writes.
async fn heals(home: &Home, writer: &Writer, replica: &str, kind: &str) {
    let fix = condition(home, replica, kind).await;
    assert_eq!(fix, ["hakube repair"]);
    let shown = home.run("status").await.succeeded();
    assert!(shown.stdout.contains("to fix it: hakube repair"), "{shown}");
    home.run("repair").await.succeeded();
    let status = assert_agreement(home, 3).await;
    assert_eq!(status["conditions"], Value::Null);
    assert_eq!(status["drift"], serde_json::json!([]));
    writer.goes_on().await;
}

async fn lost_nothing(home: &Home, writer: Writer, status: &Value) {
    let record = writer.finish().await;
    let there = Api::of(home).await.written().await;
    let mut acknowledged = record.acknowledged.iter();
    let lost: Vec<_> = acknowledged
        .by_ref()
        .filter(|name| !there.contains(*name))
        .collect();
    assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
    // All members have the same data.
    let mut all = Vec::new();
    for replica in status["replicas"].as_array().unwrap() {
        all.push(Etcd::of(home, replica).await.written().await);
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    home.run("down --yes").await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_member_never_starts_empty_and_returns_with_its_data() {
    let home = Home::new();
    home.run("up").await.succeeded();
    let status = assert_agreement(&home, 1).await;
    let name = replicas_that_are(&status, "leader").remove(0);
    Api::of(&home).await.write("precious").await.unwrap();

    let member = Member::of(&home, &name);
    let aside = home.beside("aside");
    member.killed_while(|data| {
        std::fs::rename(data, &aside).unwrap();
        std::fs::create_dir(data).unwrap();
    });
    let fix = condition(&home, &name, "etcd-data-gone").await.join("\n");
    assert!(fix.contains("hakube restore"), "{fix}");
    assert_eq!(home.status().await["quorum"], Value::Null);
    for command in ["repair", "reconcile", "up", "replicate"] {
        home.run(command)
            .await
            .exited(3)
            .says(&[&name, "hakube restore"]);
    }
    assert!(member.process().is_none(), "an etcd without its data");

    // Its disk is mounted again; nothing more is needed.
    std::fs::remove_dir_all(&member.data).unwrap();
    std::fs::rename(&aside, &member.data).unwrap();
    eventually("etcd runs with its data", async || {
        let api = Api::of(&home).await;
        api.has("precious").await.ok()?.then_some(())
    })
    .await;
    let status = assert_agreement(&home, 1).await;
    assert_eq!(status["conditions"], Value::Null);
    home.run("down --yes").await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_lost_its_data_is_repaired_and_no_write_is_lost() {
    let (home, writer, status) = three().await;
    for role in ["voter", "leader"] {
        let name = replicas_that_are(&home.status().await, role).remove(0);
        Member::of(&home, &name).killed_while(wipe);
        heals(&home, &writer, &name, "etcd-data-gone").await;
    }
    lost_nothing(&home, writer, &status).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_with_damaged_data_is_repaired_and_no_write_is_lost() {
    let (home, writer, status) = three().await;
    for damage in [damage_log, damage_database] {
        let name = replicas_that_are(&home.status().await, "voter").remove(0);
        Member::of(&home, &name).killed_while(damage);
        heals(&home, &writer, &name, "etcd-data-damaged").await;
    }
    lost_nothing(&home, writer, &status).await;
}

/// Its machine has the data of a removed member.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_removed_by_hand_is_repaired_and_no_write_is_lost() {
    let (home, writer, status) = three().await;
    let leader = replicas_that_are(&status, "leader").remove(0);
    let etcd = Etcd::of(&home, replica(&status, &leader)).await;
    let names = replicas_that_are(&status, "voter");
    etcd.remove(&names[0]).await;
    heals(&home, &writer, &names[0], "etcd-member-removed").await;

    // `repair --watch` does it automatically.
    let watch = home.start("repair --watch --every 1");
    etcd.remove(&names[1]).await;
    eventually("repair --watch fixes it", async || {
        let status = home.status().await;
        (status["quorum"]["healthy"] == 3 && status["conditions"] == Value::Null).then_some(())
    })
    .await;
    watch.signal(Signal::SIGTERM);
    watch.end().await;
    assert_agreement(&home, 3).await;
    lost_nothing(&home, writer, &status).await;
}

/// An operator must decide which data is right; the commands that `status` suggests work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_alarm_corrupt_is_reported_with_commands_that_fix_it() {
    let (home, writer, status) = three().await;
    let leader = replicas_that_are(&status, "leader").remove(0);
    let etcd = Etcd::of(&home, replica(&status, &leader)).await;
    let suspect = replicas_that_are(&status, "voter").remove(0);

    etcd.raise(AlarmType::Corrupt, &suspect).await;
    let fix = condition(&home, &suspect, "etcd-alarm-corrupt").await;
    let commands = ["etcdctl alarm disarm", "hakube repair"];
    assert_eq!(fix[fix.len() - 2..], commands);
    // Requests are rejected, yet members follow their leader.
    assert_eq!(home.status().await["quorum"]["healthy"], 3);
    etcd.remove(&suspect).await;
    etcd.disarm().await;
    home.run("repair").await.succeeded();
    let status = assert_agreement(&home, 3).await;
    assert_eq!(status["conditions"], Value::Null);
    writer.goes_on().await;
    lost_nothing(&home, writer, &status).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manually_added_learner_is_left_unchanged() {
    let home = Home::new();
    home.run("up").await.succeeded();
    home.run("replicate").await.succeeded();
    let status = assert_agreement(&home, 2).await;
    let etcd = Etcd::of(&home, &status["replicas"][0]).await;
    let url = "https://127.9.9.9:2380";
    etcd.add_learner(url).await;
    home.run("repair").await.succeeded();
    home.run("replicate")
        .await
        .exited(3)
        .says(&["hakube didn't create", "etcdctl member remove"]);
    assert!(etcd.peer_urls().await.iter().any(|known| known == url));
    home.run("down --yes").await.succeeded();
}
