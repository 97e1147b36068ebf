//! The inventory: what it says, and what is wrong with it.

use super::*;

fn parse(text: &str) -> Parsed<Hosts> {
    let directories = Directories {
        home: Some("/home/ada".as_ref()),
        working: "/work".as_ref(),
    };
    super::parse(&directories, "hosts.yaml".as_ref(), text)
}

const KEY: &str = "ssh-ed25519 AAAAC3Nz";

#[test]
fn a_host_inherits_how_it_is_logged_in_on() {
    let hosts = parse(&format!(
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
fn host_keys_may_be_in_a_file_of_opensshs() {
    let known = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("[10.0.0.1]:2222 {known}\n")).unwrap();
    let one = |address: &str| {
        parse(&format!(
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
fn a_jump_host_has_a_key_of_its_own_to_prove_it() {
    let one = |jump: &str| {
        parse(&format!(
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

#[test]
fn what_is_wrong_is_named_with_its_host_all_of_it_at_once() {
    let host = |fields: &str| format!("{{ssh: {{key: k, host_key: {KEY}}}, {fields}}}");
    let table = [
        (host("name: a, address: 10.0.0.1"), "host a: it has no zone"),
        (
            host("name: no, address: 10.0.0.1, zone: r"),
            "host number 1: its name reads as false, not as text",
        ),
        (
            host("name: A_b, address: 10.0.0.1, zone: r"),
            "host A_b: a name is",
        ),
        (
            host("name: a, address: 10.0.0.1, zone: r, colour: red"),
            "colour",
        ),
        (host("name: a, address: nowhere, zone: r"), "address"),
        (
            host("name: a, address: 10.0.0.1, zone: r, role: boss"),
            "boss",
        ),
        (
            "{name: a, address: 10.0.0.1, zone: r}".to_owned(),
            "host a: it has no ssh.key",
        ),
        (
            "{name: a, address: 10.0.0.1, zone: r}".to_owned(),
            "host a: it has no ssh.host_key",
        ),
    ];
    for (host, words) in table {
        let text = format!("hosts:\n- {host}\n");
        let error = parse(&text).unwrap_err();
        assert!(error.0.contains(words), "{text}: {}", error.0);
    }
    let twice = host("name: a, address: 10.0.0.1, zone: r");
    let error = parse(&format!("endpoint: 10.0.0.1\nhosts: [{twice}, {twice}]\n")).unwrap_err();
    for words in [
        "two hosts have this name",
        "is that of a too",
        "is the endpoint's",
    ] {
        assert!(error.0.contains(words), "{}", error.0);
    }
    assert!(
        parse("hosts: []\n")
            .unwrap_err()
            .0
            .contains("it has no hosts")
    );
}
