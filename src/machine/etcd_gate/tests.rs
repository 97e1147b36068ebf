//! The gate's script, run by a shell, with disks that come and go.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A machine: a root disk, a disk for etcd's data, and what etcd last said.
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

    /// etcd makes its data, as it does at its first start.
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

    /// The data disk isn't mounted, or is another's.
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

/// etcd ends without data when the others don't answer it, or don't list it yet.
#[test]
fn a_learner_may_try_again_until_it_gets_its_vote() {
    let machine = Machine::new();
    for _ in 0..3 {
        assert_eq!(machine.passes("c/1", "existing"), Starts);
    }
    machine.gets_its_vote("c/1");
    assert_eq!(machine.passes("c/1", "existing"), Refused(Gone));
}

/// Then the start is used up before etcd has made anything: nothing was acknowledged, and nothing starts.
#[test]
fn power_that_fails_between_the_gate_and_etcd_uses_the_start_up() {
    let machine = Machine::new();
    assert_eq!(machine.passes("c/1", "new"), Starts);
    assert_eq!(machine.passes("c/1", "new"), Refused(Gone));
    assert_eq!(machine.passes("c/2", "new"), Starts, "as another");
}

/// etcd takes a member without a write-ahead log for a new one, whatever else it finds.
#[test]
fn a_member_whose_log_is_gone_or_empty_doesnt_start() {
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

/// The machine is made again and its data disk is kept: the disk knows.
#[test]
fn a_root_disk_that_is_replaced_gives_no_second_start() {
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
    // Another member's disk, and then one that hakube never saw.
    machine.etcd_runs();
    fs::write(machine.data().join("hakube-member"), "c/7\n").unwrap();
    assert_eq!(machine.passes("c/1", "existing"), Refused(Foreign));
    fs::remove_file(machine.data().join("hakube-member")).unwrap();
    assert_eq!(machine.passes("c/1", "existing"), Refused(Foreign));
    assert!(machine.has_data(), "it may be somebody's");
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
fn a_member_with_a_new_life_wipes_its_former_data_and_keeps_a_strangers() {
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
fn what_etcd_says_as_it_dies_of_damaged_data_is_told_at_the_third_time() {
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
            // It may try: what was a torn end is mended by then.
            assert_eq!(machine.passes("c/1", "existing"), Starts);
        }
        let condition = machine.condition().expect(said);
        assert_eq!(condition.kind, Damaged, "{said}");
        assert!(
            condition.why.contains("can't read its data"),
            "{condition:?}"
        );
        // It ran since.
        machine.says("{\"level\":\"info\"}\n");
        assert_eq!(machine.passes("c/1", "existing"), Starts);
        assert_eq!(machine.condition(), None);
    }
}

/// Keys of slow requests are in the log, and anybody may choose them.
#[test]
fn what_etcd_says_of_requests_and_of_other_trouble_is_no_damage() {
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
