//! The yard: a network, hosts on it, and the key that opens them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::error::{Error, Result, While, checked};
use crate::host::Host;
use crate::place::{self, Place};
use crate::spec::HostSpec;
use crate::{build, layer, namespace, network};

/// Programs that the yard calls, and what has them: scripts/lib/prerequisites.sh.
const PROGRAMS: [(&str, &str); 8] = [
    ("systemd-nspawn", "systemd-container"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
    ("mke2fs", "e2fsprogs"),
    ("ssh-keygen", "openssh-client"),
];

/// Settings of this machine's kernel that hold for all hosts together, and what they need at least. They are only
/// ever raised, and stay.
const SETTINGS: [(&str, u64); 2] = [
    ("/proc/sys/fs/inotify/max_user_instances", 8192),
    ("/proc/sys/kernel/pid_max", 131_072),
];

/// A network with hosts. Whoever opens it owns it, and it goes when it is dropped, with all that runs in it.
#[derive(Debug)]
pub struct Yard {
    place: Arc<Place>,
    /// Locked by the owner. None: somebody else's, and nothing goes when this is dropped.
    lock: Option<File>,
}

impl Yard {
    /// Opens a yard with its data below the directory for temporary files. First it removes what is left of yards
    /// whose owner was killed.
    pub fn open(name: &str) -> Result<Self> {
        Self::open_in(name, &std::env::temp_dir())
    }

    /// The same with its data below this directory. The disks of its hosts are there.
    pub fn open_in(name: &str, parent: &Path) -> Result<Self> {
        fitness()?;
        check_name(name)?;
        if let Err(error) = place::remove_leftovers() {
            // Somebody else's. It is no reason to do without hosts.
            eprintln!("What is left of another yard can't be removed: {error}");
        }
        let image = image()?;
        let parent = parent
            .canonicalize()
            .while_(|| format!("looking for {}", parent.display()))?;
        let (place, lock) = Place::make(name, &parent)?;
        // From here on, dropping it cleans up.
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

    /// A yard that somebody has open, by its name or its id. With no name: the only one that there is.
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
                "there are several yards, name one: {}",
                names.join(", ")
            ))),
        }
    }

    /// All yards that somebody has open, on this machine.
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

    /// Its name.
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// What it is called among all yards of this machine.
    pub fn id(&self) -> &str {
        &self.place.id
    }

    /// The process that owns it, as long as that lives.
    pub fn owner(&self) -> Option<u32> {
        let owner = self.place.owner()?;
        u32::try_from(owner.pid).ok()
    }

    /// Tells the owner to end, with SIGTERM.
    pub fn end_owner(&self) {
        if let Some(owner) = self.place.owner() {
            owner.signal(rustix::process::Signal::TERM);
        }
    }

    /// Its directory of data: the caller may put files there, and they go with it.
    pub fn directory(&self) -> &Path {
        &self.place.data
    }

    /// The private key that opens `root` and `op` on every host. Its mode is 0600; the public one has `.pub` at its
    /// end.
    pub fn ssh_key(&self) -> PathBuf {
        self.place.data.join("ssh-key")
    }

    /// Makes a host and switches it on. It boots meanwhile: see [`Host::wait_booted`].
    pub fn boot(&self, spec: &HostSpec) -> Result<Host> {
        Ok(self.boot_all(std::slice::from_ref(spec))?.remove(0))
    }

    /// Boots several at once. The answer has them in the order of the question.
    pub fn boot_all(&self, specs: &[HostSpec]) -> Result<Vec<Host>> {
        // One after the other, so that they have their addresses in order.
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

    /// Lets nothing pass between these two groups of hosts. Everybody else reaches all of them, and so does the
    /// yard itself. Further calls split further.
    pub fn split(&self, some: &[&Host], others: &[&Host]) -> Result<()> {
        let numbers = |hosts: &[&Host]| hosts.iter().map(|host| host.number).collect::<Vec<_>>();
        network::split(&self.place, &numbers(some), &numbers(others))
    }

    /// Undoes every split.
    pub fn heal(&self) -> Result<()> {
        network::heal(&self.place)
    }

    /// A command of this machine that runs in the yard's network, where it is 10.77.0.1. It and what it starts are
    /// killed when the yard goes.
    pub fn command(&self, program: &str) -> Result<Command> {
        let doors = self.place.groups.sub("yard").doors();
        let network = network::quoted(&self.place.network()?);
        let script = format!("exec nsenter --net={network} -- \"$@\"");
        let mut command = network::joining(&doors, &script);
        command.arg(program);
        Ok(command)
    }

    /// ssh to a host, as `root` or `op`; what runs there can be added. It knows the host's key, and no other.
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

    /// Runs a function in a thread within the yard's network. Sockets that it opens stay in there, wherever they are
    /// used afterwards.
    pub fn inside<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        namespace::inside(&self.place, function)
    }

    /// Takes the yard away, and says if that fails. Dropping it does the same.
    pub fn close(mut self) -> Result<()> {
        self.remove()
    }

    fn remove(&mut self) -> Result<()> {
        // The lock goes last, lest somebody finds it dead before.
        let Some(_lock) = self.lock.take() else {
            return Ok(());
        };
        self.place.remove()
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("The yard {} isn't gone: {error}", self.id());
        }
    }
}

/// Removes what is left of yards whose owner was killed. Returns their ids.
pub fn clean() -> Result<Vec<String>> {
    fitness()?;
    place::remove_leftovers()
}

/// Can hosts be made here?
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

/// It becomes part of the names of directories and cgroups.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_fit = (1..=40).contains(&name.len()) && name.chars().all(fits);
    let what = || {
        Error::Asked(format!(
            "{name:?} is no name of a yard: a-z, 0-9 and -, up to 40 of them"
        ))
    };
    is_fit.then_some(()).ok_or_else(what)
}

/// The root file system of the hosts: the directory in `HAKUBE_YARD_IMAGE`, or Debian's, which is made when there is
/// none.
fn image() -> Result<PathBuf> {
    if let Some(directory) = std::env::var_os("HAKUBE_YARD_IMAGE") {
        return Ok(PathBuf::from(directory));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/lib/yard-image");
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
