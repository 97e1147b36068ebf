//! A replica's worth of processes on an address of their own: etcd with mTLS, and stand-ins.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod pki;

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` gives something.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "{what}: not within {DEADLINE:?}"
        );
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// A child process that doesn't outlive its test.
pub struct Process {
    child: Child,
    pub log: PathBuf,
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
        self.child.wait().unwrap().code()
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

/// A machine of the test's own: a directory, a loopback address, certificates.
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

    /// An etcd of one member.
    pub fn etcd(&self) -> Process {
        self.etcd_member("a", &format!("a={}", self.peer_url()), "new")
    }

    pub fn peer_url(&self) -> String {
        format!("http://{}:2380", self.ip)
    }

    /// A member of the cluster that `members` (`name=url,…`) is.
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
            "--unsafe-no-fsync".to_owned(),
        ];
        // Flags that the packaged etcd doesn't know would keep it from starting.
        let args: Vec<String> = args
            .into_iter()
            .filter(|arg| arg != "--unsafe-no-fsync")
            .collect();
        Process::start("etcd", &args, self.dir.path().join("etcd.log"))
    }

    pub fn api_server(&self, more: &[&str]) -> Process {
        let mut args = vec![
            "kube-apiserver".to_owned(),
            "--stand-in-version=v1.36.0".to_owned(),
            format!("--bind-address={}", self.ip),
            format!("--advertise-address={}", self.ip),
            "--secure-port=6443".to_owned(),
            format!("--etcd-servers=https://{}:2379", self.ip),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-bootstrap-token-auth=true".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
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

    pub fn url(&self) -> String {
        format!("https://{}:6443", self.ip)
    }

    pub fn wait_ready(&self) {
        let client = self.http(None);
        wait_for("/readyz", || {
            client
                .get("/readyz", None)
                .filter(|answer| answer.code == 200)
        });
    }

    /// A client with the certificate of `identity` (a name that the PKI made), or none.
    pub fn http(&self, identity: Option<&str>) -> Http {
        let mut base = vec!["--cacert".to_owned(), self.file("ca.crt")];
        if let Some(name) = identity {
            base.extend(["--cert".to_owned(), self.file(&format!("{name}.crt"))]);
            base.extend(["--key".to_owned(), self.file(&format!("{name}.key"))]);
        }
        Http {
            base,
            url: self.url(),
        }
    }

    pub fn admin(&self) -> Http {
        self.http(Some("admin"))
    }

    pub fn kubectl(&self, program: &Path, args: &[&str]) -> Output {
        self.kubectl_command(program, args).output().unwrap()
    }

    pub fn kubectl_command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .arg(format!("--kubeconfig={}", self.file("admin.kubeconfig")))
            .arg(format!("--cache-dir={}", self.file("cache")))
            .env("HOME", self.dir.path())
            .stdin(Stdio::null());
        command
    }
}

/// etcd and an API server, ready.
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

/// Somewhere in 127.0.0.0/8 where nobody listens on the ports that a replica needs.
fn free_address() -> Ipv4Addr {
    wait_for("a free loopback address", || {
        let [_, a, b, c] = rand::random::<[u8; 4]>();
        let ip = Ipv4Addr::new(127, a | 1, b, c.clamp(1, 254));
        [2379, 2380, 6443, 10257, 10259]
            .iter()
            .all(|port| TcpListener::bind((ip, *port)).is_ok())
            .then_some(ip)
    })
}

/// An answer of the API server.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub fn reason(&self) -> String {
        self.json()["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub fn message(&self) -> String {
        self.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// HTTP by curl: an implementation of TLS and HTTP that isn't ours.
pub struct Http {
    base: Vec<String>,
    url: String,
}

impl Http {
    /// `None` when there is no answer at all.
    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: Option<&Value>,
    ) -> Option<Answer> {
        let mut command = Command::new("curl");
        command
            .args([
                "-sS",
                "--max-time",
                "20",
                "-w",
                "\n%{http_code}",
                "-X",
                method,
            ])
            .args(&self.base);
        for header in headers {
            command.args(["-H", header]);
        }
        if let Some(body) = body {
            command.args(["-d", &body.to_string()]);
            if !headers
                .iter()
                .any(|header| header.to_lowercase().starts_with("content-type"))
            {
                command.args(["-H", "Content-Type: application/json"]);
            }
        }
        let output = command
            .arg(format!("{}{path}", self.url))
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (text, code) = text.rsplit_once('\n')?;
        let code = code.parse().unwrap();
        (code != 0).then(|| Answer {
            code,
            text: text.to_owned(),
        })
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: Option<&Value>,
    ) -> Answer {
        self.try_request(method, path, headers, body)
            .unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    pub fn get(&self, path: &str, bearer: Option<&str>) -> Option<Answer> {
        match bearer {
            Some(token) => self.try_request(
                "GET",
                path,
                &[&format!("Authorization: Bearer {token}")],
                None,
            ),
            None => self.try_request("GET", path, &[], None),
        }
    }

    /// Follows a watch; its lines as they are when `enough` says so.
    pub fn watch_until(&self, path: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        Watch::start(self, path).until(enough)
    }

    pub fn fetch(&self, path: &str) -> Answer {
        self.request("GET", path, &[], None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, &[], Some(body))
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.request("PUT", path, &[], Some(body))
    }

    pub fn patch(&self, path: &str, kind: &str, body: &Value) -> Answer {
        self.request(
            "PATCH",
            path,
            &[&format!("Content-Type: application/{kind}")],
            Some(body),
        )
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &[], None)
    }
}

/// A watch under way.
pub struct Watch {
    process: Process,
    _dir: TempDir,
}

impl Watch {
    pub fn start(http: &Http, path: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut args = vec!["-sN".to_owned(), "--max-time".to_owned(), "60".to_owned()];
        args.extend(http.base.iter().cloned());
        args.push(format!("{}{path}", http.url));
        Self {
            process: Process::start("curl", &args, dir.path().join("events")),
            _dir: dir,
        }
    }

    /// The events so far; only whole lines.
    pub fn events(&self) -> Vec<Value> {
        let text = self.process.log();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub fn until(&self, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        wait_for("watch events", || {
            Some(self.events()).filter(|events| enough(events))
        })
    }
}

/// `TYPE name` of each event.
pub fn brief(events: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events
        .iter()
        .map(|event| {
            format!(
                "{} {}",
                text(&event["type"]),
                text(&event["object"]["metadata"]["name"])
            )
        })
        .collect()
}
