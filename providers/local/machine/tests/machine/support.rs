//! Helpers for tests of machines.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hakube_local_machine::{Guest, GuestSpec, UnitState, UnitStatus};
use tempfile::TempDir;

pub const SLEEPER: &str = "[Unit]\nDescription=Sleeper\n[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n";

/// A machine in a temporary directory, killed at the end of the test.
pub struct Machine {
    pub guest: Guest,
    pub spec: GuestSpec,
    home: TempDir,
}

impl Machine {
    /// A machine with these units (name, content), all enabled and started at the first boot.
    pub fn new(units: &[(&str, &str)]) -> Self {
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

    /// Adds a file to the user data that nothing enables or starts.
    pub fn and_file(mut self, path: &str, content: &str) -> Self {
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

    pub fn with_user_data(user_data: impl Into<String>) -> Self {
        let home = tempfile::tempdir().unwrap();
        // Longer than a Unix socket's path may be.
        let dir = home
            .path()
            .join("a-rather-long-name-of-a-directory-in-a-user-s-home")
            .join("machines/zone-b/m1");
        let spec = GuestSpec {
            name: "m1".into(),
            address: [127, 64, 1, 2].into(),
            user_data: user_data.into(),
            ssh_keys: Vec::new(),
            guest_attributes: false,
            metadata: None,
            boot_disk_gb: None,
            disks: Vec::new(),
            gateway: None,
        };
        Self {
            guest: Guest::at(dir),
            spec,
            home,
        }
    }

    /// A file of the test's own.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub async fn boot(&self) {
        self.guest
            .boot(&self.spec, &[init_program()])
            .await
            .unwrap();
    }

    pub async fn booted(units: &[(&str, &str)]) -> Self {
        let machine = Self::new(units);
        machine.boot().await;
        machine
    }

    pub fn file(&self, path: &str) -> PathBuf {
        self.guest
            .dir()
            .join("root")
            .join(path.trim_start_matches('/'))
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.file(path)).unwrap_or_default()
    }

    pub fn console(&self) -> String {
        fs::read_to_string(self.guest.console()).unwrap_or_default()
    }

    pub async fn unit(&self, name: &str) -> Option<UnitStatus> {
        self.guest
            .units()
            .await
            .unwrap()
            .into_iter()
            .find(|unit| unit.name == name)
    }

    pub async fn until(&self, name: &str, wanted: impl Fn(&UnitStatus) -> bool) -> UnitStatus {
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

    pub async fn until_state(&self, name: &str, state: UnitState) -> UnitStatus {
        self.until(name, |unit| unit.state == state).await
    }

    pub async fn until_true(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(
                Instant::now() < deadline,
                "timed out waiting for {what}; console:\n{}",
                self.console()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Living processes of this test, by an argument inside its temporary directory or the machine's
    /// variable.
    pub fn processes(&self) -> Vec<(i32, char)> {
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

pub fn init_program() -> OsString {
    // The test is target/debug/deps/machine-…; the example is in target/debug/examples.
    let test = std::env::current_exe().unwrap();
    test.parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/machine-init")
        .into_os_string()
}

pub fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 1..]
        .split_whitespace()
        .next()?
        .chars()
        .next()
}

pub fn init_pid(machine: &Machine) -> i32 {
    fs::read_to_string(machine.guest.dir().join("init.pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

pub fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
}
