//! A test's own HAKUBE_HOME, and hakube runs in it.

use super::outcome::Outcome;
use super::processes::Process;
use super::wait::{DEADLINE, eventually};
use hakube_local_client::LocalCloud;
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

/// The programs in a command's PATH: etcd, and those that the local cloud starts processes with. Without
/// Kubernetes, so that stand-ins run on every machine.
const PROGRAMS: [&str; 3] = ["etcd", "setsid", "setpriv"];

pub const HAKUBE: &str = env!("CARGO_BIN_EXE_hakube");

/// A directory with all of hakube's files. Dropping it, even in a panic, kills all its processes.
pub struct Home {
    directory: TempDir,
    environment: BTreeMap<String, String>,
}

impl Home {
    pub fn new() -> Self {
        // For the clients of these tests. Fails if it is installed already.
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
        // Tests download only from their own servers.
        home.set("HAKUBE_STAND_INS", "true");
        if let Ok(directory) = std::env::var("LOCAL_CLOUD_EXCHANGES") {
            home.set("LOCAL_CLOUD_EXCHANGES", &directory);
        }
        home
    }

    /// Makes a program part of its PATH.
    pub fn add_program(&self, file: &Path) {
        let name = file.file_name().unwrap();
        symlink(file, self.directory.path().join("bin").join(name)).unwrap();
    }

    /// HAKUBE_HOME.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("hakube")
    }

    /// KUBECONFIG.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// A path next to HAKUBE_HOME.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Sets a variable for all later commands.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Runs `hakube` with these arguments, separated by spaces.
    pub async fn run(&self, arguments: &str) -> Outcome {
        self.run_with(&[], arguments).await
    }

    /// The same, with more environment variables.
    pub async fn run_with(&self, environment: &[(&str, &str)], arguments: &str) -> Outcome {
        self.start_with(environment, arguments).end().await
    }

    /// The same, with all writes to files failing.
    pub async fn run_where_no_file_can_grow(&self, arguments: &str) -> Outcome {
        self.run_by(r#"trap "" XFSZ; ulimit -f 0; exec "$@""#, arguments)
            .await
    }

    /// The same, with an output that can't be written.
    pub async fn run_with_lost_output(&self, arguments: &str) -> Outcome {
        self.run_by(r#"exec "$@" >/dev/full"#, arguments).await
    }

    /// The same, through a shell script that has the command in `"$@"`.
    pub async fn run_by(&self, script: &str, arguments: &str) -> Outcome {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script, "sh", HAKUBE])
            .args(arguments.split_whitespace());
        self.spawn(command, &[], arguments).end().await
    }

    /// Starts `hakube` with these arguments, and doesn't wait.
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

    pub async fn status(&self) -> Value {
        self.run("status -o json").await.succeeded().json()
    }

    /// The ownership label of the cluster's resources: name and ID.
    pub fn mark(&self) -> String {
        let intent = std::fs::read(self.path().join("state/kubernetes/intent.json")).unwrap();
        let stored: Value = serde_json::from_slice(&intent).unwrap();
        let id = &stored["intent"]["spec"]["identity"]["id"];
        format!("kubernetes_{}", id.as_str().unwrap())
    }

    pub async fn kill_machine(&self, name: &str) {
        self.run(&format!("local kill {name}")).await.succeeded();
    }

    pub fn machine_root(&self, zone: &str, name: &str) -> PathBuf {
        self.path()
            .join("local/machines")
            .join(zone)
            .join(name)
            .join("root")
    }

    /// Its local cloud, for fault rules and the request log.
    pub fn cloud(&self) -> LocalCloud {
        LocalCloud::at(self.path().join("local"))
    }

    pub fn processes(&self) -> Vec<Process> {
        Process::all_of(&self.path())
    }

    /// Waits until there is none, after a stop. (The daemon releases its lock shortly before it exits.)
    pub async fn await_no_process(&self) {
        eventually("all processes of the home ended", async || {
            self.processes().is_empty().then_some(())
        })
        .await;
    }

    /// Prints the logs of the daemon and the machines' inits, for debugging a failure.
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

    pub fn etcds(&self) -> std::collections::BTreeSet<i32> {
        Process::etcds_of(&self.path())
    }
}

impl Drop for Home {
    /// Kills everything rather than running `hakube local stop`: this must work when hakube doesn't. Another
    /// test checks that a proper stop leaves no processes.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        let left = Process::kill_all_of(&self.path());
        if !std::thread::panicking() {
            assert!(left.is_empty(), "these survived SIGKILL: {left:#?}");
        }
    }
}

pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    command: String,
    stdout: String,
}

impl Running {
    /// Reads its events until a step starts whose key has this prefix.
    ///
    /// # Panics
    /// The command ends earlier.
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
            "`{command}` started no step {key}: {stdout}"
        );
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it was waited for")
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self
            .child
            .id()
            .expect("it was waited for")
            .try_into()
            .unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits until it exits.
    ///
    /// # Panics
    /// It times out.
    pub async fn end(self) -> Outcome {
        self.end_within(2 * DEADLINE).await
    }

    /// The same with a longer deadline, for machines that boot.
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
        let ended = ended.unwrap_or_else(|_| panic!("`{command}` timed out; its output: {stdout}"));
        Outcome {
            command,
            exit: ended.code(),
            stdout,
            stderr,
        }
    }

    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

pub fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file: &PathBuf| Path::is_file(file))
}
