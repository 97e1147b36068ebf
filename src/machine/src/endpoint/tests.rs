//! Tests of the configuration as text, and with the programs themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use hakube_model::Sharer;
use hakube_pki::Authorities;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

/// An arrangement of this many replicas.
fn arrangement(replicas: u8) -> Arrangement {
    let sharers = (0..replicas).map(|number| Sharer {
        name: format!("kubernetes-master-{}", char::from(b'a' + number)),
        address: [10, 99, 0, 2 + number].into(),
    });
    Arrangement {
        address: [10, 99, 0, 100].into(),
        port: 6443,
        sharers: sharers.collect(),
    }
}

fn of(replicas: u8) -> (String, String) {
    configuration(&arrangement(replicas), "kubernetes-master-a")
}

#[test]
fn one_replica_holds_the_address_alone() {
    insta::assert_snapshot!(of(1).0);
}

#[test]
fn three_replicas_share_the_address() {
    let (keepalived, haproxy) = of(3);
    insta::assert_snapshot!(format!("{keepalived}\n{haproxy}"));
}

#[test]
fn a_machine_that_isnt_listed_runs_nothing() {
    let nothing = configuration(&arrangement(3), "kubernetes-master-z");
    assert_eq!(nothing, (String::new(), String::new()));
}

/// The highest priority takes the address first: two machines with the same priority would both take it.
#[test]
fn priorities_are_unique_and_each_knows_the_others() {
    let all = arrangement(7);
    let mut priorities = std::collections::BTreeSet::new();
    for sharer in &all.sharers {
        let (keepalived, _) = configuration(&all, &sharer.name);
        let (_, peers) = keepalived.split_once("unicast_peer {").unwrap();
        let (peers, _) = peers.split_once('}').unwrap();
        let peers: Vec<&str> = peers.split_whitespace().collect();
        let others = all.sharers.iter().filter(|other| *other != sharer);
        let others: Vec<String> = others.map(|other| other.address.to_string()).collect();
        assert_eq!(peers, others);
        let priority = keepalived.lines().find(|line| line.contains("priority"));
        assert!(priorities.insert(priority.unwrap().to_owned()));
    }
}

/// Clients that heard a machine which was cut off from its peers, and took the address too, find the holder again.
#[test]
fn the_holder_repeats_its_announcement() {
    for count in [1, 3] {
        let (keepalived, _) = of(count);
        assert!(
            keepalived.contains("garp_master_refresh 2\n"),
            "{keepalived}"
        );
    }
}

/// Multicast would reach other users of the network; a check would remove the address from the only machine.
#[test]
fn a_single_machine_has_an_unused_peer_and_no_check() {
    let (keepalived, _) = of(1);
    assert!(keepalived.contains("unicast_peer {\n        127.0.0.1\n"));
    assert!(!keepalived.contains("vrrp_script") && !keepalived.contains("track_script"));
}

#[test]
fn an_ipv6_endpoint_has_the_programs_syntax() {
    let arrangement = Arrangement {
        address: "fd00::100".parse().unwrap(),
        port: 6443,
        sharers: vec![Sharer {
            name: "kubernetes-master".to_owned(),
            address: "fd00::2".parse().unwrap(),
        }],
    };
    let (keepalived, haproxy) = configuration(&arrangement, "kubernetes-master");
    assert!(
        keepalived.contains("fd00::100/128 dev @INTERFACE@")
            && keepalived.contains("        ::1\n")
    );
    assert!(haproxy.contains("bind [fd00::100]:6443") && haproxy.contains(" [fd00::2]:6443 "));
}

/// The file that triggers a change is written after all others.
#[test]
fn the_arrangement_is_written_last_and_parses() {
    let all = arrangement(2);
    let files = files(&all, "kubernetes-master-b", "CA");
    let last = files.last().unwrap();
    assert_eq!(last.path, ARRANGEMENT);
    let read: Arrangement = serde_json::from_str(last.content.expose()).unwrap();
    assert_eq!(read, all);
    assert!(files.iter().all(|file| file.mode == 0o644));
}

/// Whether the program is installed here; otherwise prints that the test is skipped.
fn is_here(program: &str) -> bool {
    let here = Path::new("/usr/sbin").join(program).exists();
    if !here {
        eprintln!("skipped: {program} isn't installed");
    }
    here
}

fn written(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn accepts(program: &str, arguments: &[&str]) {
    let output = Command::new(Path::new("/usr/sbin").join(program))
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    // keepalived 2.2.7 ends its test of a configuration with a script by killing the script's
    // process group, including itself.
    let ended = output.status.success() || output.status.signal() == Some(15);
    assert!(ended, "{program}: {:?}, {said}", output.status);
    // Both exit successfully despite warnings.
    let grumbles = ["[WARNING]", "Unknown keyword", "deprecated"];
    assert!(!grumbles.iter().any(|word| said.contains(word)), "{said}");
}

#[test]
fn haproxy_accepts_the_configuration() {
    if !is_here("haproxy") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let lifetimes = hakube_testing::fixtures::spec(&[]).pki;
    let authorities = Authorities::generate(lifetimes, jiff::Timestamp::now()).unwrap();
    let ca = written(directory.path(), "ca.crt", authorities.kubernetes_ca());
    for replicas in [1, 3] {
        let socket = directory.path().join("sock").display().to_string();
        let (_, haproxy) = of(replicas);
        let haproxy = haproxy.replace(CA, &ca).replace(ALIVE, &socket);
        let path = written(directory.path(), "haproxy.cfg", &haproxy);
        accepts("haproxy", &["-c", "-f", &path]);
    }
}

/// keepalived requires that the check exists and is writable only by root, and that the interface exists.
#[test]
fn keepalived_accepts_the_configuration() {
    let interfaces = std::fs::read_dir("/sys/class/net").unwrap();
    let mut interfaces = interfaces.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let Some(interface) = interfaces.find(|name| name != "lo") else {
        eprintln!("skipped: the loopback is the only interface");
        return;
    };
    if !is_here("keepalived") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for replicas in [1, 3] {
        let (keepalived, _) = of(replicas);
        let keepalived = keepalived
            .replace(CHECK, "/bin/true")
            .replace(INTERFACE, &interface);
        let path = written(directory.path(), "keepalived.conf", &keepalived);
        accepts("keepalived", &["--config-test", "-f", &path]);
    }
}

/// A machine's scripts, with paths mapped to a temporary directory and programs replaced by those in `bin`.
struct Scripts {
    directory: tempfile::TempDir,
}

impl Scripts {
    /// `programs` are names and shell commands.
    fn new(programs: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for made in ["bin", "etc/hakube/endpoint", "run/hakube"] {
            std::fs::create_dir_all(directory.path().join(made)).unwrap();
        }
        for (name, does) in programs {
            let path = directory.path().join("bin").join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { directory }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path.trim_start_matches('/'))
    }

    fn put(&self, path: &str, content: &str) {
        std::fs::write(self.path(path), content).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// Runs the script of this path.
    fn run(&self, script: &str) -> std::process::Output {
        let document = super::super::replica_user_data(&hakube_testing::fixtures::spec(&[(
            "KUBERNETES_PROVIDER",
            "libvirt",
        )]));
        let value: serde_json::Value = serde_saphyr::from_str(&document).unwrap();
        let files = value["write_files"].as_array().unwrap();
        let file = files.iter().find(|file| file["path"] == script).unwrap();
        let root = self.directory.path().display();
        let text = file["content"].as_str().unwrap();
        let text = text
            .replace("/etc/hakube", &format!("{root}/etc/hakube"))
            .replace("/run/hakube", &format!("{root}/run/hakube"));
        Command::new("/bin/sh")
            .args(["-c", &text])
            .env("PATH", format!("{root}/bin:/usr/bin:/bin"))
            .env("ROOT", root.to_string())
            .output()
            .unwrap()
    }
}

const APPLY: &str = "/usr/local/lib/hakube/endpoint-apply";
const PROGRAMS: &str = "/usr/local/lib/hakube/endpoint-programs";

#[test]
fn changes_are_applied_and_then_reported() {
    let scripts = Scripts::new(&[("systemctl", "echo \"$@\" >>$ROOT/log")]);
    for file in files(&arrangement(2), "kubernetes-master-a", "CA") {
        scripts.put(&file.path, file.content.expose());
    }
    assert!(scripts.run(APPLY).status.success());
    assert_eq!(
        scripts.read("log"),
        "reload-or-restart endpoint-haproxy.service\nreload-or-restart endpoint-keepalived.service\n"
    );
    assert_eq!(scripts.read(IN_FORCE), scripts.read(ARRANGEMENT));

    scripts.put("log", "");
    for file in files(&arrangement(0), "kubernetes-master-a", "CA") {
        scripts.put(&file.path, file.content.expose());
    }
    assert!(scripts.run(APPLY).status.success());
    assert_eq!(
        scripts.read("log"),
        "stop endpoint-keepalived.service\nstop endpoint-haproxy.service\n"
    );
    assert_eq!(scripts.read(IN_FORCE), scripts.read(ARRANGEMENT));
}

/// Only the machine knows its interface's name.
#[test]
fn keepalived_gets_the_interface_with_the_machines_address() {
    let shown = "4: enp3s0    inet 10.99.0.1/24 brd 10.99.0.255 scope global enp3s0";
    let ip = format!("echo '{shown}'");
    let scripts = Scripts::new(&[("systemctl", "exit 0"), ("ip", &ip)]);
    for file in files(&arrangement(2), "kubernetes-master-a", "CA") {
        scripts.put(&file.path, file.content.expose());
    }
    assert!(scripts.run(APPLY).status.success());
    let rendered = scripts.read(RENDERED);
    assert!(rendered.contains("interface enp3s0\n"), "{rendered}");
    assert!(!rendered.contains(INTERFACE), "{rendered}");
}

/// A file that changes while it runs doesn't start it again.
#[test]
fn changes_in_the_meantime_are_applied_too() {
    let scripts = Scripts::new(&[(
        "systemctl",
        "echo \"$@\" >>$ROOT/log\n\
         [ -e $ROOT/changed ] || { touch $ROOT/changed; echo new >$ROOT/etc/hakube/endpoint/arrangement.json; }",
    )]);
    scripts.put(KEEPALIVED, "old");
    scripts.put(ARRANGEMENT, "old\n");
    assert!(scripts.run(APPLY).status.success());
    assert_eq!(scripts.read("log").lines().count(), 4);
    assert_eq!(scripts.read(IN_FORCE), "new\n");
}

/// A configuration that no program has loaded isn't reported as in force.
#[test]
fn failed_changes_are_not_reported() {
    let scripts = Scripts::new(&[("systemctl", "exit 1")]);
    scripts.put(KEEPALIVED, "new");
    scripts.put(ARRANGEMENT, "new\n");
    scripts.put(IN_FORCE, "old\n");
    assert!(!scripts.run(APPLY).status.success());
    assert_eq!(scripts.read(IN_FORCE), "");
}

#[test]
fn an_address_that_keepalived_left_is_removed() {
    let shown = "2: host0    inet 10.99.0.100/32 scope global host0";
    let ip = format!(
        "case \"$*\" in *show*) echo '{shown}' ;; *) echo \"$@\" >>$ROOT/log; exit 2 ;; esac"
    );
    let scripts = Scripts::new(&[("ip", &ip)]);
    for file in files(&arrangement(0), "kubernetes-master-a", "CA") {
        scripts.put(&file.path, file.content.expose());
    }
    let ended = scripts.run("/usr/local/lib/hakube/endpoint-drop").status;
    assert!(ended.success());
    assert_eq!(
        scripts.read("log"),
        "address delete 10.99.0.100 dev host0\n"
    );
}

/// An image that has all programs may have no network.
#[test]
fn installed_programs_need_no_network() {
    let there = ["keepalived", "haproxy", "curl"].map(|name| (name, "exit 0"));
    let log = ("apt-get", "echo \"$@\" >>$ROOT/log");
    let scripts = Scripts::new(&[&there[..], &[log]].concat());
    assert!(scripts.run(PROGRAMS).status.success());
    assert_eq!(scripts.read("log"), "");
}

/// The name server may not be available yet, or another apt may be running. Units that require the
/// programs aren't started a second time.
#[test]
fn installation_of_programs_is_retried() {
    let installs = "echo \"$@\" >>$ROOT/log
        case $* in *update*) exit 0 ;; esac
        [ -e $ROOT/tried ] || { touch $ROOT/tried; exit 100; }
        printf '#!/bin/sh\\n' >$ROOT/bin/keepalived; chmod 755 $ROOT/bin/keepalived";
    let scripts = Scripts::new(&[
        ("haproxy", "exit 0"),
        ("curl", "exit 0"),
        ("sleep", "echo sleeps >>$ROOT/log"),
        ("apt-get", installs),
    ]);
    assert!(scripts.run(PROGRAMS).status.success());
    let once = "-q -o DPkg::Lock::Timeout=60 update\n\
                -q -o DPkg::Lock::Timeout=60 install -y --no-install-recommends keepalived\n";
    assert_eq!(scripts.read("log"), format!("{once}sleeps\n{once}"));
}

#[test]
fn only_a_machine_that_serves_may_hold_the_address() {
    for (answers, may) in [
        ("exit 0", true),
        ("exit 22", false),
        ("case $* in *unix-socket*) exit 7;; esac", false),
    ] {
        let scripts = Scripts::new(&[("curl", answers)]);
        assert_eq!(scripts.run(CHECK).status.success(), may, "{answers}");
    }
}

/// A machine is healthy if its own API server is, regardless of the others.
#[test]
fn each_machine_checks_its_own_server() {
    let all = arrangement(2);
    for sharer in &all.sharers {
        let (_, haproxy) = configuration(&all, &sharer.name);
        let fails = format!(
            "monitor fail if !{{ srv_is_up(api-servers/{}) }}",
            sharer.name
        );
        assert!(haproxy.contains(&fails), "{haproxy}");
    }
}

#[test]
fn units_wait_for_the_arrangement() {
    let documents = format!("{:?}", documents());
    assert!(documents.contains(&format!("PathChanged={ARRANGEMENT}")));
}
