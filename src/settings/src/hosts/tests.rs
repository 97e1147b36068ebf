//! Parsing of the inventory and its errors.

use super::*;
use crate::parse::Parsed;
use crate::path::Directories;

fn parsed(text: &str) -> Parsed<Hosts> {
    let directories = Directories {
        home: Some("/home/ada".as_ref()),
        working: "/work".as_ref(),
    };
    super::parse(&directories, "hosts.yaml".as_ref(), text)
}

const KEY: &str = "ssh-ed25519 AAAAC3Nz";

#[test]
fn a_host_inherits_how_it_is_logged_in_on() {
    let hosts = parsed(&format!(
        "ssh: {{user: op, key: ~/.ssh/id}}\nendpoint: 10.0.0.9\nhosts:\n\
         - {{name: a, address: 10.0.0.1, zone: rack-a, role: replica, ssh: {{host_key: {KEY} root@a}}}}\n\
         - {{name: b, address: 10.0.0.2, zone: rack-b, ssh: {{user: root, port: 2222, agent: true, host_key: {KEY}}}}}\n"
    ))
    .unwrap();
    let a = hosts.host("a").unwrap();
    assert_eq!(a.role, HostRole::Replica);
    assert_eq!(a.ssh.user, "op");
    assert_eq!(a.ssh.key.as_deref(), Some("/home/ada/.ssh/id".as_ref()));
    assert_eq!(a.ssh.host_key, KEY, "without its comment");
    let b = hosts.host("b").unwrap();
    assert_eq!((b.role, b.ssh.port), (HostRole::Any, 2222));
    assert_eq!(b.ssh.key, None, "the agent's");
    assert_eq!(hosts.endpoint, Some("10.0.0.9".parse().unwrap()));
}

#[test]
fn host_keys_can_be_in_a_known_hosts_file() {
    let known = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("[10.0.0.1]:2222 {known}\n")).unwrap();
    let one = |address: &str| {
        parsed(&format!(
            "ssh: {{key: k, port: 2222, known_hosts: {}}}\nhosts:\n- {{name: a, address: {address}, zone: r}}\n",
            file.path().display()
        ))
    };
    assert_eq!(one("10.0.0.1").unwrap().hosts[0].ssh.host_key, known);
    let error = one("10.0.0.2").unwrap_err();
    assert!(
        error
            .0
            .contains("has no Ed25519 or ECDSA key of 10.0.0.2, port 2222"),
        "{}",
        error.0
    );
}

#[test]
fn a_jump_host_needs_its_own_host_key() {
    let one = |jump: &str| {
        parsed(&format!(
            "hosts:\n- name: a\n  address: 10.0.0.1\n  zone: r\n  ssh: {{key: k, host_key: {KEY}, jump: {jump}}}\n"
        ))
    };
    let hosts = one(&format!(
        "{{address: 192.0.2.1, user: j, key: k, host_key: {KEY}}}"
    ))
    .unwrap();
    let jump = hosts.hosts[0].ssh.jump.as_ref().unwrap();
    assert_eq!((jump.ssh.user.as_str(), jump.ssh.port), ("j", 22));
    let error = one("{address: 192.0.2.1, colour: red}").unwrap_err();
    assert!(error.0.contains("colour"), "{}", error.0);
    let error = one("{address: 192.0.2.1, key: k}").unwrap_err();
    assert!(
        error.0.contains("a, its jump host: it has no ssh.host_key"),
        "{}",
        error.0
    );
}

/// An inventory with a valid first host in lines 2 to 5, and a second with these fields from line 6.
fn second(fields: &str) -> String {
    let ssh = format!("ssh: {{key: k, host_key: {KEY}}}");
    format!("hosts:\n- name: a\n  address: 10.0.0.1\n  zone: r\n  {ssh}\n- {ssh}\n{fields}")
}

#[test]
fn problems_are_reported_with_host_and_line() {
    let table = [
        (
            "  name: b\n  zone: r\n",
            "line 6, column 3: host b: it has no address",
        ),
        (
            "  address: 10.0.0.2\n  zone: r\n",
            "line 6, column 3: host number 2: it has no name",
        ),
        (
            "  name: b\n  zone: r\n",
            "line 6, column 3: host b: it has no address",
        ),
        (
            "  address: 10.0.0.2\n  zone: r\n",
            "line 6, column 3: host number 2: it has no name",
        ),
        (
            "  name: b\n  address: 10.0.0.2\n",
            "line 6, column 3: host b: it has no zone",
        ),
        (
            "  address: 10.0.0.2\n  zone: r\n  name: no\n",
            "line 9, column 9: host number 2: its name is parsed as false, not as text: quote it",
        ),
        (
            "  address: 10.0.0.2\n  zone: r\n  name: n\n",
            "line 9, column 9: host number 2: its name is parsed as false",
        ),
        (
            "  address: 10.0.0.2\n  zone: r\n  name: on\n",
            "line 9, column 9: host number 2: its name is parsed as true",
        ),
        (
            "  name: A_b\n  address: 10.0.0.2\n  zone: r\n",
            "line 7, column 9: host A_b: a name has",
        ),
        (
            "  name: b\n  address: nowhere\n  zone: r\n",
            "line 8, column 12: host b: address: \"nowhere\" isn't an IP address",
        ),
        (
            "  name: b\n  address: 10.0.0.2\n  zone: r_1\n",
            "line 9, column 9: host b: its zone is invalid",
        ),
        (
            "  name: b\n  address: 10.0.0.2\n  zone: r\n  labels:\n    disk: ssd\n    -x: y\n",
            "line 12, column 9: host b: \"-x\" isn't a label key",
        ),
        (
            "  name: b\n  address: 10.0.0.2\n  zone: r\n  labels: {disk: a b}\n",
            "line 10, column 18: host b: label disk: \"a b\" isn't a label value",
        ),
        (
            "  name: b\n  address: 10.0.0.2\n  zone: r\n  labels: {topology.kubernetes.io/zone: x}\n",
            "label topology.kubernetes.io/zone can't be set in the inventory: set the host's zone instead",
        ),
        (
            "  name: a\n  address: 10.0.0.2\n  zone: r\n",
            "line 7, column 9: host a: another host in line 2 has the same name",
        ),
        (
            "  name: b\n  address: 10.0.0.1\n  zone: r\n",
            "line 8, column 12: host b: its address 10.0.0.1 is also that of a",
        ),
    ];
    for (fields, words) in table {
        let text = second(fields);
        let error = parsed(&text).unwrap_err();
        assert!(error.0.contains(words), "{text}: {}", error.0);
    }
    // Errors that prevent parsing.
    let table = [
        (
            "  name: b\n  address: 10.0.0.2\n  zone: r\n  colour: red\n",
            "colour",
            "line 10, column 3",
        ),
        (
            "  name: b\n  address: 10.0.0.2\n  zone: r\n  role: boss\n",
            "boss",
            "line 10, column 9",
        ),
        ("  name: [b\n", "", "line"),
    ];
    for (fields, words, line) in table {
        let text = second(fields);
        let error = parsed(&text).unwrap_err().0;
        assert!(
            error.contains(words) && error.contains(line),
            "{text}: {error}"
        );
        assert!(
            !error.contains("AAAAC3"),
            "the file itself isn't shown: {error}"
        );
    }
}

#[test]
fn all_that_is_wrong_comes_at_once() {
    let error = parsed("hosts:\n- {name: a, address: 10.0.0.1, zone: r}\n").unwrap_err();
    for words in [
        "host a: it has no ssh.key",
        "host a: it has no ssh.host_key",
    ] {
        assert!(error.0.contains(words), "{}", error.0);
    }
    let twice = second("  name: a\n  address: 10.0.0.1\n  zone: r\nendpoint: 10.0.0.1\n");
    let error = parsed(&twice).unwrap_err();
    for words in [
        "has the same name",
        "is also that of a",
        "is the endpoint's",
    ] {
        assert!(error.0.contains(words), "{}", error.0);
    }
    let error = parsed("hosts: []\nendpoint: there\n").unwrap_err();
    assert!(
        error
            .0
            .contains("line 2, column 11: endpoint: \"there\" isn't an IP address"),
        "{}",
        error.0
    );
    let error = parsed("hosts: []\n").unwrap_err();
    assert!(error.0.contains("it has no hosts"), "{}", error.0);
}

#[test]
fn labels_are_kept_as_they_are_written() {
    let hosts = parsed(&second(
        "  name: b\n  address: 10.0.0.2\n  zone: r\n  labels: {example.com/disk: ssd, gpu: true, size: 010}\n",
    ));
    let labels = &hosts.unwrap().hosts[1].labels;
    let labels: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(
        labels,
        [
            ("example.com/disk", "ssd"),
            ("gpu", "true"),
            ("size", "010")
        ]
    );
}
