//! Machines that really boot. The init process is the example `machine-init`, which cargo builds with
//! the tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hakube_local::machine::{Guest, GuestError, GuestSpec, UnitState, UnitStatus};
use tempfile::TempDir;

/// A machine in a directory of its own, whose power is cut at the end of the test.
struct Machine {
    guest: Guest,
    spec: GuestSpec,
    home: TempDir,
}

impl Machine {
    /// Units by name and content, all of them enabled and started at the first boot.
    fn new(units: &[(&str, &str)]) -> Self {
        let mut user_data = String::from("#cloud-config\nwrite_files:\n");
        for (name, text) in units {
            user_data.push_str(&format!(
                "- path: /etc/systemd/system/{name}\n  content: |\n"
            ));
            text.lines()
                .for_each(|line| user_data.push_str(&format!("    {line}\n")));
        }
        user_data.push_str("runcmd:\n- systemctl daemon-reload\n");
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        user_data.push_str(&format!("- systemctl enable --now {}\n", names.join(" ")));
        Self::with_user_data(user_data)
    }

    /// One more file in the user data, which nothing enables or starts.
    fn and_file(mut self, path: &str, content: &str) -> Self {
        let mut entry = format!("- path: {path}\n  content: |\n");
        content
            .lines()
            .for_each(|line| entry.push_str(&format!("    {line}\n")));
        self.spec.user_data = self
            .spec
            .user_data
            .replace("runcmd:", &format!("{entry}runcmd:"));
        self
    }

    fn with_user_data(user_data: impl Into<String>) -> Self {
        let home = tempfile::tempdir().unwrap();
        // Deeper than the path of a Unix socket may be long.
        let dir = home
            .path()
            .join("a-rather-long-name-of-a-directory-in-somebody-s-home")
            .join("machines/zone-b/m1");
        let spec = GuestSpec {
            name: "m1".into(),
            address: [127, 64, 1, 2].into(),
            user_data: user_data.into(),
        };
        Self {
            guest: Guest::at(dir),
            spec,
            home,
        }
    }

    async fn boot(&self) {
        self.guest
            .boot(&self.spec, &[init_program()])
            .await
            .unwrap();
    }

    async fn booted(units: &[(&str, &str)]) -> Self {
        let machine = Self::new(units);
        machine.boot().await;
        machine
    }

    fn file(&self, path: &str) -> PathBuf {
        self.guest
            .dir()
            .join("root")
            .join(path.trim_start_matches('/'))
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.file(path)).unwrap_or_default()
    }

    fn console(&self) -> String {
        fs::read_to_string(self.guest.console()).unwrap_or_default()
    }

    async fn unit(&self, name: &str) -> Option<UnitStatus> {
        self.guest
            .units()
            .await
            .unwrap()
            .into_iter()
            .find(|unit| unit.name == name)
    }

    /// Waits until the unit is as wanted.
    async fn until(&self, name: &str, wanted: impl Fn(&UnitStatus) -> bool) -> UnitStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let unit = self.unit(name).await;
            match unit {
                Some(unit) if wanted(&unit) => return unit,
                _ if Instant::now() > deadline => {
                    panic!("{name} is {unit:?}; console:\n{}", self.console())
                }
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    async fn until_state(&self, name: &str, state: UnitState) -> UnitStatus {
        self.until(name, |unit| unit.state == state).await
    }

    async fn until_true(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(
                Instant::now() < deadline,
                "not in time: {what}; console:\n{}",
                self.console()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Living processes that belong to this test, by an argument that is in its temporary directory or
    /// the machine's mark.
    fn processes(&self) -> Vec<(i32, char)> {
        let mark = format!("MACHINE_ROOT={}", self.guest.dir().join("root").display());
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| {
                let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environ
                    .split(|byte| *byte == 0)
                    .any(|variable| variable == mark.as_bytes())
            })
            .filter_map(|pid| Some((pid, state(pid)?)))
            .filter(|(_, state)| *state != 'Z')
            .collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let guest = self.guest.clone();
        let killing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(guest.kill()).unwrap();
        });
        killing.join().unwrap();
        assert!(self.home.path().exists());
    }
}

fn init_program() -> OsString {
    // target/debug/deps/machine-… is this test; the example is in target/debug/examples.
    let test = std::env::current_exe().unwrap();
    test.parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/machine-init")
        .into_os_string()
}

fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 1..]
        .split_whitespace()
        .next()?
        .chars()
        .next()
}

fn init_pid(machine: &Machine) -> i32 {
    fs::read_to_string(machine.guest.dir().join("init.pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}

const SLEEPER: &str = "[Unit]\nDescription=Sleeper\n[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n";

#[tokio::test]
async fn serves_from_its_own_files() {
    let listener = std::net::TcpListener::bind("127.64.1.2:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let unit = format!(
        "[Service]\nExecStart=/usr/bin/env python3 -m http.server {port} --bind 127.64.1.2 --directory=/srv/www\n\
         ExecStartPre=/bin/sh -c 'mkdir -p /srv/www; echo hello from %H $${{HOSTNAME}} > /srv/www/index.txt'\n"
    );
    let machine = Machine::booted(&[("www.service", &unit)]).await;
    machine.until_state("www.service", UnitState::Running).await;
    let url = format!("http://127.64.1.2:{port}/index.txt");
    let deadline = Instant::now() + Duration::from_secs(20);
    let body = loop {
        match get(&url).await {
            Ok(body) => break body,
            Err(error) if Instant::now() > deadline => panic!("{error}; {}", machine.console()),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert_eq!(body, "hello from m1 m1\n");
    machine.guest.shut_down().await.unwrap();
    assert!(get(&url).await.is_err());
    let log = fs::read_to_string(machine.guest.unit_log("www")).unwrap();
    assert!(log.contains("GET /index.txt"), "{log}");
}

/// A plain HTTP GET: no client crate for one request.
async fn get(url: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await?;
    stream
        .write_all(format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default())
}

#[tokio::test]
async fn boots_once_and_again() {
    let machine = Machine::booted(&[("s.service", SLEEPER)]).await;
    let first = machine
        .until_state("s.service", UnitState::Running)
        .await
        .pid;
    machine.boot().await;
    assert_eq!(
        machine.unit("s.service").await.unwrap().pid,
        first,
        "booting a running machine does nothing"
    );
    machine
        .until_true("first boot over", || {
            machine
                .file("/var/lib/cloud/instance/boot-finished")
                .exists()
        })
        .await;

    machine.guest.shut_down().await.unwrap();
    assert!(!machine.guest.is_running().await);
    assert_eq!(machine.processes(), []);
    machine.guest.shut_down().await.unwrap();

    // The second boot runs no user data, but starts what is enabled.
    fs::write(
        machine.file("/etc/systemd/system/s.service"),
        SLEEPER.replace("1000", "2000"),
    )
    .unwrap();
    machine.boot().await;
    let second = machine
        .until_state("s.service", UnitState::Running)
        .await
        .pid
        .unwrap();
    machine
        .until_true("exec", || {
            fs::read_to_string(format!("/proc/{second}/cmdline"))
                .unwrap_or_default()
                .contains("2000")
        })
        .await;
    let console = machine.console();
    assert_eq!(console.matches("Booting m1").count(), 2, "{console}");
    assert_eq!(console.matches("Created symlink").count(), 1, "{console}");
    assert!(
        console.contains("Stopped s.service - Sleeper."),
        "{console}"
    );
}

#[tokio::test]
async fn restarts_until_the_start_limit() {
    let unit = "[Service]\nExecStart=/bin/sh -c 'echo once >> /var/count; exit 3'\nExecStartPre=/bin/mkdir -p /var\n\
                Restart=on-failure\nRestartSec=1ms\nStartLimitBurst=3\n";
    let machine = Machine::booted(&[("crash.service", unit)]).await;
    let status = machine
        .until_state("crash.service", UnitState::Failed)
        .await;
    assert_eq!(status.restarts, 3);
    assert_eq!(machine.read("/var/count"), "once\n".repeat(3));
    let console = machine.console();
    assert!(
        console.contains("crash.service: Main process exited, code=exited, status=3/n/a"),
        "{console}"
    );
    assert!(
        console.contains("crash.service: Start request repeated too quickly."),
        "{console}"
    );
    assert!(
        console.contains("crash.service: Failed with result 'start-limit-hit'."),
        "{console}"
    );
}

#[tokio::test]
async fn a_killed_service_comes_back() {
    let machine = Machine::booted(&[(
        "s.service",
        &SLEEPER.replace("[Install]", "Restart=on-failure\nRestartSec=1ms\n[Install]"),
    )])
    .await;
    let first = machine
        .until_state("s.service", UnitState::Running)
        .await
        .pid
        .unwrap();
    signal(first as i32, nix::sys::signal::Signal::SIGKILL);
    let again = machine
        .until("s.service", |unit| {
            unit.restarts == 1 && unit.state == UnitState::Running
        })
        .await;
    assert_ne!(again.pid, Some(first));
    assert!(machine.console().contains("code=killed, status=9/KILL"));
}

#[tokio::test]
async fn a_missing_program_fails_as_with_systemd() {
    let machine =
        Machine::booted(&[("ghost.service", "[Service]\nExecStart=/opt/bin/ghost\n")]).await;
    machine
        .until_state("ghost.service", UnitState::Failed)
        .await;
    let console = machine.console();
    assert!(console.contains("status=203/EXEC"), "{console}");
    assert!(
        console.contains("opt/bin/ghost: No such file or directory"),
        "{console}"
    );
}

#[tokio::test]
async fn orders_starts_and_keeps_back_what_requires_a_failure() {
    let log = |name: &str, unit: &str| {
        format!(
            "[Unit]\n{unit}\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo {name} >> /etc/order'\n"
        )
    };
    let a = log("a", "After=b.service");
    let b = log("b", "After=c.service");
    let c = log("c", "");
    let bad = "[Service]\nType=oneshot\nExecStart=/bin/false\n";
    let dependent = log("dependent", "Requires=bad.service\nAfter=bad.service");
    let machine = Machine::booted(&[
        ("a.service", &a),
        ("b.service", &b),
        ("c.service", &c),
        ("bad.service", bad),
        ("dependent.service", &dependent),
    ])
    .await;
    machine.until_state("a.service", UnitState::Exited).await;
    machine.until_state("bad.service", UnitState::Failed).await;
    machine
        .until_true("dependency failed", || {
            machine
                .console()
                .contains("Dependency failed for dependent.service.")
        })
        .await;
    assert_eq!(machine.read("/etc/order"), "c\nb\na\n");
    assert_eq!(
        machine.unit("dependent.service").await.unwrap().state,
        UnitState::Inactive
    );
}

#[tokio::test]
async fn a_path_unit_starts_its_service_when_the_file_is_put() {
    let path = "[Path]\nPathExists=/etc/secret/key.pem\n[Install]\nWantedBy=multi-user.target\n";
    let service = "[Service]\nExecStart=/bin/sh -c 'cat /etc/secret/key.pem; exec sleep 1000'\n";
    let machine =
        Machine::new(&[("app.path", path)]).and_file("/etc/systemd/system/app.service", service);
    machine.boot().await;
    machine.until_state("app.path", UnitState::Waiting).await;
    assert_eq!(
        machine.unit("app.service").await.unwrap().state,
        UnitState::Inactive
    );

    machine
        .guest
        .put_file("/etc/secret/key.pem", 0o640, b"the key\n")
        .await
        .unwrap();
    machine.until_state("app.service", UnitState::Running).await;
    assert_eq!(
        machine.unit("app.path").await.unwrap().state,
        UnitState::Running
    );
    let log = machine.guest.unit_log("app.service");
    machine
        .until_true("output", || {
            fs::read_to_string(&log).unwrap_or_default() == "the key\n"
        })
        .await;
    assert_eq!(
        fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn put_files_have_exactly_their_mode_and_stay_in_the_machine() {
    let machine = Machine::booted(&[]).await;
    for mode in [0o600, 0o777, 0o444] {
        machine
            .guest
            .put_file("/etc/deep/er/x", mode, &[0, 255, b'\n'])
            .await
            .unwrap();
        assert_eq!(
            fs::metadata(machine.file("/etc/deep/er/x"))
                .unwrap()
                .permissions()
                .mode()
                & 0o7777,
            mode
        );
        assert_eq!(
            fs::read(machine.file("/etc/deep/er/x")).unwrap(),
            [0, 255, b'\n']
        );
    }
    assert_eq!(
        fs::read_dir(machine.file("/etc/deep/er")).unwrap().count(),
        1,
        "no temporary file is left"
    );
    for bad in ["relative", "/etc/../../../x", "/"] {
        let refused = machine.guest.put_file(bad, 0o600, b"x").await.unwrap_err();
        assert!(matches!(refused, GuestError::Refused { .. }), "{refused}");
    }
    machine.guest.shut_down().await.unwrap();
    let refused = machine
        .guest
        .put_file("/etc/x", 0o600, b"x")
        .await
        .unwrap_err();
    assert!(
        matches!(refused, GuestError::NotRunning { .. }),
        "{refused}"
    );
}

/// A shell whose grandchild has left its session and its process group.
const FAMILY: &str =
    "[Service]\nExecStart=/bin/sh -c 'setsid sleep 1001 & sleep 1002 & exec sleep 1003'\n";

#[tokio::test]
async fn stopping_and_cutting_the_power_orphan_nothing() {
    let machine = Machine::booted(&[("family.service", FAMILY)]).await;
    machine
        .until_true("family", || machine.processes().len() == 3)
        .await;
    machine.guest.shut_down().await.unwrap();
    assert_eq!(machine.processes(), []);

    let machine = Machine::booted(&[("family.service", FAMILY)]).await;
    machine
        .until_true("family", || machine.processes().len() == 3)
        .await;
    let guest = machine.guest.clone();
    let watcher = tokio::spawn(async move { guest.exited().await });
    machine.guest.kill().await.unwrap();
    assert_eq!(machine.processes(), []);
    watcher.await.unwrap();
    assert!(!machine.guest.is_running().await);
}

#[tokio::test]
async fn a_killed_init_process_takes_its_services_along_and_the_next_boot_the_rest() {
    let machine = Machine::booted(&[("family.service", FAMILY)]).await;
    machine
        .until_true("family", || machine.processes().len() == 3)
        .await;
    let main = machine.unit("family.service").await.unwrap().pid.unwrap() as i32;
    signal(init_pid(&machine), nix::sys::signal::Signal::SIGKILL);
    machine.guest.exited().await;
    machine
        .until_true("pdeathsig", || state(main).is_none_or(|state| state == 'Z'))
        .await;
    let survivors: Vec<i32> = machine.processes().iter().map(|(pid, _)| *pid).collect();
    machine.boot().await;
    for pid in survivors {
        assert!(
            state(pid).is_none_or(|state| state == 'Z'),
            "{pid} survived the second boot"
        );
    }
}

#[tokio::test]
async fn a_paused_machine_stands_still_and_goes_on() {
    let machine = Machine::booted(&[("family.service", FAMILY)]).await;
    machine
        .until_true("family", || machine.processes().len() == 3)
        .await;
    machine.guest.pause().await.unwrap();
    assert!(machine.guest.is_running().await);
    assert!(
        machine.processes().iter().all(|(_, state)| *state == 'T'),
        "{:?}",
        machine.processes()
    );
    assert_eq!(state(init_pid(&machine)), Some('T'));
    assert!(matches!(
        machine.guest.units().await,
        Err(GuestError::Paused { .. })
    ));

    machine.guest.resume().await.unwrap();
    assert!(machine.processes().iter().all(|(_, state)| *state != 'T'));
    machine
        .until_state("family.service", UnitState::Running)
        .await;

    machine.guest.pause().await.unwrap();
    machine.guest.shut_down().await.unwrap();
    assert_eq!(machine.processes(), []);
}

#[tokio::test]
async fn a_notify_service_is_starting_until_it_says_so() {
    let script = "import os, socket, time; \
                  s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); \
                  [time.sleep(0.01) for _ in iter(lambda: os.path.exists(os.environ[\"MACHINE_ROOT\"] + \"/etc/go\"), True)]; \
                  s.sendto(b\"STATUS=up\\\\nREADY=1\", os.environ[\"NOTIFY_SOCKET\"]); time.sleep(1000)";
    let notify = format!("[Service]\nType=notify\nExecStart=/usr/bin/env python3 -c '{script}'\n");
    let after = SLEEPER.replace("[Unit]", "[Unit]\nAfter=ready.service");
    let machine = Machine::booted(&[("ready.service", &notify), ("after.service", &after)]).await;
    machine
        .until("ready.service", |unit| {
            unit.state == UnitState::Starting && unit.pid.is_some()
        })
        .await;
    assert_eq!(
        machine.unit("after.service").await.unwrap().state,
        UnitState::Inactive
    );
    machine.guest.put_file("/etc/go", 0o644, b"").await.unwrap();
    machine
        .until_state("ready.service", UnitState::Running)
        .await;
    machine
        .until_state("after.service", UnitState::Running)
        .await;
}

#[tokio::test]
async fn a_service_that_ignores_sigterm_is_killed_after_its_timeout() {
    let unit = "[Service]\nTimeoutStopSec=200ms\nExecStart=/bin/sh -c 'trap \"\" TERM; touch /etc/armed; while :; do sleep 0.05; done'\n";
    let machine = Machine::booted(&[("stubborn.service", unit)]).await;
    machine
        .until_true("trap", || machine.file("/etc/armed").exists())
        .await;
    machine.guest.shut_down().await.unwrap();
    assert_eq!(machine.processes(), []);
    let console = machine.console();
    assert!(
        console.contains("State 'stop-sigterm' timed out."),
        "{console}"
    );
    assert!(
        console.contains("Failed with result 'timeout'."),
        "{console}"
    );
}

#[tokio::test]
async fn units_have_a_clean_environment_and_their_limit_of_open_files() {
    let unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nLimitNOFILE=123\nEnvironment=CONFIG=/etc/x \"B=two words\"\n\
                EnvironmentFile=/etc/env\nExecStart=/bin/sh -c 'mkdir -p /var; env > /var/env; ulimit -n > /var/limit; pwd > /var/pwd'\n\
                ExecStart=/bin/sh -c 'echo \"$0|$1|$2\" > /var/args' ${B} $B\n";
    let machine = Machine::new(&[("env.service", unit)]).and_file("/etc/env", "FILE=/var/lib");
    machine.boot().await;
    machine.until_state("env.service", UnitState::Exited).await;
    let root = machine.guest.dir().join("root").display().to_string();
    let environment = machine.read("/var/env");
    let has = |line: String| environment.lines().any(|found| found == line);
    assert!(
        has(format!("CONFIG={root}/etc/x")) && has(format!("FILE={root}/var/lib")),
        "{environment}"
    );
    assert!(
        has("HOSTNAME=m1".into()) && has(format!("HOME={root}/root")),
        "{environment}"
    );
    assert!(!environment.contains("CARGO"), "{environment}");
    assert_eq!(machine.read("/var/limit"), "123\n");
    assert_eq!(machine.read("/var/pwd").trim(), root);
    assert_eq!(machine.read("/var/args"), "two words|two|words\n");
}

#[tokio::test]
async fn user_data_without_effect_is_said_on_the_console() {
    let machine = Machine::with_user_data("#!/bin/sh\nrm -rf /\n");
    machine.boot().await;
    assert!(
        machine
            .console()
            .contains("does not start with the line #cloud-config"),
        "{}",
        machine.console()
    );
    assert_eq!(machine.guest.units().await.unwrap(), []);

    let machine = Machine::with_user_data(
        "#cloud-config\nhostname: other\npackages: [x]\nruncmd: [reboot]\n",
    );
    machine.boot().await;
    assert_eq!(machine.read("/etc/hostname"), "other\n");
    let console = machine.console();
    assert!(
        console.contains("packages: not emulated")
            && console.contains("runcmd \"reboot\": not carried out"),
        "{console}"
    );
}

#[tokio::test]
async fn an_init_process_that_fails_says_why() {
    let machine = Machine::new(&[]);
    let failed = machine
        .guest
        .boot(&machine.spec, &["/bin/false".into()])
        .await
        .unwrap_err();
    assert!(
        matches!(failed, GuestError::Boot { .. }) && failed.to_string().contains("exit status: 1"),
        "{failed}"
    );
    let failed = machine
        .guest
        .boot(&machine.spec, &["/nonexistent".into()])
        .await
        .unwrap_err();
    assert!(failed.to_string().contains("/nonexistent"), "{failed}");
}

#[tokio::test]
async fn two_boots_at_once_make_one_machine() {
    let machine = Machine::new(&[("s.service", SLEEPER)]);
    let boots = (0..4).map(|_| {
        let (guest, spec) = (machine.guest.clone(), machine.spec.clone());
        tokio::spawn(async move { guest.boot(&spec, &[init_program()]).await })
    });
    for boot in boots.collect::<Vec<_>>() {
        boot.await.unwrap().unwrap();
    }
    machine.until_state("s.service", UnitState::Running).await;
    assert_eq!(machine.processes().len(), 1);
}
