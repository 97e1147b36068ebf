//! An sshd for tests: on loopback, run by the current user, with its own keys.

use super::{machine, new_key};
use crate::ssh::Servers;
use async_trait::async_trait;
use hakube_error::Result;
use hakube_pki::LoginKey;
use hakube_provider::{MachineRef, SshServer};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use russh::keys::{HashAlg, PublicKey};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The path in Debian's package openssh-server.
const PROGRAM: &str = "/usr/sbin/sshd";
const DEADLINE: Duration = Duration::from_secs(20);

/// Printed by tests that can't run here.
pub fn skipped() {
    eprintln!("skipped: there is no {PROGRAM} (package openssh-server)");
}

/// Waits until the condition holds.
pub async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let seen = tokio::time::timeout(DEADLINE, looking).await;
    assert!(seen.is_ok(), "never: {what}");
}

/// What the provider knows about the machine.
#[derive(Clone)]
pub struct Known(Arc<Mutex<Option<SshServer>>>);

impl Known {
    pub fn new(server: Option<SshServer>) -> Self {
        Self(Arc::new(Mutex::new(server)))
    }

    pub fn set(&self, server: Option<SshServer>) {
        *self.0.lock().unwrap() = server;
    }
}

#[async_trait]
impl Servers for Known {
    async fn server(&self, asked: &MachineRef) -> Result<Option<SshServer>> {
        assert_eq!(*asked, machine());
        Ok(self.0.lock().unwrap().clone())
    }
}

/// A server, killed when it is dropped.
pub struct Sshd {
    directory: TempDir,
    process: Child,
    port: u16,
    host_key: String,
    /// The key of an authorized user.
    pub user_key: LoginKey,
}

impl Sshd {
    /// `None` if sshd isn't installed.
    pub fn start() -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            return None;
        }
        if nix::unistd::geteuid().is_root() {
            // Debian's service creates it before start.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        let host = new_key();
        let host_file = directory.path().join("host_key");
        let private = russh::keys::decode_secret_key(host.private.expose(), None).unwrap();
        let pem = private.to_openssh(Default::default()).unwrap();
        std::fs::write(&host_file, pem.as_bytes()).unwrap();
        std::fs::set_permissions(&host_file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(directory.path().join("authorized_keys"), "").unwrap();
        let (process, port) = start(directory.path());
        let sshd = Self {
            directory,
            process,
            port,
            host_key: host.public,
            user_key: new_key(),
        };
        sshd.admit(&sshd.user_key);
        Some(sshd)
    }

    /// Authorizes this key.
    pub fn admit(&self, key: &LoginKey) {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(self.path("authorized_keys"))
            .unwrap();
        writeln!(file, "{}", key.public).unwrap();
    }

    /// A file of "the machine".
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn server(&self) -> SshServer {
        SshServer {
            address: [127, 0, 0, 1].into(),
            port: self.port,
            host_keys: vec![self.host_key.clone()],
        }
    }

    pub fn known(&self) -> Known {
        Known::new(Some(self.server()))
    }

    pub fn host_fingerprint(&self) -> String {
        let key = PublicKey::from_openssh(&self.host_key).unwrap();
        key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The number of logins so far.
    pub fn logins(&self) -> usize {
        let log = std::fs::read_to_string(self.path("log")).unwrap();
        log.matches("Accepted publickey").count()
    }

    /// Kills the processes that serve connections, but not the one that accepts them.
    pub fn cut_connections(&self) {
        for pid in descendants(self.process.id()) {
            // One that has just exited is fine too.
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
    }

    /// The same server behind a proxy that can cut connections.
    pub async fn behind_proxy(&self) -> Proxy {
        Proxy::start(self.server()).await
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut_connections();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A free port may be taken by another process, so several may have to be tried.
fn start(directory: &Path) -> (Child, u16) {
    for _ in 0..20 {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut config = String::new();
        let file = |name: &str| directory.join(name).display().to_string();
        for (option, value) in [
            ("ListenAddress", format!("127.0.0.1:{port}")),
            ("HostKey", file("host_key")),
            ("AuthorizedKeysFile", file("authorized_keys")),
            ("PidFile", "none".to_owned()),
            ("StrictModes", "no".to_owned()),
            ("UsePAM", "no".to_owned()),
            ("PasswordAuthentication", "no".to_owned()),
            ("PermitRootLogin", "prohibit-password".to_owned()),
        ] {
            writeln!(config, "{option} {value}").unwrap();
        }
        std::fs::write(directory.join("config"), config).unwrap();
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let mut process = Command::new(PROGRAM)
            .args(["-D", "-e", "-f", &file("config")])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        while process.try_wait().unwrap().is_none() {
            let said = std::fs::read_to_string(directory.join("log")).unwrap();
            if said.contains("Server listening") {
                return (process, port);
            }
            std::thread::yield_now();
        }
    }
    let said = std::fs::read_to_string(directory.join("log")).unwrap();
    panic!("sshd doesn't start: {said}");
}

/// The descendants of a process.
fn descendants(parent: u32) -> Vec<i32> {
    let children = format!("/proc/{parent}/task/{parent}/children");
    let children = std::fs::read_to_string(children).unwrap_or_default();
    let children: Vec<i32> = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect();
    let below = children
        .iter()
        .flat_map(|pid| descendants(pid.unsigned_abs()));
    below.chain(children.iter().copied()).collect()
}

/// A proxy that can break its client's connection after a number of bytes.
pub struct Proxy {
    server: SshServer,
    to: Known,
    left: Arc<AtomicU64>,
}

impl Proxy {
    async fn start(to: SshServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let server = SshServer {
            port: listener.local_addr().unwrap().port(),
            ..to.clone()
        };
        let allowance = Arc::clone(&left);
        let known = Known::new(Some(to));
        let target = known.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let to = target.0.lock().unwrap().clone().unwrap();
                let upstream = TcpStream::connect((to.address, to.port)).await.unwrap();
                tokio::spawn(relay(client, upstream, Arc::clone(&allowance)));
            }
        });
        Self {
            server,
            to: known,
            left,
        }
    }

    pub fn server(&self) -> SshServer {
        self.server.clone()
    }

    /// Redirects new connections to another server.
    pub fn lead_to(&self, server: SshServer) {
        self.to.set(Some(server));
    }

    /// Breaks the connection after this many more bytes. The next one isn't affected.
    pub fn cut_after(&self, bytes: u64) {
        self.left.store(bytes, Ordering::SeqCst);
    }
}

async fn relay(client: TcpStream, upstream: TcpStream, left: Arc<AtomicU64>) {
    let (mut client_read, mut client_write) = client.into_split();
    let (mut upstream_read, mut upstream_write) = upstream.into_split();
    let down = tokio::io::copy(&mut upstream_read, &mut client_write);
    let up = async {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = client_read.read(&mut buffer).await {
            let count_of_bytes = u64::try_from(count).unwrap();
            let before = left.load(Ordering::SeqCst);
            if before < count_of_bytes {
                left.store(u64::MAX, Ordering::SeqCst);
                return;
            }
            left.store(before - count_of_bytes, Ordering::SeqCst);
            if upstream_write.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = down => {}
        () = up => {}
    }
}
