//! Nothing remains of a yard, and nothing else is removed with it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hakube_yard::{Yard, until};

use crate::{LIMIT, boot, open, sh};

/// All traces of the yards whose id contains `id`.
fn traces(id: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut note = |what: &str, text: String| {
        for line in text.lines().filter(|line| line.contains(id)) {
            found.insert(format!("{what}: {line}"));
        }
    };
    let mut list = |what: &str, directory: &Path| {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            note(what, entry.path().display().to_string());
        }
    };
    list("records", Path::new("/run/hakube-yard"));
    list("data", &std::env::temp_dir());
    list("cgroups", Path::new("/sys/fs/cgroup"));
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        list("cgroups", &hierarchy.path());
    }
    for device in std::fs::read_dir("/sys/block").unwrap().flatten() {
        let file = device.path().join("loop/backing_file");
        note(
            "loop devices",
            std::fs::read_to_string(file).unwrap_or_default(),
        );
    }
    note(
        "mounts",
        std::fs::read_to_string("/proc/self/mountinfo").unwrap(),
    );
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |file| std::fs::read_to_string(process.path().join(file)).unwrap_or_default();
        let groups = read("cgroup");
        // Zombies don't count.
        if read("stat").contains(") Z ") {
            continue;
        }
        note(
            "processes",
            groups
                .lines()
                .map(|line| format!("{:?} {line}\n", process.path()))
                .collect(),
        );
    }
    found
}

/// The inode of a yard's network namespace. No process has it once the namespace is gone.
fn namespace(yard: &Yard) -> String {
    let link = yard
        .command("readlink")
        .unwrap()
        .arg("/proc/self/ns/net")
        .output()
        .unwrap();
    String::from_utf8(link.stdout).unwrap().trim().to_owned()
}

fn is_used(namespace: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut links =
        processes.filter_map(|process| std::fs::read_link(process.path().join("ns/net")).ok());
    links.any(|link| link.to_string_lossy() == namespace)
}

#[test]
fn nothing_remains_of_a_dropped_yard() {
    let Some(yard) = open("dropped") else { return };
    let hosts = boot(&yard, &["a".into(), "b".into()]);
    sh(&hosts[0], "systemd-run sleep 9999");
    let mut server = yard.command("sleep").unwrap().arg("9999").spawn().unwrap();
    let namespace = namespace(&yard);
    let id = yard.id().to_owned();
    assert!(is_used(&namespace));
    assert!(
        traces(&id)
            .iter()
            .any(|trace| trace.starts_with("processes"))
    );

    drop(yard);
    assert!(!server.wait().unwrap().success());
    assert_eq!(traces(&id), BTreeSet::new());
    assert!(!is_used(&namespace));
}

/// Ends with the test, even if that fails.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        hakube_yard::clean().unwrap();
    }
}

/// Starts `yard up` and waits until the yard is ready.
fn up(name: &str) -> Up {
    let up = Command::new(env!("CARGO_BIN_EXE_yard"))
        .args(["up", name, "--hosts", "a,b"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = Up(up);
    let printed = BufReader::new(up.0.stdout.take().unwrap());
    let last = printed
        .lines()
        .map_while(Result::ok)
        .find(|line| line.contains("Ctrl-C"));
    assert!(last.is_some(), "yard up ended");
    up
}

fn yard(id: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yard"));
    let output = command
        .args(["--yard", id])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn nothing_remains_of_a_yard_whose_owner_was_killed() {
    let Some(other) = open("bystander") else {
        return;
    };
    let bystander = boot(&other, &["a".into()]).remove(0);
    let mut up = up("killed");
    let id = format!("hakube-yard-killed-{}", up.0.id());
    let namespace = namespace(&Yard::of_another(Some(&id)).unwrap());

    up.0.kill().unwrap();
    up.0.wait().unwrap();
    assert!(is_used(&namespace), "hosts outlive their owner");
    assert!(!traces(&id).is_empty());
    // Another process may clean up first. That's fine too.
    drop(Yard::open("next").unwrap());
    until("nothing is left", LIMIT, || {
        traces(&id).is_empty() && !is_used(&namespace)
    })
    .unwrap();
    sh(&bystander, "true");
}

#[test]
fn by_hand_from_several_terminals() {
    if hakube_yard::without_hosts() {
        return;
    }
    let mut up = up("by-hand");
    let id = format!("hakube-yard-by-hand-{}", up.0.id());
    let by_hand = |arguments: &[&str]| yard(&id, arguments);
    assert!(by_hand(&["list"]).contains("10.77.0.12   on"));
    assert_eq!(by_hand(&["run", "a", "--", "hostname"]), "a");
    assert_eq!(by_hand(&["ssh", "b", "--user", "op", "--", "whoami"]), "op");
    assert!(by_hand(&["exec", "--", "ip", "-brief", "address"]).contains("10.77.0.1/24"));
    by_hand(&["cut", "a"]);
    by_hand(&["on", "a"]);
    assert_eq!(by_hand(&["run", "a", "--", "hostname"]), "a");
    assert_eq!(by_hand(&["boot", "c"]), "c 10.77.0.13");
    by_hand(&["split", "a", "b,c"]);
    by_hand(&["down"]);
    assert!(up.0.wait().unwrap().success());
    assert_eq!(traces(&id), BTreeSet::new());
}
