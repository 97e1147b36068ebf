//! Runs the gate's script in a shell, with disks that disappear and return.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A machine: a root disk, a disk for etcd's data, and etcd's last log.
struct Machine(tempfile::TempDir);

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Starts,
    Refused(EtcdConditionKind),
}
use EtcdConditionKind::{Damaged, Foreign, Gone};
use Verdict::{Refused, Starts};

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(machine.root()).unwrap();
        fs::create_dir_all(machine.data()).unwrap();
        machine
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("etc")
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }

    fn passes(&self, member: &str, state: &str) -> Verdict {
        let output = Command::new("/bin/sh")
            .args(["-c", include_str!("gate.sh"), "gate"])
            .args([self.data(), self.root()])
            .env("HAKUBE_MEMBER", member)
            .env("ETCD_INITIAL_CLUSTER_STATE", state)
            .env("MACHINE_LOG", self.log())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        self.says(&said);
        let condition = self.condition();
        match (output.status.success(), condition) {
            (true, _) => {
                assert!(said.ends_with("hakube: etcd may start\n"), "{said}");
                Starts
            }
            (false, Some(condition)) => {
                assert_eq!(condition.membership, member);
                Refused(condition.kind)
            }
            (false, None) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    fn condition(&self) -> Option<EtcdCondition> {
        let text = fs::read_to_string(self.root().join("condition")).ok()?;
        Some(EtcdCondition::parse(&text).expect("what the gate wrote"))
    }

    /// etcd creates its data, as in its first start.
    fn etcd_runs(&self) {
        let wal = self.data().join("member/wal");
        fs::create_dir_all(&wal).unwrap();
        fs::write(wal.join("0000000000000000-0000000000000000.wal"), "log").unwrap();
        fs::create_dir_all(self.data().join("member/snap")).unwrap();
        fs::write(self.data().join("member/snap/db"), "db").unwrap();
    }

    fn gets_its_vote(&self, member: &str) {
        let file = start_used_up(member);
        let name = Path::new(&file.path).file_name().unwrap();
        fs::write(self.root().join(name), file.content.expose()).unwrap();
    }

    fn says(&self, text: &str) {
        use std::io::Write as _;
        let mut log = fs::OpenOptions::new();
        let mut log = log.append(true).create(true).open(self.log()).unwrap();
        log.write_all(text.as_bytes()).unwrap();
    }

    /// The data disk isn't mounted, or another one is.
    fn loses_data(&self) -> PathBuf {
        let elsewhere = self.0.path().join("elsewhere");
        let _ = fs::remove_dir_all(&elsewhere);
        fs::rename(self.data(), &elsewhere).unwrap();
        fs::create_dir(self.data()).unwrap();
        elsewhere
    }

    fn mounts(&self, disk: &Path) {
        fs::remove_dir_all(self.data()).unwrap();
        fs::rename(disk, self.data()).unwrap();
    }

    fn has_data(&self) -> bool {
        self.data().join("member/snap/db").exists()
    }
}

#[test]
fn a_member_starts_once_without_data_and_never_again() {
    for state in ["new", "existing"] {
        let machine = Machine::new();
        assert_eq!(machine.passes("c/1", state), Starts);
        machine.etcd_runs();
        if state == "existing" {
            machine.gets_its_vote("c/1");
        }
        assert_eq!(machine.passes("c/1", state), Starts, "with its data");
        let disk = machine.loses_data();
        assert_eq!(machine.passes("c/1", state), Refused(Gone));
        assert_eq!(machine.passes("c/1", state), Refused(Gone), "still");
        machine.mounts(&disk);
        assert_eq!(machine.passes("c/1", state), Starts, "its disk is back");
        assert_eq!(machine.condition(), None);
    }
}

/// etcd exits without data if the others don't respond, or don't list it yet.
#[test]
fn a_learner_may_retry_until_it_is_promoted() {
    let machine = Machine::new();
    for _ in 0..3 {
        assert_eq!(machine.passes("c/1", "existing"), Starts);
    }
    machine.gets_its_vote("c/1");
    assert_eq!(machine.passes("c/1", "existing"), Refused(Gone));
}

/// The start is then used up before etcd has created anything. Nothing was acknowledged, and nothing starts.
#[test]
fn a_power_cut_between_the_gate_and_etcd_uses_up_the_start() {
    let machine = Machine::new();
    assert_eq!(machine.passes("c/1", "new"), Starts);
    assert_eq!(machine.passes("c/1", "new"), Refused(Gone));
    assert_eq!(machine.passes("c/2", "new"), Starts, "as another member");
}

/// etcd treats a member without a write-ahead log as new, whatever else it finds.
#[test]
fn a_member_with_a_missing_or_empty_log_doesnt_start() {
    let machine = Machine::new();
    machine.passes("c/1", "new");
    machine.etcd_runs();
    let log = machine
        .data()
        .join("member/wal/0000000000000000-0000000000000000.wal");
    fs::write(&log, "").unwrap();
    assert_eq!(machine.passes("c/1", "new"), Refused(Gone));
    fs::remove_dir_all(machine.data().join("member/wal")).unwrap();
    assert_eq!(machine.passes("c/1", "new"), Refused(Gone));
}

/// The machine is recreated with its data disk, which has the stamp.
#[test]
fn a_replaced_root_disk_gives_no_second_start() {
    let machine = Machine::new();
    machine.passes("c/1", "new");
    machine.etcd_runs();
    fs::remove_dir_all(machine.root()).unwrap();
    fs::create_dir(machine.root()).unwrap();
    assert_eq!(machine.passes("c/1", "new"), Starts, "its data is there");
    fs::remove_dir_all(machine.root()).unwrap();
    fs::create_dir(machine.root()).unwrap();
    fs::remove_dir_all(machine.data().join("member")).unwrap();
    assert_eq!(machine.passes("c/1", "new"), Refused(Gone));
}

#[test]
fn a_member_never_starts_on_anothers_data() {
    let machine = Machine::new();
    machine.passes("c/1", "existing");
    machine.etcd_runs();
    machine.gets_its_vote("c/1");
    let disk = machine.loses_data();
    // Another member's disk, then one without a stamp.
    machine.etcd_runs();
    fs::write(machine.data().join("hakube-member"), "c/7\n").unwrap();
    assert_eq!(machine.passes("c/1", "existing"), Refused(Foreign));
    fs::remove_file(machine.data().join("hakube-member")).unwrap();
    assert_eq!(machine.passes("c/1", "existing"), Refused(Foreign));
    assert!(machine.has_data(), "it may belong to another cluster");
    machine.mounts(&disk);
    assert_eq!(machine.passes("c/1", "existing"), Starts);
}

#[test]
fn a_new_etcd_is_never_formed_over_data() {
    let machine = Machine::new();
    machine.etcd_runs();
    assert_eq!(machine.passes("c/first-1", "new"), Refused(Foreign));
    assert!(machine.has_data());
}

#[test]
fn a_new_membership_wipes_its_former_data_and_keeps_other_data() {
    let machine = Machine::new();
    machine.passes("c/1", "existing");
    machine.etcd_runs();
    assert_eq!(machine.passes("c/2", "existing"), Starts);
    assert!(!machine.has_data());
    machine.etcd_runs();
    assert_eq!(machine.passes("c/2", "existing"), Starts);
    assert!(machine.has_data());

    fs::write(machine.data().join("hakube-member"), "other/1\n").unwrap();
    assert_eq!(machine.passes("c/3", "existing"), Starts);
    let aside = machine.data().join("set-aside.1/snap/db");
    assert!(aside.exists() && !machine.has_data());
}

#[test]
fn damaged_data_is_reported_at_the_third_crash() {
    let words = [
        r#"{"level":"fatal","msg":"discovery failed","error":"walpb: crc mismatch"}"#,
        r#"{"level":"fatal","msg":"discovery failed","error":"proto: wrong wireType = 3 for field Type"}"#,
        r#"{"level":"panic","msg":"failed to recover v3 backend from snapshot","error":"failed to find database"}"#,
        r#"{"level":"panic","msg":"failed to open database","error":"invalid database"}"#,
        "panic: assertion failed: Page expected to be: 80, but self identifies as 154",
        "panic: cannot use none as id",
        "[signal SIGBUS: bus error code=0x2 addr=0x7f11bc050000 pc=0x8fc635]",
        "panic: tocommit(9) is out of range [lastIndex(7)]. Was the raft log corrupted, truncated, or lost?",
    ];
    for said in words {
        let machine = Machine::new();
        machine.passes("c/1", "existing");
        machine.etcd_runs();
        for time in 1..=3 {
            assert_eq!(machine.condition(), None, "{said}: time {time}");
            machine.says(&format!("{{\"level\":\"info\"}}\n{said}\n"));
            // It may start: etcd may have repaired a torn end.
            assert_eq!(machine.passes("c/1", "existing"), Starts);
        }
        let condition = machine.condition().expect(said);
        assert_eq!(condition.kind, Damaged, "{said}");
        assert!(
            condition.why.contains("can't read its data"),
            "{condition:?}"
        );
        // It has run in the meantime.
        machine.says("{\"level\":\"info\"}\n");
        assert_eq!(machine.passes("c/1", "existing"), Starts);
        assert_eq!(machine.condition(), None);
    }
}

/// The log contains keys of slow requests, which any client can choose.
#[test]
fn requests_and_other_errors_in_the_log_are_no_damage() {
    let machine = Machine::new();
    machine.passes("c/1", "existing");
    machine.etcd_runs();
    for _ in 0..5 {
        machine
            .says("{\"level\":\"warn\",\"msg\":\"took too long\",\"request\":\"crc mismatch\"}\n");
        machine.says("{\"level\":\"fatal\",\"error\":\"listen tcp: address already in use\"}\n");
        machine.says("{\"level\":\"fatal\",\"error\":\"no space left on device\"}\n");
        machine.passes("c/1", "existing");
    }
    assert_eq!(machine.condition(), None);
}

/// A program that restores like etcdutl: it creates a member's data, or fails.
const ETCDUTL: &str = "#!/bin/sh
case $* in *--help*) echo bump-revision; exit ;; esac
echo \"$*\" >>\"$0.calls\"
while [ $# -gt 1 ]; do
  if [ \"$1\" = --data-dir ]; then mkdir -p \"$2/member/wal\" \"$2/member/snap\"; echo log >\"$2/member/wal/0.wal\"; fi
  shift
done
";

impl Machine {
    fn bin(&self) -> PathBuf {
        self.0.path().join("bin")
    }

    /// hakube delivers a snapshot. All parts but the last have a multiple of three bytes.
    fn gets_snapshot(&self, sum: &str) {
        let parts = self.root().join(format!("snapshot-{sum}"));
        fs::create_dir_all(&parts).unwrap();
        fs::write(parts.join("000000"), "c25h").unwrap();
        fs::write(parts.join("000001"), "cHNob3Q=").unwrap();
    }

    /// Runs the gate for a member that starts with a snapshot's data.
    fn restores(&self, member: &str, sum: &str) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        fs::create_dir_all(self.bin()).unwrap();
        let tool = self.bin().join("etcdutl");
        fs::write(&tool, ETCDUTL).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", self.bin().display());
        let output = Command::new("/bin/sh")
            .args(["-c", include_str!("gate.sh"), "gate"])
            .args([self.data(), self.root()])
            .env("PATH", path)
            .env("REPLICA", "a")
            .env("HAKUBE_MEMBER", member)
            .env("HAKUBE_SNAPSHOT", sum)
            .env("HAKUBE_REVISION", "1000")
            .env("ETCD_INITIAL_CLUSTER", "a=https://10.0.0.1:2380")
            .env("ETCD_INITIAL_CLUSTER_TOKEN", member)
            .env("ETCD_INITIAL_CLUSTER_STATE", "new")
            .env("MACHINE_LOG", self.log())
            .output()
            .unwrap();
        output.status.success()
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.bin().join("etcdutl.calls"));
        calls
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn reported(&self) -> String {
        let text = fs::read_to_string(self.root().join("condition"));
        text.unwrap_or_default()
    }
}

/// The SHA-256 of the parts that tests deliver.
fn whole() -> String {
    let sum = Command::new("/bin/sh")
        .args(["-c", "printf snapshot | sha256sum | cut -c 1-64"])
        .output()
        .unwrap();
    String::from_utf8(sum.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_member_starts_with_a_snapshots_data_once_and_the_former_data_stays() {
    let machine = Machine::new();
    machine.passes("c/1", "new");
    machine.etcd_runs();
    machine.gets_snapshot(&whole());
    assert!(machine.restores("c/first-1", &whole()));
    let [call] = &machine.calls()[..] else {
        panic!("{:?}", machine.calls())
    };
    for wanted in [
        "snapshot restore",
        "--name a",
        "--initial-cluster-token c/first-1",
        "--initial-advertise-peer-urls https://10.0.0.1:2380",
        "--bump-revision",
    ] {
        assert!(call.contains(wanted), "{call}");
    }
    let bump = call.split("--bump-revision ").nth(1).unwrap();
    let bump: u64 = bump.split(' ').next().unwrap().parse().unwrap();
    assert!(
        bump > 17_000_000_000_000,
        "the time, and not the snapshot's revision, decides"
    );
    assert_eq!(bump % 10_000, 9_000, "{bump} and 1000 are a whole second");
    assert!(machine.data().join("set-aside.1/snap/db").exists());
    let left = fs::read_dir(machine.root()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with("snapshot-")),
        "the snapshot has secrets: {left:?}"
    );
    // Delivered again although it wasn't needed.
    machine.gets_snapshot(&whole());
    // Later starts find the data. Without it, nothing is restored again: there may have been writes.
    assert!(machine.restores("c/first-1", &whole()));
    assert_eq!(machine.calls().len(), 1);
    assert!(
        !machine
            .root()
            .join(format!("snapshot-{}", whole()))
            .exists()
    );
    machine.loses_data();
    assert!(!machine.restores("c/first-1", &whole()));
    assert_eq!(machine.calls().len(), 1);
    assert!(machine.reported().starts_with("gone\n"));
}

#[test]
fn an_incomplete_snapshot_is_not_restored_and_nothing_is_moved() {
    let machine = Machine::new();
    machine.passes("c/1", "new");
    machine.etcd_runs();
    machine.gets_snapshot(&"0".repeat(64));
    assert!(!machine.restores("c/first-1", &"0".repeat(64)));
    assert!(
        machine.reported().contains("is incomplete"),
        "{}",
        machine.reported()
    );
    assert_eq!(machine.calls(), [] as [String; 0]);
    assert!(machine.has_data(), "the former data is where it was");
}

#[test]
fn a_member_that_is_held_doesnt_start_and_joins_afterwards() {
    let machine = Machine::new();
    machine.passes("c/1", "existing");
    machine.etcd_runs();
    machine.gets_its_vote("c/1");
    let hold = super::super::hold_env("c");
    let text = hold.content.expose();
    assert!(text.contains("ETCD_INITIAL_CLUSTER_STATE=held"), "{text}");
    let output = Command::new("/bin/sh")
        .args(["-c", include_str!("gate.sh"), "gate"])
        .args([machine.data(), machine.root()])
        .env("HAKUBE_MEMBER", "c/held")
        .env("ETCD_INITIAL_CLUSTER_STATE", "held")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(machine.has_data());
    assert_eq!(machine.passes("c/9", "existing"), Starts);
    assert!(!machine.has_data(), "the former member's data is gone");
}
