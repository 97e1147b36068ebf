//! The yard: a network, its hosts, and the key to log in to them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::error::{Error, Result, While, checked};
use crate::host::Host;
use crate::place::{self, Place};
use crate::spec::HostSpec;
use crate::{build, layer, namespace, network};

/// Programs that the yard needs, and their packages: scripts/lib/prerequisites.sh.
const PROGRAMS: [(&str, &str); 9] = [
    ("systemd-nspawn", "systemd-container"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("losetup", "mount"),
    ("mke2fs", "e2fsprogs"),
    ("ssh-keygen", "openssh-client"),
];

/// Kernel settings of this machine that all hosts share, with their required minimum. They are only
/// raised, never restored.
const SETTINGS: [(&str, u64); 2] = [
    ("/proc/sys/fs/inotify/max_user_instances", 8192),
    ("/proc/sys/kernel/pid_max", 131_072),
];

/// A network with hosts. The process that opens it owns it. Dropping it removes it and everything in it.
#[derive(Debug)]
pub struct Yard {
    place: Arc<Place>,
    /// The owner's lock. `None` for another process's yard, which dropping this doesn't remove.
    lock: Option<File>,
}

impl Yard {
    /// Opens a yard with its data in the directory for temporary files. Removes leftovers of yards
    /// whose owner was killed.
    pub fn open(name: &str) -> Result<Self> {
        Self::open_in(name, &std::env::temp_dir())
    }

    /// Does the same with the yard's data, including its hosts' disks, in this directory.
    pub fn open_in(name: &str, parent: &Path) -> Result<Self> {
        fitness()?;
        check_name(name)?;
        if let Err(error) = place::remove_leftovers() {
            // Not this yard's problem.
            eprintln!("can't remove the leftovers of another yard: {error}");
        }
        let image = image()?;
        let parent = parent
            .canonicalize()
            .while_(|| format!("resolving {}", parent.display()))?;
        let (place, lock) = Place::make(name, &parent)?;
        // From here on, dropping the yard cleans up.
        let yard = Self {
            place: Arc::new(place),
            lock: Some(lock),
        };
        yard.place.write("image", &image.display().to_string())?;
        place::private(&yard.place.run.join("numbers"))?;
        for (path, least) in SETTINGS {
            raise(path, least)?;
        }
        yard.place.groups.make()?;
        yard.place.groups.sub("yard").make()?;
        network::make(&yard.place)?;
        layer::make_key(&yard.place.data.join("ssh-key"), "yard")?;
        Ok(yard)
    }

    /// A yard open in another process, by name or id; without a name, the only one.
    pub fn of_another(name: Option<&str>) -> Result<Self> {
        let is_it = |place: &Place| name.is_none_or(|name| place.name == name || place.id == name);
        let mut found = Self::all()?;
        found.retain(|yard| is_it(&yard.place));
        let names: Vec<_> = found.iter().map(|yard| yard.id().to_owned()).collect();
        match (found.pop(), found.is_empty()) {
            (Some(yard), true) => Ok(yard),
            (None, _) => {
                let which = name.map_or("no yard is open".to_owned(), |name| {
                    format!("no yard {name} is open")
                });
                Err(Error::Asked(which))
            }
            _ => Err(Error::Asked(format!(
                "several yards are open, choose one: {}",
                names.join(", ")
            ))),
        }
    }

    /// All open yards on this machine.
    pub fn all() -> Result<Vec<Self>> {
        fitness()?;
        let yards = place::open_yards()?.into_iter();
        Ok(yards
            .map(|place| Self {
                place: Arc::new(place),
                lock: None,
            })
            .collect())
    }

    /// The yard's name.
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// Its id, unique on this machine.
    pub fn id(&self) -> &str {
        &self.place.id
    }

    /// The root file system of its hosts. Don't write to it.
    pub fn image(&self) -> PathBuf {
        self.place.get("image").unwrap_or_default()
    }

    /// The file of its network namespace, for `nsenter --net=FILE`.
    pub fn network(&self) -> Result<String> {
        self.place.network()
    }

    /// The process that owns it, while alive.
    pub fn owner(&self) -> Option<u32> {
        let owner = self.place.owner()?;
        u32::try_from(owner.pid).ok()
    }

    /// Sends SIGTERM to the owner.
    pub fn end_owner(&self) {
        if let Some(owner) = self.place.owner() {
            owner.signal(rustix::process::Signal::TERM);
        }
    }

    /// Its data directory. Callers may put files there; they are removed with the yard.
    pub fn directory(&self) -> &Path {
        &self.place.data
    }

    /// The private key to log in as `root` or `op` on every host, with mode 0600. The public key's
    /// file has the suffix `.pub`.
    pub fn ssh_key(&self) -> PathBuf {
        self.place.data.join("ssh-key")
    }

    /// Creates a host and powers it on. Returns while it boots: see [`Host::wait_booted`].
    pub fn boot(&self, spec: &HostSpec) -> Result<Host> {
        Ok(self.boot_all(std::slice::from_ref(spec))?.remove(0))
    }

    /// Boots several hosts at once. Returns them in the given order.
    pub fn boot_all(&self, specs: &[HostSpec]) -> Result<Vec<Host>> {
        // Sequentially, so addresses are in order.
        let claims = specs.iter().map(|spec| build::claim(&self.place, spec));
        let hosts = claims.collect::<Result<Vec<_>>>()?;
        let start = |host: &Host, spec| build::make(host, spec).and_then(|()| host.power_on());
        std::thread::scope(|scope| {
            let pairs = hosts.iter().zip(specs);
            let threads: Vec<_> = pairs
                .map(|(host, spec)| scope.spawn(move || start(host, spec)))
                .collect();
            let panicked = |_| Error::Asked("booting a host panicked".to_owned());
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(panicked)?)
        })?;
        Ok(hosts)
    }

    /// The hosts that have been booted, by name.
    pub fn hosts(&self) -> Vec<Host> {
        let entries = fs::read_dir(self.place.run.join("hosts"))
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut hosts: Vec<_> = names
            .filter_map(|name| Host::find(&self.place, &name))
            .collect();
        hosts.sort_by(|a, b| a.name.cmp(&b.name));
        hosts
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Result<Host> {
        let missing = || Error::Asked(format!("the yard {} has no host {name}", self.name()));
        Host::find(&self.place, name).ok_or_else(missing)
    }

    /// Blocks all traffic between two groups of hosts. Other hosts and the yard itself still reach
    /// all of them. Further calls add further splits.
    pub fn split(&self, some: &[&Host], others: &[&Host]) -> Result<()> {
        let numbers = |hosts: &[&Host]| hosts.iter().map(|host| host.number).collect::<Vec<_>>();
        network::split(&self.place, &numbers(some), &numbers(others))
    }

    /// Undoes every split.
    pub fn heal(&self) -> Result<()> {
        network::heal(&self.place)
    }

    /// A command on this machine that runs in the yard's network, where it has the address
    /// 10.77.0.1. It and its children are killed when the yard is removed.
    pub fn command(&self, program: &str) -> Result<Command> {
        let doors = self.place.groups.sub("yard").doors();
        let network = network::quoted(&self.place.network()?);
        let script = format!("exec nsenter --net={network} -- \"$@\"");
        let mut command = network::joining(&doors, &script);
        command.arg(program);
        Ok(command)
    }

    /// An ssh command to a host, as `root` or `op`; a remote command may be appended. It accepts
    /// only that host's key.
    pub fn ssh(&self, host: &Host, user: &str) -> Result<Command> {
        let known = self.place.data.join(host.name()).join("known-hosts");
        let mut command = self.command("ssh")?;
        command.args([
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
        ]);
        command.args([
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "GlobalKnownHostsFile=/dev/null",
        ]);
        command.args(["-o", "ConnectTimeout=5", "-o", "LogLevel=ERROR", "-o"]);
        command.arg(format!("UserKnownHostsFile={}", known.display()));
        command.arg("-i").arg(self.ssh_key());
        command.arg(format!("{user}@{}", host.address()));
        Ok(command)
    }

    /// Runs a function in a thread in the yard's network. Sockets that it opens stay in that
    /// network wherever they are used.
    pub fn inside<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        namespace::inside(&self.place, function)
    }

    /// Removes the yard and reports a failure. Dropping it does the same without a result.
    pub fn close(mut self) -> Result<()> {
        self.remove()
    }

    fn remove(&mut self) -> Result<()> {
        // Release the lock last, so no other process treats the yard as dead before.
        let Some(_lock) = self.lock.take() else {
            return Ok(());
        };
        self.place.remove()
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("can't remove the yard {}: {error}", self.id());
        }
    }
}

/// Removes leftovers of yards whose owner was killed. Returns their ids.
pub fn clean() -> Result<Vec<String>> {
    fitness()?;
    place::remove_leftovers()
}

/// Checks that hosts can be created here.
fn fitness() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| {
        std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    };
    match PROGRAMS.into_iter().find(|(program, _)| !has(program)) {
        Some((program, package)) => Err(Error::NoProgram { program, package }),
        None => Ok(()),
    }
}

/// The name becomes part of directory and cgroup names.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_fit = (1..=40).contains(&name.len()) && name.chars().all(fits);
    let what = || {
        Error::Asked(format!(
            "{name:?} isn't a valid yard name: use up to 40 of a-z, 0-9 and -"
        ))
    };
    is_fit.then_some(()).ok_or_else(what)
}

/// The hosts' root file system: the directory in `HAKUBE_YARD_IMAGE`, or Debian's, which is built if missing.
fn image() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os("HAKUBE_YARD_IMAGE") {
        return Ok(PathBuf::from(directory));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/lib/yard-image");
    Ok(PathBuf::from(
        checked(&mut Command::new(script))?.trim_end(),
    ))
}

/// The layer that turns a host into an instance of the local cloud: the directory in `HAKUBE_YARD_CLOUD_LAYER`, or
/// Debian's cloud-init, which is installed into it if missing.
pub fn cloud_layer() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os("HAKUBE_YARD_CLOUD_LAYER") {
        return Ok(PathBuf::from(directory));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/lib/yard-cloud-layer");
    Ok(PathBuf::from(
        checked(&mut Command::new(script))?.trim_end(),
    ))
}

fn raise(path: &str, least: u64) -> Result<()> {
    let current = fs::read_to_string(path).while_(|| format!("reading {path}"))?;
    if current
        .trim()
        .parse::<u64>()
        .is_ok_and(|current| current < least)
    {
        fs::write(path, least.to_string()).while_(|| format!("setting {path}"))?;
    }
    Ok(())
}
