//! Hosts, a mirror, and hakube and kubectl in their network.

use super::state::State;
use hakube_yard::{Host, HostSpec, Yard, until, until_some};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HAKUBE: &str = env!("CARGO_BIN_EXE_hakube");
/// The address that replicas share.
pub const ENDPOINT: &str = "10.77.0.100";
const MIRROR_PORT: &str = "8000";
/// A host boots in a second; the whole of a busy machine's patience.
const BOOT: Duration = Duration::from_secs(90);
/// For what takes a few seconds on a quiet machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Hosts and everything beside them.
pub struct Lab {
    yard: Yard,
    directory: PathBuf,
    programs: PathBuf,
    mirror: PathBuf,
    server: Child,
    started: Instant,
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The yard ends it otherwise.
        drop(self.server.kill());
        drop(self.server.wait());
        if std::thread::panicking() {
            self.tell_what_went_on();
        }
    }
}

impl Lab {
    /// Boots the hosts; `None` where this machine is said to make none. Names that start with r may be replicas, others
    /// nodes; the digit says which rack.
    pub fn new(name: &str, hosts: &[&str]) -> Option<Self> {
        const WITHOUT: &str = "HAKUBE_TESTS_WITHOUT_KUBERNETES";
        if hakube_yard::without_hosts() || std::env::var_os(WITHOUT).is_some() {
            return None;
        }
        let built = std::env::var_os("HAKUBE_TEST_KUBERNETES").map(PathBuf::from);
        let built = built.unwrap_or_else(|| {
            panic!("HAKUBE_TEST_KUBERNETES isn't set to what scripts/lib/kubernetes-programs prints: run scripts/test pods, or set {WITHOUT}=1")
        });
        let yard = Yard::open(name).unwrap();
        let specs: Vec<HostSpec> = hosts.iter().map(|name| HostSpec::new(*name)).collect();
        let booted = yard.boot_all(&specs).unwrap();
        for host in &booted {
            host.wait_booted(BOOT).unwrap();
        }
        let directory = yard.directory().join("operator");
        std::fs::create_dir(&directory).unwrap();
        let mirror = directory.join("mirror");
        // Links, so that a test may exchange a file of its own mirror.
        let copied = Command::new("cp")
            .args(["--recursive", "--symbolic-link"])
            .arg(built.join("mirror"))
            .arg(&mirror)
            .status();
        assert!(copied.unwrap().success());
        let server = yard
            .command("python3")
            .unwrap()
            .args([
                "-m",
                "http.server",
                MIRROR_PORT,
                "--bind",
                "0.0.0.0",
                "--directory",
            ])
            .arg(&mirror)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lab = Self {
            yard,
            directory,
            programs: built.join("bin"),
            mirror,
            server,
            started: Instant::now(),
        };
        std::fs::write(lab.directory.join("hosts.yaml"), lab.inventory(&booted)).unwrap();
        let url = format!("http://10.77.0.1:{MIRROR_PORT}/SHA256SUMS");
        until("the mirror serves", BOOT, || {
            let answer = lab.command(
                "curl",
                &["--silent", "--fail", "--output", "/dev/null", &url],
            );
            answer.is_ok()
        })
        .unwrap();
        Some(lab)
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

    /// The hosts have these labels in the inventory from here on, in YAML's short form.
    pub fn label_hosts(&self, labels: &str) {
        let file = self.file("hosts.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let changed = text.replace("{example.com/disk: ssd}", labels);
        assert_ne!(text, changed, "they were changed before");
        std::fs::write(file, changed).unwrap();
    }

    /// Says where the story is, for who reads its output.
    pub fn chapter(&self, what: &str) {
        eprintln!("== {:6.1} s  {what}", self.started.elapsed().as_secs_f64());
    }

    pub fn host(&self, name: &str) -> Host {
        self.yard.host(name).unwrap()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A command in the hosts' network.
    pub fn command_in(&self, program: impl AsRef<Path>) -> Command {
        let program = program.as_ref().to_str().unwrap().to_owned();
        self.yard.command(&program).unwrap()
    }

    /// Runs one; what it said on its standard output, or on both.
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
            .env("KUBE_VERSION", "v1.36.3")
            .env("HAKUBE_TIMEOUT", "120s")
            .env("MIG_WAIT_UNTIL_STABLE_TIMEOUT", "180")
            .stdin(Stdio::null());
        command
    }

    /// `hakube`, which succeeds.
    pub fn hakube(&self, arguments: &[&str]) -> String {
        let began = Instant::now();
        let output = run(&mut self.hakube_command(arguments));
        let text = output.unwrap_or_else(|error| panic!("hakube {}: {error}", arguments.join(" ")));
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("   {seconds:6.1} s  hakube {}", arguments.join(" "));
        text
    }

    /// `hakube`, which fails; what it said.
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

    /// The same, which fails; what it said.
    pub fn fails(&self, arguments: &[&str]) -> String {
        let (hosts, sums) = (self.file("hosts.yaml"), self.mirror.join("SHA256SUMS"));
        let url = format!("http://10.77.0.1:{MIRROR_PORT}");
        let mut all = arguments.to_vec();
        all.extend(["--provider", "hosts", "--hosts", hosts.to_str().unwrap()]);
        all.extend(["--mirror", &url, "--sha256sums", sums.to_str().unwrap()]);
        run(&mut self.hakube_command(&all)).unwrap_err()
    }

    /// `kubectl`, once.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.command_in(self.programs.join("kubectl"));
        command
            .arg("--request-timeout=20s")
            .args(arguments)
            .env("KUBECONFIG", self.file("kubeconfig"))
            .stdin(Stdio::null());
        run(&mut command)
    }

    /// `kubectl`, which succeeds.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments)
            .unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
    }

    /// Waits until all pods of a workload are as it says, and ready.
    pub fn rolled_out(&self, workload: &str) {
        self.kubectl(&["rollout", "status", workload, "--timeout=120s"]);
    }

    /// `kubectl`, until it succeeds and says what is wanted.
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
        found
            .unwrap_or_else(|error| panic!("{error}; kubectl {} says: {last}", arguments.join(" ")))
    }

    pub fn kubectl_program(&self) -> PathBuf {
        self.programs.join("kubectl")
    }

    /// The names of the nodes that are ready, sorted.
    pub fn ready_nodes(&self) -> Vec<String> {
        ready(&self.kubectl(&["get", "nodes", "--no-headers"]))
    }

    /// Waits until exactly these nodes are ready.
    pub fn await_ready(&self, names: &[&str]) {
        self.await_kubectl(
            "the nodes are ready",
            &["get", "nodes", "--no-headers"],
            |text| ready(text) == names,
        );
    }

    /// Waits until that many members of etcd vote and are well.
    pub fn await_voters(&self, count: usize) {
        let wanted = format!("etcd: {count} of {count} voters healthy");
        let mut last = String::new();
        let found = until("all members of etcd are well", PATIENCE, || {
            last = run(&mut self.hakube_command(&["status"])).unwrap_or_else(|error| error);
            last.contains(&wanted)
        });
        found.unwrap_or_else(|error| panic!("{error}; hakube status says: {last}"));
    }

    /// Waits until clients have an answer at the endpoint.
    pub fn await_api(&self, what: &str) {
        self.await_kubectl(what, &["get", "--raw=/readyz"], |text| text == "ok");
    }

    /// The host that has the endpoint's address at the moment.
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
            .expect("nobody has the address")
            .to_string()
    }

    /// What every host is like at the moment.
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

    /// Waits until no cluster has the host.
    pub fn await_free(&self, name: &str, patience: Duration) {
        let host = self.host(name);
        until("the host is given back", patience, || {
            host.run(&["test", "!", "-e", "/etc/hakube"])
                .is_ok_and(|ran| ran.status.success())
        })
        .unwrap();
    }

    /// Another image takes the place of the one that the list of sums speaks of.
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

    /// For a story that ended badly.
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

fn ready(nodes: &str) -> Vec<String> {
    let lines = nodes
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut names: Vec<String> = lines
        .filter(|words| words.get(1) == Some(&"Ready"))
        .map(|words| words[0].to_owned())
        .collect();
    names.sort();
    names
}

/// Its standard output; both outputs where it failed.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!(
        "{}: {text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    ))
}
