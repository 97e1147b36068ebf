//! A host: commands on it, and its power, disk and network cable.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use crate::cgroup::Groups;
use crate::error::{Error, Result, While, failed, text};
use crate::namespace;
use crate::network;
use crate::place::Place;
use crate::process::Process;
use crate::until::{until, until_some};

/// The time limit for a starting host's first process to appear, and for that of a host without
/// power to disappear.
pub(crate) const SWITCH: Duration = Duration::from_secs(90);
/// systemd kills services that don't stop within 90 s.
const SHUTDOWN: Duration = Duration::from_secs(120);
/// The number of console lines that an error shows.
const TAIL: usize = 25;

/// A host of a yard. Clones are the same host.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) place: Arc<Place>,
    pub(crate) name: String,
    pub(crate) number: u8,
}

/// The result of a command on a host.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

impl Host {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, in 10.77.0.0/24.
    pub fn address(&self) -> Ipv4Addr {
        network::address(self.number)
    }

    /// Its public host key, as in known_hosts: `ssh-ed25519 AAAA...`.
    pub fn ssh_host_key(&self) -> Result<String> {
        let path = self.data("layer/etc/ssh/ssh_host_ed25519_key.pub");
        let key = fs::read_to_string(&path).while_(|| format!("reading {}", path.display()))?;
        let words: Vec<&str> = key.split_whitespace().take(2).collect();
        Ok(words.join(" "))
    }

    /// The name of the yard's end of its network cable.
    pub fn port(&self) -> String {
        network::port(self.number)
    }

    /// Whether it is powered on.
    pub fn is_on(&self) -> bool {
        self.launcher().is_some()
    }

    /// A command to run on the host as root, with root's environment and none of the caller's.
    pub fn command(&self, program: &str) -> Result<Command> {
        let first = self.first()?;
        let doors = self.groups().doors_of(first);
        // Don't let nsenter fork. It stops when its child is stopped, as systemd does during
        // shutdown, and never continues. Then nothing reaps the child, and systemd waits for it.
        let script = r#"exec nsenter --target "$PID" --all --no-fork sh -c '"$@"; exit $?' sh env -i \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root \
            LANG=C.UTF-8 TERM="${TERM:-dumb}" "$@""#;
        let mut command = network::joining(&doors, script);
        command.env("PID", first.pid.to_string()).arg(program);
        Ok(command)
    }

    /// Runs a command on the host to its end. A command that fails isn't an error: see [`Ran::checked`].
    pub fn run(&self, command: &[&str]) -> Result<Ran> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| Error::Asked("no command to run".to_owned()))?;
        let output = self.command(program)?.args(arguments).output();
        let output = output.while_(|| format!("starting {program} on {}", self.name))?;
        Ok(Ran {
            status: output.status,
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        })
    }

    /// Waits until systemd has started everything and sshd responds.
    pub fn wait_booted(&self, limit: Duration) -> Result<()> {
        let begin = std::time::Instant::now();
        let left = || limit.saturating_sub(begin.elapsed());
        let ssh = SocketAddr::from((self.address(), 22));
        let is_plugged = !self.run_file("unplugged").exists();
        let booted = until_some(&format!("{} has booted", self.name), limit, || {
            if !self.is_on() {
                let what = format!(
                    "{} is powered off or has exited{}",
                    self.name,
                    self.console_tail()
                );
                return Err(Error::Asked(what));
            }
            if is_plugged && !namespace::greets(&self.place, ssh)? {
                return Ok(None);
            }
            // `systemctl` waits itself. Early during boot it fails, because systemd doesn't respond yet.
            let patience = format!("{}s", left().as_secs().clamp(1, 10));
            let queried = self.run(&[
                "timeout",
                &patience,
                "systemctl",
                "is-system-running",
                "--wait",
            ]);
            let state = queried.map(|ran| ran.stdout).unwrap_or_default();
            Ok(matches!(state.trim(), "running" | "degraded").then_some(()))
        });
        booted.map_err(|error| self.with_console(error))
    }

    /// Cuts the power. All its processes end at once. Written data stays, synced or not.
    ///
    /// The network card is removed first, as in a real power cut: a kernel that ends processes
    /// closes their connections, and peers would notice. Also, the namespace and its card live on
    /// while such a connection waits for a response, sometimes for minutes.
    pub fn cut_power(&self) -> Result<()> {
        let launcher = self.launcher_or_off()?;
        network::remove_port(&self.place, self.number)?;
        // When a PID namespace's first process ends, the kernel ends all others at once. The rest
        // are the processes that start and supervise the host.
        self.first_of_all().unwrap_or(launcher).kill();
        self.groups().remove(SWITCH)?;
        self.wait_off(SWITCH)
    }

    /// Powers it on. The host boots from its existing disk.
    pub fn power_on(&self) -> Result<()> {
        if self.is_on() {
            return Err(Error::Asked(format!("{} is already powered on", self.name)));
        }
        self.wait_off(SWITCH)?;
        self.groups().make()?;
        let console = self.data("console");
        let console = File::options().create(true).append(true).open(&console);
        let console = console.while_(|| format!("opening the console of {}", self.name))?;
        let errors = console
            .try_clone()
            .while_(|| "opening it again".to_owned())?;
        let script = self.run_file("boot");
        let mut shell = Command::new("sh");
        shell.arg("-eu").arg(script).current_dir("/");
        let launcher = network::spawn(shell.stdout(console).stderr(errors))?;
        self.write("launcher", &launcher.to_string())?;
        if self.run_file("unplugged").exists() {
            until("the host has a network card", SWITCH, || {
                network::has_port(&self.place, self.number) || !launcher.lives()
            })?;
            network::set_carrier(&self.place, self.number, false)?;
        }
        let started = until_some(&format!("{} starts", self.name), SWITCH, || {
            if launcher.lives() {
                return Ok(self.first().ok());
            }
            let what = format!("{} failed to start{}", self.name, self.console_tail());
            Err(Error::Unfit(what))
        });
        started.map(drop).map_err(|error| self.with_console(error))
    }

    /// Reboots it cleanly. Returns when it has begun to start again: see [`Host::wait_booted`].
    pub fn reboot(&self) -> Result<()> {
        let before = self.first()?;
        self.run(&["systemctl", "reboot"])?;
        let what = format!("{} has shut down and starts again", self.name);
        let again = until(&what, SHUTDOWN, || {
            self.first().is_ok_and(|first| first != before) || !self.is_on()
        });
        again.map_err(|error| self.with_console(error))?;
        if !self.is_on() {
            let what = format!(
                "{} shut down, but didn't boot again{}",
                self.name,
                self.console_tail()
            );
            return Err(Error::Asked(what));
        }
        if self.run_file("unplugged").exists() {
            network::set_carrier(&self.place, self.number, false)?;
        }
        Ok(())
    }

    /// Shuts it down cleanly.
    pub fn shut_down(&self) -> Result<()> {
        self.run(&["systemctl", "poweroff"])?;
        self.wait_off(SHUTDOWN)
    }

    /// Unplugs the network cable. It stays unplugged across reboots.
    pub fn unplug(&self) -> Result<()> {
        self.write("unplugged", "")?;
        network::let_pass(&self.place, self.number, false)?;
        if self.is_on() {
            network::set_carrier(&self.place, self.number, false)?;
        }
        Ok(())
    }

    /// Plugs the network cable back in.
    pub fn plug(&self) -> Result<()> {
        let marker = self.run_file("unplugged");
        if marker.exists() {
            fs::remove_file(&marker).while_(|| format!("removing {}", marker.display()))?;
        }
        network::let_pass(&self.place, self.number, true)?;
        if self.is_on() {
            network::set_carrier(&self.place, self.number, true)?;
        }
        Ok(())
    }

    /// Its console output since its first boot.
    pub fn console(&self) -> String {
        text(&fs::read(self.data("console")).unwrap_or_default())
    }

    fn console_tail(&self) -> String {
        let console = self.console();
        let mut lines: Vec<_> = console.lines().rev().take(TAIL).collect();
        lines.reverse();
        format!(". The end of its console:\n{}", lines.join("\n"))
    }

    fn with_console(&self, error: Error) -> Error {
        match error {
            Error::Late { what, waited, .. } => Error::Late {
                what,
                waited,
                detail: self.console_tail(),
            },
            other => other,
        }
    }

    /// Waits until none of its processes and mounts are left, so that it can start again.
    fn wait_off(&self, limit: Duration) -> Result<()> {
        let disk = self.disk().display().to_string();
        let off = until(&format!("{} is off", self.name), limit, || {
            !self.is_on() && !is_looped(&disk) && !network::has_port(&self.place, self.number)
        });
        off.map_err(|error| self.with_console(error))?;
        // Processes that entered the host with `run`, and their cgroups.
        if self.groups().exist() {
            self.groups().remove(limit)?;
        }
        Ok(())
    }

    pub(crate) fn groups(&self) -> Groups {
        self.place.groups.sub(&network::machine(self.number))
    }

    /// The process that boots the host and holds its mounts; `None` if it is powered off.
    pub(crate) fn launcher(&self) -> Option<Process> {
        let file = format!("hosts/{}/launcher", self.name);
        self.place
            .get::<Process>(&file)
            .filter(|launcher| launcher.lives())
    }

    pub(crate) fn launcher_or_off(&self) -> Result<Process> {
        let off = || Error::Asked(format!("{} is powered off", self.name));
        self.launcher().ok_or_else(off)
    }

    /// Its first process, which may not be its init yet.
    fn first_of_all(&self) -> Option<Process> {
        let depth = namespace::depth() + 1;
        self.groups().members_of_one().into_iter().find(|process| {
            let ids = process.ids();
            ids.len() == depth && ids.last() == Some(&1)
        })
    }

    /// Its init.
    pub(crate) fn first(&self) -> Result<Process> {
        self.launcher_or_off()?;
        let is_init = |first: &Process| {
            let names = first.names();
            names.iter().any(|name| name == "systemd" || name == "init")
        };
        let starting = || Error::Asked(format!("{} is still starting", self.name));
        self.first_of_all().filter(is_init).ok_or_else(starting)
    }

    pub(crate) fn data(&self, file: &str) -> PathBuf {
        self.place.data.join(&self.name).join(file)
    }

    /// The file with its disk.
    pub(crate) fn disk(&self) -> PathBuf {
        let elsewhere = fs::read_to_string(self.run_file("disk"));
        elsewhere.map_or_else(|_| self.data("disk"), PathBuf::from)
    }

    pub(crate) fn run_file(&self, file: &str) -> PathBuf {
        self.place.run.join("hosts").join(&self.name).join(file)
    }

    pub(crate) fn write(&self, file: &str, content: &str) -> Result<()> {
        self.place
            .write(&format!("hosts/{}/{file}", self.name), content)
    }

    /// The host of this name, if it has been booted.
    pub(crate) fn find(place: &Arc<Place>, name: &str) -> Option<Self> {
        let number = place.get(&format!("hosts/{name}/number"))?;
        Some(Self {
            place: Arc::clone(place),
            name: name.to_owned(),
            number,
        })
    }
}

impl Ran {
    /// Its stdout; an error if it failed.
    pub fn checked(self) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let output = std::process::Output {
            status: self.status,
            stdout: self.stdout.into_bytes(),
            stderr: self.stderr.into_bytes(),
        };
        Err(failed("a command on a host".to_owned(), &output))
    }
}

/// Whether a loop device uses this file.
fn is_looped(file: &str) -> bool {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    devices.into_iter().any(|device| {
        let backing = fs::read_to_string(device.path().join("loop/backing_file"));
        backing.is_ok_and(|backing| backing.trim_end() == file)
    })
}
