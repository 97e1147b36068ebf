//! The processes of a replica on a separate address: etcd with mTLS, and stand-ins.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod pki;

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `condition` returns a value.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// A child process that is killed at the end of its test.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn start(program: impl AsRef<Path>, args: &[String], log: PathBuf) -> Self {
        let out = File::create(&log).unwrap();
        let child = Command::new(program.as_ref())
            .args(args)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.as_ref().display()));
        Self { child, log }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn terminate(&mut self) -> Option<i32> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.exit_code()
    }

    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A test's own machine: a directory, a loopback address, certificates.
pub struct Machine {
    pub dir: TempDir,
    pub ip: Ipv4Addr,
    pub pki: pki::Pki,
}

impl Machine {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("hakube-standins-")
            .tempdir()
            .unwrap();
        let ip = free_address();
        let pki = pki::Pki::new(dir.path(), IpAddr::V4(ip));
        Self { dir, ip, pki }
    }

    pub fn file(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    /// Starts an etcd with one member.
    pub fn etcd(&self) -> Process {
        self.etcd_member("a", &format!("a={}", self.peer_url()), "new")
    }

    pub fn peer_url(&self) -> String {
        format!("http://{}:2380", self.ip)
    }

    /// Starts a member of the cluster `members` (`name=url,…`).
    pub fn etcd_member(&self, name: &str, members: &str, state: &str) -> Process {
        let ip = self.ip;
        let args = [
            format!("--name={name}"),
            format!("--data-dir={}", self.file("etcd")),
            format!("--listen-client-urls=https://{ip}:2379"),
            format!("--advertise-client-urls=https://{ip}:2379"),
            format!("--listen-peer-urls={}", self.peer_url()),
            format!("--initial-advertise-peer-urls={}", self.peer_url()),
            format!("--initial-cluster={members}"),
            format!("--initial-cluster-state={state}"),
            format!("--cert-file={}", self.file("etcd.crt")),
            format!("--key-file={}", self.file("etcd.key")),
            format!("--trusted-ca-file={}", self.file("etcd-ca.crt")),
            "--client-cert-auth".to_owned(),
        ];
        Process::start("etcd", &args, self.dir.path().join("etcd.log"))
    }

    pub fn api_server(&self, more: &[&str]) -> Process {
        let mut args = vec![
            "kube-apiserver".to_owned(),
            "--stand-in-version=v1.36.0".to_owned(),
            format!("--bind-address={}", self.ip),
            "--secure-port=6443".to_owned(),
            format!("--etcd-servers=https://{}:2379", self.ip),
            "--enable-bootstrap-token-auth=true".to_owned(),
        ];
        for (flag, file) in [
            ("tls-cert-file", "apiserver.crt"),
            ("tls-private-key-file", "apiserver.key"),
            ("client-ca-file", "ca.crt"),
            ("etcd-cafile", "etcd-ca.crt"),
            ("etcd-certfile", "etcd-client.crt"),
            ("etcd-keyfile", "etcd-client.key"),
        ] {
            args.push(format!("--{flag}={}", self.file(file)));
        }
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        self.stand_in(&args)
    }

    pub fn stand_in(&self, args: &[String]) -> Process {
        let log = self.dir.path().join(format!("{}.log", args[0]));
        Process::start(env!("CARGO_BIN_EXE_hakube-stand-in"), args, log)
    }

    pub fn wait_ready(&self) {
        let client = self.http(None);
        wait_for("/readyz", || {
            let answer = client.try_request("GET", "/readyz", &[], None)?;
            (answer.code == 200).then_some(())
        });
    }

    /// A client with the certificate of `identity` (a name of the PKI), or without one.
    pub fn http(&self, identity: Option<&str>) -> Http {
        let mut base = vec!["--cacert".to_owned(), self.file("ca.crt")];
        if let Some(name) = identity {
            base.extend(["--cert".to_owned(), self.file(&format!("{name}.crt"))]);
            base.extend(["--key".to_owned(), self.file(&format!("{name}.key"))]);
        }
        Http {
            base,
            url: format!("https://{}:6443", self.ip),
        }
    }

    pub fn admin(&self) -> Http {
        self.http(Some("admin"))
    }
}

/// etcd and an API server, both ready.
pub struct ControlPlane {
    pub etcd: Process,
    pub api: Process,
    pub machine: Machine,
}

impl ControlPlane {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(flags: &[&str]) -> Self {
        let machine = Machine::new();
        let etcd = machine.etcd();
        let api = machine.api_server(flags);
        machine.wait_ready();
        Self { etcd, api, machine }
    }
}

/// An address in 127.0.0.0/8 on which a replica's ports are free.
fn free_address() -> Ipv4Addr {
    wait_for("a free loopback address", || {
        let [_, a, b, c] = rand::random::<[u8; 4]>();
        let ip = Ipv4Addr::new(127, a | 1, b, c.clamp(1, 254));
        [2379, 2380, 6443]
            .iter()
            .all(|port| TcpListener::bind((ip, *port)).is_ok())
            .then_some(ip)
    })
}

#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    /// A field of a `Status`.
    pub fn said(&self, field: &str) -> String {
        self.json()[field].as_str().unwrap_or_default().to_owned()
    }
}

/// HTTP by curl: an independent implementation of TLS and HTTP.
pub struct Http {
    base: Vec<String>,
    url: String,
}

impl Http {
    /// Sends a request; `None` without a response.
    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: Option<&Value>,
    ) -> Option<Answer> {
        let mut command = Command::new("curl");
        command
            .args(["-sS", "--max-time", "20", "-w", "\n%{http_code}"])
            .args(["-X", method])
            .args(&self.base);
        for header in headers {
            command.args(["-H", header]);
        }
        if let Some(body) = body {
            command.args(["-d", &body.to_string()]);
        }
        let output = command
            .arg(format!("{}{path}", self.url))
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (text, code) = text.rsplit_once('\n')?;
        let (code, text) = (code.parse().unwrap(), text.to_owned());
        (code != 0).then_some(Answer { code, text })
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: Option<&Value>,
    ) -> Answer {
        self.try_request(method, path, headers, body)
            .unwrap_or_else(|| panic!("{method} {path}: no response"))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], None)
    }

    /// With a bearer token.
    pub fn get_as(&self, token: &str, path: &str) -> u16 {
        let header = format!("Authorization: Bearer {token}");
        self.request("GET", path, &[&header], None).code
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(
            "POST",
            path,
            &["Content-Type: application/json"],
            Some(body),
        )
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.request("PUT", path, &["Content-Type: application/json"], Some(body))
    }

    /// A merge patch.
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        let kind = "Content-Type: application/merge-patch+json";
        self.request("PATCH", path, &[kind], Some(body))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &[], None)
    }
}
