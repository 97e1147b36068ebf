//! The guest agent, with OpenSSH's own client.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::support::Machine;

/// A machine with ssh, and its user's key; `None` if the host can't run one, with the reason printed.
async fn machine() -> Option<(Machine, PathBuf)> {
    let has = |program: &str| Path::new(program).exists();
    if !has("/usr/bin/ssh") || !has("/usr/bin/ssh-keygen") {
        eprintln!("skipped: ssh is missing (package openssh-client)");
        return None;
    }
    // A separate address: tests run in parallel, and each needs its port 22.
    let address = Ipv4Addr::new(127, 63, rand::random(), rand::random_range(1..255));
    if let Err(error) = TcpListener::bind((address, 22)) {
        eprintln!("skipped: can't listen on port 22: {error}");
        return None;
    }
    let mut machine = Machine::with_user_data("#cloud-config\n");
    machine.spec.address = address.into();
    let key = machine.beside("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    machine.spec.ssh_keys = vec![format!("ada:{}", public.trim())];
    machine.spec.guest_attributes = true;
    machine.boot().await;
    while machine.guest.guest_attributes().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    Some((machine, key))
}

/// An ssh command that trusts only the host key that the machine has published.
async fn ssh(machine: &Machine, key: &Path, user: &str, options: &[&str]) -> Command {
    let attributes = machine.guest.guest_attributes().await.unwrap();
    let known = machine.beside("known_hosts");
    let address = machine.spec.address;
    let lines = attributes["hostkeys"]
        .iter()
        .map(|(algorithm, key)| format!("{address} {algorithm} {key}\n"));
    fs::write(&known, lines.collect::<String>()).unwrap();
    let mut command = Command::new("/usr/bin/ssh");
    command
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
        ])
        .args(["-o", "StrictHostKeyChecking=yes"])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-i")
        .arg(key)
        .args(options)
        .arg(format!("{user}@{address}"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn a_command_has_the_machine_s_paths_and_the_client_s_input_and_output() {
    let Some((machine, key)) = machine().await else {
        return;
    };
    let script = "sudo -n sh -c 'cat >/etc/put; echo out; echo err >&2; exit 3'";
    let mut command = ssh(&machine, &key, "ada", &[]).await;
    let mut client = command
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Larger than a channel's window.
    let content = "0123456789abcdef".repeat(256 << 10);
    let mut input = client.stdin.take().unwrap();
    input.write_all(content.as_bytes()).await.unwrap();
    drop(input);
    let output = client.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\n");
    assert!(machine.read("/etc/put") == content, "it arrived whole");
}

#[tokio::test]
async fn users_outside_the_metadata_are_rejected() {
    let Some((machine, key)) = machine().await else {
        return;
    };
    let output = ssh(&machine, &key, "eve", &[])
        .await
        .arg("true")
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(255), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Permission denied (publickey)"), "{said}");
}

#[tokio::test]
async fn the_host_key_survives_a_reboot() {
    let Some((machine, _)) = machine().await else {
        return;
    };
    let before = machine.guest.guest_attributes().await.unwrap();
    let file = machine.file("/etc/ssh/ssh_host_ed25519_key");
    let key = fs::read(&file).unwrap();
    machine.guest.shut_down().await.unwrap();
    fs::remove_file(machine.guest.dir().join("guest-attributes.json")).unwrap();
    machine.boot().await;
    while machine.guest.guest_attributes().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(machine.guest.guest_attributes().await.unwrap(), before);
    assert_eq!(fs::read(&file).unwrap(), key);
}

#[tokio::test]
async fn only_ports_of_the_machine_are_reachable() {
    let Some((machine, key)) = machine().await else {
        return;
    };
    let own = TcpListener::bind((machine.spec.address, 0)).unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = own.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::Write as _;
        let (mut stream, _) = own.accept().unwrap();
        stream.write_all(b"hello").unwrap();
    });
    let target = format!("{}:{port}", machine.spec.address);
    let mut client = ssh(&machine, &key, "ada", &["-W", &target])
        .await
        .stdout(Stdio::piped())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answer = String::new();
    let mut output = client.stdout.take().unwrap();
    output.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "hello");

    let target = other.local_addr().unwrap().to_string();
    let mut command = ssh(&machine, &key, "ada", &["-W", &target]).await;
    let refused = command.output().await.unwrap();
    assert_eq!(refused.status.code(), Some(255), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("administratively prohibited"), "{said}");
}

/// The exit code of a client that must not wait for ever.
async fn ends(mut command: Command) -> i32 {
    let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    let ended = ended.expect("the server doesn't answer");
    ended.unwrap().code().unwrap()
}

#[tokio::test]
async fn terminals_and_sftp_are_refused_and_a_shell_reads_its_input() {
    let Some((machine, key)) = machine().await else {
        return;
    };
    assert_eq!(ends(ssh(&machine, &key, "ada", &["-tt"]).await).await, 255);
    assert_ne!(
        ends({
            let mut sftp = ssh(&machine, &key, "ada", &["-s"]).await;
            sftp.arg("sftp");
            sftp
        })
        .await,
        0
    );
    let mut client = ssh(&machine, &key, "ada", &["-T"])
        .await
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    input.write_all(b"echo read; exit 4\n").await.unwrap();
    drop(input);
    let output = client.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert_eq!(output.stdout, b"read\n");
}

#[tokio::test]
async fn keys_that_come_and_go_later_are_followed() {
    let Some((machine, key)) = machine().await else {
        return;
    };
    let with = async |user: &str| {
        let mut command = ssh(&machine, &key, user, &[]).await;
        command.arg("true");
        ends(command).await
    };
    assert_eq!(with("bob").await, 255);
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let lines = vec![format!("bob:{}", public.trim())];
    machine.guest.set_ssh_keys(lines).await.unwrap();
    assert_eq!(with("bob").await, 0);
    assert_eq!(with("ada").await, 255);
}
