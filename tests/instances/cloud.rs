//! The local cloud with machines that boot, and its API and network as clients see them.

use hakube_yard::{Host, Yard, until, until_some};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HAKUBE: &str = env!("CARGO_BIN_EXE_hakube");
pub const PROJECT: &str = "my-project-1234";
pub const ZONE: &str = "europe-west1-b";
pub const REGION: &str = "europe-west1";
/// For things that take a few seconds on an idle machine. The first start also builds an image.
pub const PATIENCE: Duration = Duration::from_secs(180);
const FIRST: Duration = Duration::from_secs(600);

/// A running cloud.
pub struct Cloud {
    pub directory: tempfile::TempDir,
    daemon: Child,
    network: String,
    url: String,
    token: String,
    started: Instant,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.directory.path().join("daemon.log"));
            let log = log.unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(40);
            eprintln!("the daemon's log:\n{}", lines[last..].join("\n"));
        }
        self.end();
    }
}

impl Cloud {
    /// Starts one; `None` if the environment says that this machine can't.
    pub fn start() -> Option<Self> {
        if hakube_yard::without_hosts() {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let daemon = serve(directory.path());
        let mut cloud = Self {
            directory,
            daemon,
            network: String::new(),
            url: String::new(),
            token: String::new(),
            started: Instant::now(),
        };
        cloud.await_served();
        Some(cloud)
    }

    /// Ends the daemon as Ctrl-C does, and starts it again.
    pub fn restart(&mut self) {
        self.end();
        self.daemon = serve(self.directory.path());
        self.await_served();
    }

    fn end(&mut self) {
        let pid = self.daemon.id().to_string();
        drop(Command::new("kill").arg("-TERM").arg(pid).status());
        drop(self.daemon.wait());
    }

    fn await_served(&mut self) {
        let local = self.directory.path().join("local");
        until("the cloud serves", FIRST, || {
            let ended = self.daemon.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon has ended: {ended:?}");
            local.join("daemon.json").exists()
        })
        .unwrap();
        let read = |name: &str| std::fs::read_to_string(local.join(name)).unwrap();
        self.network = read("network").trim().to_owned();
        self.token = read("token").trim().to_owned();
        let daemon: Value = serde_json::from_str(&read("daemon.json")).unwrap();
        self.url = daemon["url"].as_str().unwrap().to_owned();
    }

    /// Prints the current chapter of the test.
    pub fn chapter(&self, what: &str) {
        eprintln!("== {:6.1} s  {what}", self.started.elapsed().as_secs_f64());
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A command in the machines' network, as an operator's.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.network))
            .args(["--", program])
            .stdin(Stdio::null());
        command
    }

    /// A command in the machines' network: its stdout, or all it prints if it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        run(self.command(program).args(arguments))
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let mut command = self.command("curl");
        command
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "150",
                "--request",
                method,
            ])
            .arg("--header")
            .arg(format!("Authorization: Bearer {}", self.token));
        if let Some(body) = body {
            command.args(["--header", "Content-Type: application/json", "--data"]);
            command.arg(body.to_string());
        }
        command.arg(format!("{}/compute/v1/projects/{PROJECT}/{path}", self.url));
        let text = run(&mut command).unwrap();
        let answer: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"));
        assert!(answer["error"].is_null(), "{method} {path}: {answer:#}");
        answer
    }

    pub fn get(&self, path: &str) -> Value {
        self.call("GET", path, None)
    }

    /// Requests a change, and waits until it is made.
    pub fn change(&self, method: &str, path: &str, body: &Value) {
        let mut operation = self.call(method, path, Some(body));
        let scope = path
            .split('/')
            .take(if path.starts_with("global") { 1 } else { 2 });
        let scope = scope.collect::<Vec<_>>().join("/");
        while operation["status"] != "DONE" {
            let name = operation["name"].as_str().unwrap();
            let wait = format!("{scope}/operations/{name}/wait");
            operation = self.call("POST", &wait, Some(&json!({})));
        }
        assert!(
            operation["error"].is_null(),
            "{method} {path}: {operation:#}"
        );
    }

    pub fn post(&self, path: &str, body: &Value) {
        self.change("POST", path, body);
    }

    /// A request that changes nothing.
    pub fn ask(&self, path: &str, body: &Value) -> Value {
        self.call("POST", path, Some(body))
    }

    /// The instance's host in the yard.
    pub fn host(&self, instance: &str) -> Host {
        let host = self.find_host(instance);
        host.unwrap_or_else(|| panic!("{instance} has no host"))
    }

    fn find_host(&self, instance: &str) -> Option<Host> {
        let yard = Yard::all().unwrap().into_iter().find(|yard| {
            let local = self.directory.path().join("local");
            yard.directory().starts_with(local.canonicalize().unwrap())
        });
        let yard = yard.expect("the cloud's yard is open");
        let is_it = |host: &Host| {
            let number = host.name().strip_prefix(&format!("{instance}-"));
            number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit()))
        };
        yard.hosts().into_iter().find(is_it)
    }

    /// Runs a command on an instance: its stdout, or an error.
    pub fn on(&self, instance: &str, command: &[&str]) -> Result<String, String> {
        let host = self.find_host(instance);
        let ran = host.ok_or("it has no host")?.run(command);
        ran.and_then(hakube_yard::Ran::checked)
            .map_err(|error| error.to_string())
    }

    /// Waits until a command succeeds on an instance, with an output that `wanted` accepts.
    pub fn await_on(
        &self,
        instance: &str,
        command: &[&str],
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        let mut last = String::new();
        let found = until_some(&command.join(" "), PATIENCE, || {
            Ok(match self.on(instance, command) {
                Ok(text) if wanted(&text) => Some(text),
                Ok(text) | Err(text) => {
                    last = text;
                    None
                }
            })
        });
        found.unwrap_or_else(|error| panic!("{error}; on {instance} it prints: {last}"))
    }

    /// Waits until cloud-init has carried out everything.
    pub fn await_booted(&self, instance: &str) {
        self.await_on(instance, &["cloud-init", "status"], |text| {
            text.contains("done")
        });
    }

    /// Whether something responds there to an operator with this text within a second or two.
    pub fn answers(&self, url: &str, text: &str) -> bool {
        let answer = self.run("curl", &["--silent", "--max-time", "2", url]);
        answer.is_ok_and(|answer| answer.trim() == text)
    }

    pub fn await_answer(&self, url: &str, text: &str) {
        until(&format!("{url} responds"), PATIENCE, || {
            self.answers(url, text)
        })
        .unwrap();
    }
}

fn serve(home: &Path) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(home.join("daemon.log"))
        .unwrap();
    Command::new(HAKUBE)
        .args([
            "local",
            "serve",
            "--machines",
            "host",
            "--project",
            PROJECT,
            "--home",
        ])
        .arg(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Runs a command: its stdout, or all it prints if it fails.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!(
        "{}: {}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    ))
}

/// An instance of the `default` network, with an external address.
pub fn instance(name: &str, tag: &str, metadata: &[(&str, &str)]) -> Value {
    let items: Vec<Value> = metadata
        .iter()
        .map(|(key, value)| json!({"key": key, "value": value}))
        .collect();
    json!({
        "name": name,
        "machineType": format!("zones/{ZONE}/machineTypes/e2-small"),
        "disks": [{
            "boot": true, "autoDelete": true,
            "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12", "diskSizeGb": "10"},
        }],
        "networkInterfaces": [{
            "network": "global/networks/default",
            "accessConfigs": [{"name": "External NAT", "type": "ONE_TO_ONE_NAT"}],
        }],
        "metadata": {"items": items},
        "tags": {"items": [tag]},
    })
}
