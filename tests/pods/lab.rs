//! Hosts, a mirror, and hakube and kubectl in their network.

use super::cloud::{self, Cloud};
use super::output::ready;
pub use super::output::run;
use super::state::State;
pub use super::versions::Versions;
use hakube_yard::{Host, HostSpec, Yard, until, until_some};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HAKUBE: &str = env!("CARGO_BIN_EXE_hakube");
/// The address shared by the replicas.
pub const ENDPOINT: &str = "10.77.0.100";
const MIRROR_PORT: &str = "8000";
/// A host boots in a second on an idle machine.
const BOOT: Duration = Duration::from_secs(90);
/// For things that take a few seconds on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Hosts and their surroundings.
pub struct Lab {
    yard: Yard,
    /// The cloud whose instances the hosts are.
    pub cloud: Option<Cloud>,
    directory: PathBuf,
    programs: PathBuf,
    mirror: PathBuf,
    server: Child,
    started: Instant,
    versions: Versions,
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The yard would kill it otherwise.
        drop(self.server.kill());
        drop(self.server.wait());
        if std::thread::panicking() {
            self.tell_what_went_on();
        }
    }
}

impl Lab {
    /// Boots the hosts; `None` if the environment says that this machine can't. Names with r may be
    /// replicas, others are nodes; the digit is the rack.
    pub fn new(name: &str, hosts: &[&str]) -> Option<Self> {
        Self::of(name, hosts, Versions::DEFAULT)
    }

    /// The same with other versions on the hosts.
    pub fn of(name: &str, hosts: &[&str], versions: Versions) -> Option<Self> {
        let built = versions.built()?;
        let yard = Yard::open(name).unwrap();
        let specs: Vec<HostSpec> = hosts.iter().map(|name| HostSpec::new(*name)).collect();
        let booted = yard.boot_all(&specs).unwrap();
        for host in &booted {
            host.wait_booted(BOOT).unwrap();
        }
        let lab = Self::furnished(yard, &built, versions, None);
        std::fs::write(lab.directory.join("hosts.yaml"), lab.inventory(&booted)).unwrap();
        Some(lab)
    }

    /// Instances of the local cloud, which it boots as they are created.
    pub fn in_cloud() -> Option<Self> {
        let versions = Versions::DEFAULT;
        let built = versions.built()?;
        let (cloud, yard) = Cloud::start();
        Some(Self::furnished(yard, &built, versions, Some(cloud)))
    }

    /// A lab in this yard's network, with a mirror.
    fn furnished(yard: Yard, built: &Path, versions: Versions, cloud: Option<Cloud>) -> Self {
        let directory = yard.directory().join("operator");
        std::fs::create_dir(&directory).unwrap();
        let mirror = directory.join("mirror");
        // Links, so a test can replace a file of its own mirror.
        let copied = Command::new("cp")
            .args(["--recursive", "--symbolic-link"])
            .arg(built.join("mirror"))
            .arg(&mirror)
            .status();
        assert!(copied.unwrap().success());
        let mut server = yard.command("python3").unwrap();
        server
            .args(["-m", "http.server", MIRROR_PORT, "--bind", "0.0.0.0"])
            .arg("--directory")
            .arg(&mirror)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let lab = Self {
            yard,
            cloud,
            directory,
            programs: built.join("bin"),
            mirror,
            server: server.spawn().unwrap(),
            started: Instant::now(),
            versions,
        };
        let url = format!("http://10.77.0.1:{MIRROR_PORT}/SHA256SUMS");
        let curl = ["--silent", "--fail", "--output", "/dev/null", &url];
        until("the mirror serves", BOOT, || {
            lab.command("curl", &curl).is_ok()
        })
        .unwrap();
        lab
    }

    fn inventory(&self, hosts: &[Host]) -> String {
        let mut text = format!(
            "ssh: {{user: op, key: {}}}\nendpoint: {ENDPOINT}\nhosts:\n",
            self.yard.ssh_key().display()
        );
        for host in hosts {
            let name = host.name();
            // r1 and n1 are in the first rack, r2 and n2 in the second.
            let rack = match name.as_bytes().last() {
                Some(b'1') => "a",
                Some(b'2') => "b",
                _ => "c",
            };
            let role = if name.starts_with('r') {
                "replica"
            } else {
                "node"
            };
            let key = host.ssh_host_key().unwrap();
            let key: Vec<&str> = key.split_whitespace().take(2).collect();
            writeln!(
                text,
                "- {{name: {name}, address: {}, zone: rack-{rack}, role: {role}, labels: {{example.com/disk: ssd}}, ssh: {{host_key: \"{}\"}}}}",
                host.address(),
                key.join(" ")
            )
            .unwrap();
        }
        text
    }

    /// Changes the hosts' labels in the inventory, in YAML's short form.
    pub fn label_hosts(&self, labels: &str) {
        let file = self.file("hosts.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let changed = text.replace("{example.com/disk: ssd}", labels);
        assert_ne!(text, changed, "they were changed before");
        std::fs::write(file, changed).unwrap();
    }

    /// Prints the current chapter of the test.
    pub fn chapter(&self, what: &str) {
        eprintln!("== {:6.1} s  {what}", self.started.elapsed().as_secs_f64());
    }

    pub fn host(&self, name: &str) -> Host {
        match self.cloud {
            Some(_) => cloud::host(&self.yard, name),
            None => self.yard.host(name).unwrap(),
        }
    }

    pub fn mirror(&self) -> &Path {
        &self.mirror
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A command in the hosts' network.
    pub fn command_in(&self, program: impl AsRef<Path>) -> Command {
        let program = program.as_ref().to_str().unwrap().to_owned();
        self.yard.command(&program).unwrap()
    }

    /// Runs a command. Returns stdout, or both outputs on failure.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        run(self.command_in(program).args(arguments))
    }

    pub fn hakube_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command_in(HAKUBE);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &self.directory)
            .env("HAKUBE_HOME", self.file("home"))
            .env("KUBECONFIG", self.file("kubeconfig"))
            .env("MULTIZONE", "true")
            .env("HAKUBE_TIMEOUT", "120s")
            .env("MIG_WAIT_UNTIL_STABLE_TIMEOUT", "180")
            .stdin(Stdio::null());
        let Versions {
            kubernetes, etcd, ..
        } = self.versions;
        if self.versions != Versions::DEFAULT {
            command.envs([("KUBE_VERSION", kubernetes), ("ETCD_VERSION", etcd)]);
        }
        if let Some(cloud) = &self.cloud {
            command
                .envs(cloud.environment())
                .env("ETCD_VERSION", etcd)
                .env("HAKUBE_TIMEOUT", "240s");
        }
        command
    }

    pub fn hakube(&self, arguments: &[&str]) -> String {
        self.succeeds(&mut self.hakube_command(arguments), arguments)
    }

    /// Any command of hakube; the arguments are for the log.
    pub fn succeeds(&self, command: &mut Command, arguments: &[&str]) -> String {
        let began = Instant::now();
        let output = run(command);
        let text = output.unwrap_or_else(|error| panic!("hakube {}: {error}", arguments.join(" ")));
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("   {seconds:6.1} s  hakube {}", arguments.join(" "));
        text
    }

    /// `hakube`, which must fail; its output.
    pub fn refused(&self, arguments: &[&str]) -> String {
        run(&mut self.hakube_command(arguments)).unwrap_err()
    }

    /// `hakube up` on these hosts, from this mirror.
    pub fn up(&self, arguments: &[&str]) -> String {
        self.up_from("10.77.0.1", arguments)
    }

    /// The same with a mirror that only the operator's host reaches: hosts download through ssh.
    pub fn up_through_ssh(&self, arguments: &[&str]) -> String {
        self.up_from("127.0.0.1", arguments)
    }

    fn up_from(&self, mirror: &str, arguments: &[&str]) -> String {
        let (hosts, sums) = (self.file("hosts.yaml"), self.mirror.join("SHA256SUMS"));
        let url = format!("http://{mirror}:{MIRROR_PORT}");
        let mut all = vec![
            "up",
            "--provider",
            "hosts",
            "--hosts",
            hosts.to_str().unwrap(),
        ];
        all.extend(["--mirror", &url, "--sha256sums", sums.to_str().unwrap()]);
        all.extend(arguments);
        self.hakube(&all)
    }

    /// `hakube up` on the cloud's instances, from this mirror.
    pub fn up_in_cloud(&self, arguments: &[&str]) -> String {
        let sums = self.mirror.join("SHA256SUMS");
        let url = format!("http://10.77.0.1:{MIRROR_PORT}");
        let mut all = vec![
            "up",
            "--mirror",
            &url,
            "--sha256sums",
            sums.to_str().unwrap(),
        ];
        all.extend(arguments);
        self.hakube(&all)
    }

    /// The same on hosts, which must fail; its output.
    pub fn fails(&self, arguments: &[&str]) -> String {
        let (hosts, sums) = (self.file("hosts.yaml"), self.mirror.join("SHA256SUMS"));
        let url = format!("http://10.77.0.1:{MIRROR_PORT}");
        let mut all = arguments.to_vec();
        all.extend(["--provider", "hosts", "--hosts", hosts.to_str().unwrap()]);
        all.extend(["--mirror", &url, "--sha256sums", sums.to_str().unwrap()]);
        run(&mut self.hakube_command(&all)).unwrap_err()
    }

    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.command_in(self.programs.join("kubectl"));
        command
            .arg("--request-timeout=20s")
            .args(arguments)
            .env("KUBECONFIG", self.file("kubeconfig"))
            .stdin(Stdio::null());
        run(&mut command)
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments)
            .unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
    }

    /// Waits until all pods of a workload match its spec and are ready.
    pub fn rolled_out(&self, workload: &str) {
        self.kubectl(&["rollout", "status", workload, "--timeout=120s"]);
    }

    /// `kubectl`, until it succeeds with an output that `wanted` accepts.
    pub fn await_kubectl(
        &self,
        what: &str,
        arguments: &[&str],
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        let mut last = String::new();
        let found = until_some(what, PATIENCE, || {
            Ok(match self.try_kubectl(arguments) {
                Ok(text) if wanted(&text) => Some(text),
                Ok(text) | Err(text) => {
                    last = text;
                    None
                }
            })
        });
        found.unwrap_or_else(|error| {
            panic!("{error}; kubectl {} prints: {last}", arguments.join(" "))
        })
    }

    pub fn kubectl_program(&self) -> PathBuf {
        self.program("kubectl")
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    pub fn yard(&self) -> &Yard {
        &self.yard
    }

    /// The administrator's keys as files. Returns their path prefix, before `.ca`, `.crt` and `.key`.
    pub fn keys_of_admin(&self) -> PathBuf {
        let stem = self.file("admin");
        for (field, ending) in [
            ("clusters[0].cluster.certificate-authority-data", "ca"),
            ("users[0].user.client-certificate-data", "crt"),
            ("users[0].user.client-key-data", "key"),
        ] {
            let path = format!("--output=jsonpath={{.{field}}}");
            let text = self.kubectl(&["config", "view", "--raw", "--minify", &path]);
            let decoded =
                run(Command::new("sh").args(["-c", "printf %s \"$0\" | base64 --decode", &text]));
            std::fs::write(stem.with_extension(ending), decoded.unwrap()).unwrap();
        }
        stem
    }

    /// The endpoint's address and port.
    pub fn endpoint(&self) -> String {
        let path = "--output=jsonpath={.clusters[0].cluster.server}";
        let url = self.kubectl(&["config", "view", "--minify", path]);
        url.trim_start_matches("https://").to_owned()
    }

    /// The URL of a replica's own API server.
    pub fn api_server(&self, replica: &str) -> String {
        let path = "--output=jsonpath={.status.addresses[?(@.type==\"InternalIP\")].address}";
        let address = self.kubectl(&["get", "node", replica, path]);
        let endpoint = self.endpoint();
        let port = endpoint.rsplit(':').next().unwrap();
        format!("https://{address}:{port}")
    }

    pub fn ready_nodes(&self) -> Vec<String> {
        ready(&self.kubectl(&["get", "nodes", "--no-headers"]))
    }

    pub fn await_ready(&self, names: &[&str]) {
        self.await_kubectl(
            "the nodes are ready",
            &["get", "nodes", "--no-headers"],
            |text| ready(text) == names,
        );
    }

    /// Waits for this many healthy voting members of etcd.
    pub fn await_voters(&self, count: usize) {
        let mut last = String::new();
        let found = until("all members of etcd are healthy", PATIENCE, || {
            let mut status = self.hakube_command(&["status", "--output", "json"]);
            last = run(&mut status).unwrap_or_else(|error| error);
            let status: serde_json::Value = serde_json::from_str(&last).unwrap_or_default();
            let quorum = &status["quorum"];
            quorum["voters"] == count && quorum["healthy"] == count
        });
        found.unwrap_or_else(|error| panic!("{error}; hakube status prints: {last}"));
    }

    /// Waits until clients get a response at the endpoint.
    pub fn await_api(&self, what: &str) {
        self.await_kubectl(what, &["get", "--raw=/readyz"], |text| text == "ok");
    }

    /// The host that has the endpoint's address.
    pub fn holder(&self, hosts: &[&str]) -> String {
        let has_it = |name: &&&str| {
            let shown = self
                .host(name)
                .run(&["ip", "-o", "address", "show", "to", ENDPOINT]);
            shown.unwrap().checked().unwrap().contains(ENDPOINT)
        };
        hosts
            .iter()
            .find(has_it)
            .expect("no host has the address")
            .to_string()
    }

    pub fn states(&self) -> BTreeMap<String, State> {
        let hosts = self.yard.hosts();
        hosts
            .iter()
            .map(|host| (host.name().to_owned(), State::of(host)))
            .collect()
    }

    pub fn state(&self, name: &str) -> State {
        State::of(&self.host(name))
    }

    pub fn await_free(&self, name: &str, patience: Duration) {
        let host = self.host(name);
        until("the host is released", patience, || {
            host.run(&["test", "!", "-e", "/etc/hakube"])
                .is_ok_and(|ran| ran.status.success())
        })
        .unwrap();
    }

    /// Replaces an image, whose checksum no longer matches the list.
    pub fn exchange_image(&self, name: &str) {
        let images = std::fs::read_dir(self.mirror.join("images")).unwrap();
        let mut files = images.map(|entry| entry.unwrap().path());
        let file = files
            .find(|path| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with(name)
            })
            .unwrap();
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "another image").unwrap();
    }

    /// Prints logs after a failed test.
    fn tell_what_went_on(&self) {
        for arguments in [
            &["get", "nodes,pods", "--all-namespaces", "--output=wide"][..],
            &[
                "get",
                "events",
                "--all-namespaces",
                "--sort-by=.lastTimestamp",
            ],
        ] {
            let text = self.try_kubectl(arguments).unwrap_or_else(|error| error);
            let lines: Vec<&str> = text.lines().collect();
            let last = lines.len().saturating_sub(40);
            eprintln!(
                "$ kubectl {}\n{}",
                arguments.join(" "),
                lines[last..].join("\n")
            );
        }
        for host in self.yard.hosts() {
            let failed = host.run(&["systemctl", "list-units", "--failed", "--no-legend"]);
            if let Ok(failed) = failed {
                eprintln!("{}: failed units: {}", host.name(), failed.stdout.trim());
            }
        }
    }
}
