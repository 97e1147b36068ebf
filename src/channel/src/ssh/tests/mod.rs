//! Tests the channel against OpenSSH's server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sshd;

use super::{Advice, SshChannel};
use crate::Channel;
use hakube_error::Kind;
use hakube_model::Lifetimes;
use hakube_pki::{Authorities, LoginKey};
use hakube_provider::{Machine, MachineRef, MachineState, SshServer};
use hakube_secret::{Secret, SecretFile};
use sshd::{Known, Sshd, skipped};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

fn new_key() -> LoginKey {
    let authorities = Authorities::generate(Lifetimes::default(), jiff::Timestamp::now()).unwrap();
    authorities.login().unwrap().clone()
}

fn machine() -> MachineRef {
    MachineRef {
        name: "kubernetes-master".into(),
        zone: "europe-west1-b".into(),
    }
}

fn channel(key: &LoginKey, known: &Known) -> SshChannel {
    channel_asking(key, known, Duration::ZERO)
}

fn channel_asking(key: &LoginKey, known: &Known, pace: Duration) -> SshChannel {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
        .unwrap()
        .unwrap();
    let advice = Advice {
        refused: "check the login",
        unreachable: "check the firewall",
    };
    SshChannel::with_user(&user.name, key, known.clone(), pace, advice).unwrap()
}

fn file(path: &Path, mode: u32, content: &str) -> SecretFile {
    SecretFile {
        path: path.to_str().unwrap().to_owned(),
        mode,
        content: Secret::new(content.to_owned()),
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn files_arrive_complete_with_their_modes_and_replace_older_ones() {
    let Some(sshd) = Sshd::start() else {
        return skipped();
    };
    let channel = channel(&sshd.user_key, &sshd.known());
    let key = sshd.path("etc/it's a key");
    let marker = sshd.path("etc/deep/marker");
    let content = "secret line\n".repeat(20_000);
    for content in ["old", content.as_str()] {
        let files = [
            file(&key, 0o600, content),
            file(&sshd.path("etc/empty"), 0o640, ""),
            file(&marker, 0o644, "no newline at the end"),
        ];
        channel.put(&machine(), &files).await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(&key).unwrap(), content);
    assert_eq!(
        std::fs::read_to_string(&marker).unwrap(),
        "no newline at the end"
    );
    assert_eq!(mode(&key), 0o600);
    assert_eq!(mode(&marker), 0o644);
    assert_eq!(mode(&sshd.path("etc/empty")), 0o640);
    assert_eq!(
        files(&sshd.path("etc")).len(),
        3,
        "no temporary files are left: {:?}",
        files(&sshd.path("etc"))
    );
}

#[tokio::test]
async fn a_file_is_read_exactly_and_a_missing_one_is_none() {
    let Some(sshd) = Sshd::start() else {
        return skipped();
    };
    let channel = channel(&sshd.user_key, &sshd.known());
    let path = sshd.path("it's a file");
    let path = path.to_str().unwrap();
    assert_eq!(channel.read(&machine(), path).await.unwrap(), None);
    for content in [&b""[..], b"one\n\ntwo\xff\0", &[b'x'; 100_000]] {
        std::fs::write(path, content).unwrap();
        let read = channel.read(&machine(), path).await.unwrap();
        assert_eq!(read.as_deref(), Some(content));
    }
    // An error isn't treated as absence.
    let directory = sshd.path(".");
    let error = channel.read(&machine(), directory.to_str().unwrap()).await;
    assert!(error.unwrap_err().to_string().contains("irectory"));
}

#[tokio::test]
async fn if_a_file_can_not_be_written_none_is() {
    let Some(sshd) = Sshd::start() else {
        return skipped();
    };
    let channel = channel(&sshd.user_key, &sshd.known());
    let taken = sshd.path("file");
    std::fs::write(&taken, "").unwrap();
    let files = [
        file(&sshd.path("etc/key"), 0o600, "secret"),
        file(&taken.join("below"), 0o600, "secret"),
    ];
    let error = channel.put(&machine(), &files).await.unwrap_err();
    assert!(!error.transient, "{error}");
    assert!(error.to_string().contains("file/below"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(super::tests::files(&sshd.path("etc")), [] as [String; 0]);
}

#[tokio::test]
async fn a_server_with_another_host_key_gets_nothing() {
    let Some(sshd) = Sshd::start() else {
        return skipped();
    };
    let other = new_key();
    let mut server = sshd.server();
    let shown = sshd.host_fingerprint();
    server.host_keys = vec![other.public];
    let known = Known::new(Some(server));
    let error = channel(&sshd.user_key, &known)
        .put(&machine(), &[file(&sshd.path("etc/key"), 0o600, "secret")])
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(!error.transient);
    let text = error.to_string();
    assert!(text.contains(&shown), "its actual key ({shown}): {text}");
    assert_eq!(text.matches("SHA256:").count(), 2, "{text}");
    assert!(text.contains("kubernetes-master"), "{text}");
    assert!(!sshd.path("etc").exists());
}

/// The endpoint's address moves from one machine to another. A client with the old address finds
/// another machine there, and looks the address up again.
#[tokio::test]
async fn a_machine_whose_address_has_moved_is_found_again() {
    let (Some(sshd), Some(other)) = (Sshd::start(), Sshd::start()) else {
        return skipped();
    };
    other.admit(&sshd.user_key);
    let address = sshd.behind_proxy().await;
    let known = Known::new(Some(address.server()));
    let channel = channel_asking(&sshd.user_key, &known, Duration::from_secs(3600));
    let first = file(&sshd.path("etc/first"), 0o600, "first");
    channel.put(&machine(), &[first]).await.unwrap();

    address.lead_to(other.server());
    known.set(Some(sshd.server()));
    sshd.cut_connections();
    let second = file(&sshd.path("etc/second"), 0o600, "second");
    channel.put(&machine(), &[second]).await.unwrap();
    assert!(sshd.path("etc/second").exists());
    assert_eq!(other.logins(), 0);
}

#[tokio::test]
async fn a_refused_key_may_be_accepted_later() {
    let Some(sshd) = Sshd::start() else {
        return skipped();
    };
    let key = new_key();
    let channel = channel(&key, &sshd.known());
    let put = [file(&sshd.path("etc/key"), 0o600, "secret")];
    let error = channel.put(&machine(), &put).await.unwrap_err();
    assert!(error.transient, "{error}");
    assert!(error.to_string().contains("login"), "{error}");
    sshd.admit(&key);
    channel.put(&machine(), &put).await.unwrap();
}

#[tokio::test]
async fn a_booting_machine_has_no_server_yet() {
    let known = Known::new(None);
    let error = channel(&new_key(), &known)
        .put(&machine(), &[])
        .await
        .unwrap_err();
    assert!(error.transient, "{error}");
    assert!(error.to_string().contains("booting"), "{error}");
}

/// A paused machine accepts connections, because its kernel does, but sends nothing.
#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_times_out() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let known = Known::new(Some(SshServer {
        address: [127, 0, 0, 1].into(),
        port: silent.local_addr().unwrap().port(),
        host_keys: vec![new_key().public],
    }));
    let error = channel(&new_key(), &known)
        .put(&machine(), &[])
        .await
        .unwrap_err();
    assert!(error.transient, "{error}");
    assert!(error.to_string().contains("handshake"), "{error}");
}

#[tokio::test]
async fn a_broken_connection_leaves_no_file_and_is_reopened() {
    let Some(sshd) = Sshd::start() else {
        return skipped();
    };
    let proxy = sshd.behind_proxy().await;
    let channel = channel(&sshd.user_key, &Known::new(Some(proxy.server())));
    let small = file(&sshd.path("etc/small"), 0o600, "small");
    channel
        .put(&machine(), std::slice::from_ref(&small))
        .await
        .unwrap();

    let large = file(&sshd.path("etc/large"), 0o600, &"x".repeat(8 << 20));
    let later = file(&sshd.path("etc/later"), 0o600, "starts something");
    proxy.cut_after(1 << 20);
    let put = [large, later];
    let error = channel.put(&machine(), &put).await.unwrap_err();
    assert!(error.transient, "{error}");
    let named = files(&sshd.path("etc"));
    assert!(
        !named
            .iter()
            .any(|name| name.ends_with("/large") || name.ends_with("/later"))
    );
    sshd::eventually("staged files are deleted", async || {
        files(&sshd.path("etc")) == [small.path.clone()]
    })
    .await;

    channel.put(&machine(), &put).await.unwrap();
    assert_eq!(files(&sshd.path("etc")).len(), 3);
}

#[tokio::test]
async fn a_port_of_the_machine_is_reachable_even_after_a_reconnect() {
    let Some(sshd) = Sshd::start() else {
        return skipped();
    };
    // An address that is reachable only from "the machine".
    let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = echo.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = echo.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await.ok();
            });
        }
    });
    let channel = channel(&sshd.user_key, &sshd.known());
    let reference = machine();
    let machine = Machine {
        name: reference.name,
        zone: reference.zone,
        state: MachineState::Running,
        internal_address: Some([127, 0, 0, 1].into()),
        external_address: None,
        alias_addresses: Vec::new(),
        labels: Default::default(),
    };
    let door = channel.reach(&machine, port).await.unwrap();
    assert_eq!(door.machine, machine.name);
    assert_ne!(door.at.port(), port, "it is the tunnel's local port");
    for _ in 0..2 {
        let mut stream = TcpStream::connect(door.at).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "hello");
        assert_eq!(channel.reach(&machine, port).await.unwrap(), door);
        sshd.cut_connections();
    }
    drop(channel);
    sshd::eventually("the local port is closed", async || {
        TcpStream::connect(door.at).await.is_err()
    })
    .await;
}
