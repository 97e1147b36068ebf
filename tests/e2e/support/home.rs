//! A HAKUBE_HOME of a test's own, and hakube run in it.

use super::outcome::Outcome;
use super::processes::Process;
use super::wait::{DEADLINE, eventually};
use hakube_local::LocalCloud;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// What a command may find in PATH: etcd; what the local cloud starts processes with; and no Kubernetes,
/// so that the stand-ins run on every machine.
const PROGRAMS: [&str; 3] = ["etcd", "setsid", "setpriv"];

/// The built program.
pub const HAKUBE: &str = env!("CARGO_BIN_EXE_hakube");

/// A directory with everything that hakube keeps. When it is dropped, in a panic too, no process of it
/// is left.
pub struct Home {
    directory: TempDir,
    environment: BTreeMap<String, String>,
}

impl Home {
    /// An empty one.
    pub fn new() -> Self {
        // The clients of these tests; the one failure is that it is installed already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let directory = tempfile::Builder::new()
            .prefix("hakube-")
            .tempdir()
            .unwrap();
        let programs = directory.path().join("bin");
        std::fs::create_dir(&programs).unwrap();
        for name in PROGRAMS {
            let file = find_in_path(name).unwrap_or_else(|| {
                panic!("these tests need {name} in PATH (etcd: apt-get install etcd-server)")
            });
            symlink(file, programs.join(name)).unwrap();
        }
        let mut home = Self {
            directory,
            environment: BTreeMap::new(),
        };
        let paths = [
            ("PATH", programs),
            ("HOME", home.directory.path().join("user")),
            ("HAKUBE_HOME", home.path()),
            ("KUBECONFIG", home.kubeconfig()),
        ];
        for (name, path) in paths {
            home.set(name, path.to_str().unwrap());
        }
        home.set("HAKUBE_TIMEOUT", "60s");
        // Nothing is downloaded in tests but from servers of their own.
        home.set("HAKUBE_STAND_INS", "true");
        if let Ok(directory) = std::env::var("LOCAL_CLOUD_EXCHANGES") {
            home.set("LOCAL_CLOUD_EXCHANGES", &directory);
        }
        home
    }

    /// HAKUBE_HOME.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("hakube")
    }

    /// KUBECONFIG.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Beside HAKUBE_HOME, for whatever else a test needs.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Sets a variable for every command from here on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Runs `hakube` with these arguments, separated by spaces, to its end.
    pub async fn run(&self, arguments: &str) -> Outcome {
        self.run_with(&[], arguments).await
    }

    /// The same, with more in the environment.
    pub async fn run_with(&self, environment: &[(&str, &str)], arguments: &str) -> Outcome {
        self.start_with(environment, arguments).end().await
    }

    /// The same, where every write to a file fails.
    pub async fn run_where_no_file_can_grow(&self, arguments: &str) -> Outcome {
        let script = r#"trap "" XFSZ; ulimit -f 0; exec "$@""#;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script, "sh", HAKUBE])
            .args(arguments.split_whitespace());
        self.spawn(command, &[], arguments).end().await
    }

    /// The same, where what it prints can't be written.
    pub async fn run_with_lost_output(&self, arguments: &str) -> Outcome {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"exec "$@" >/dev/full"#, "sh", HAKUBE])
            .args(arguments.split_whitespace());
        self.spawn(command, &[], arguments).end().await
    }

    /// Starts `hakube` with these arguments, and lets it run.
    pub fn start(&self, arguments: &str) -> Running {
        self.start_with(&[], arguments)
    }

    fn start_with(&self, environment: &[(&str, &str)], arguments: &str) -> Running {
        let mut command = Command::new(HAKUBE);
        command.args(arguments.split_whitespace());
        self.spawn(command, environment, arguments)
    }

    fn spawn(
        &self,
        mut command: Command,
        environment: &[(&str, &str)],
        arguments: &str,
    ) -> Running {
        let mut child = command
            .env_clear()
            .envs(&self.environment)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let words = environment
            .iter()
            .map(|(name, value)| format!("{name}={value} "));
        let command = words.collect::<String>() + "hakube " + arguments;
        Running {
            child,
            lines,
            command,
            stdout: String::new(),
        }
    }

    /// `status -o json`.
    pub async fn status(&self) -> Value {
        self.run("status -o json").await.succeeded().json()
    }

    /// Cuts a machine's power.
    pub async fn kill_machine(&self, name: &str) {
        self.run(&format!("local kill {name}")).await.succeeded();
    }

    /// The root directory of a machine.
    pub fn machine_root(&self, zone: &str, name: &str) -> PathBuf {
        self.path()
            .join("local/machines")
            .join(zone)
            .join(name)
            .join("root")
    }

    /// Its local cloud, for fault rules and the log of requests.
    pub fn cloud(&self) -> LocalCloud {
        LocalCloud::at(self.path().join("local"))
    }

    /// Its processes.
    pub fn processes(&self) -> Vec<Process> {
        Process::all_of(&self.path())
    }

    /// After a stop there is none. (The daemon gives its lock back a moment before it ends.)
    pub async fn await_no_process(&self) {
        eventually("no process of the home is left", async || {
            self.processes().is_empty().then_some(())
        })
        .await;
    }

    /// What the daemon and the machines' inits said, for whoever looks into a failure.
    fn print_logs(&self) {
        let local = self.path().join("local");
        let directories = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten();
        let zones = directories(local.join("machines"));
        let machines = zones.flat_map(|zone| directories(zone.path()));
        let consoles = machines.map(|machine| machine.path().join("console.log"));
        for file in std::iter::once(local.join("daemon.log")).chain(consoles) {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            eprintln!("--- {}\n{text}", file.display());
        }
    }

    /// The ids of its etcds.
    pub fn etcds(&self) -> std::collections::BTreeSet<i32> {
        Process::etcds_of(&self.path())
    }
}

impl Drop for Home {
    /// Power off, not `hakube local stop`: this must work when hakube doesn't. That nothing survives a
    /// proper stop is a test of its own.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        let left = Process::kill_all_of(&self.path());
        if !std::thread::panicking() {
            assert!(
                left.is_empty(),
                "these didn't even go with SIGKILL: {left:#?}"
            );
        }
    }
}

/// A command that runs.
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    command: String,
    stdout: String,
}

impl Running {
    /// Reads its events until a step begins whose key starts like this.
    ///
    /// # Panics
    /// It ends before.
    pub async fn until_step(&mut self, key: &str) {
        let reading = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.stdout += &format!("{line}\n");
                let event: Value = serde_json::from_str(&line).unwrap();
                let step = event["step"].as_str().unwrap_or_default();
                if event["event"] == "step_started" && step.starts_with(key) {
                    return true;
                }
            }
            false
        };
        let reached = tokio::time::timeout(DEADLINE, reading).await;
        let Self {
            command, stdout, ..
        } = self;
        assert_eq!(
            reached,
            Ok(true),
            "`{command}` began no step {key}: {stdout}"
        );
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it was waited for")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self
            .child
            .id()
            .expect("it was waited for")
            .try_into()
            .unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It doesn't end.
    pub async fn end(self) -> Outcome {
        self.end_within(2 * DEADLINE).await
    }

    /// The same, where more takes longer: machines that boot.
    pub async fn end_within(mut self, deadline: Duration) -> Outcome {
        let mut stderr = String::new();
        let mut talk = self.child.stderr.take().unwrap();
        let reading = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.stdout += &format!("{line}\n");
            }
        };
        let ending = async {
            let (_, talk) = tokio::join!(reading, talk.read_to_string(&mut stderr));
            talk.unwrap();
            self.child.wait().await.unwrap()
        };
        let ended = tokio::time::timeout(deadline, ending).await;
        let Self {
            command, stdout, ..
        } = self;
        let ended = ended.unwrap_or_else(|_| panic!("`{command}` doesn't end; it said: {stdout}"));
        Outcome {
            command,
            exit: ended.code(),
            stdout,
            stderr,
        }
    }

    /// kill -9, and waits until it is dead.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// A program of this host.
pub fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file: &PathBuf| Path::is_file(file))
}
