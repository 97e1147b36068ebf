//! Further disks of a host.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;

use crate::error::{Error, Result, While, checked};
use crate::host::Host;
use crate::network;
use crate::spec::Device;

impl Host {
    /// Its further disks; none for a host that may have none.
    pub fn devices(&self) -> Result<Vec<Device>> {
        let path = self.run_file("devices");
        let lines = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.while_(|| format!("reading {}", path.display()))?,
        };
        let pairs = lines.lines().filter_map(|line| line.split_once('\t'));
        let device = |(file, name): (&str, &str)| Device {
            file: file.into(),
            name: name.to_owned(),
        };
        Ok(pairs.map(device).collect())
    }

    /// Sets the further disks that it has from its next boot on.
    pub fn set_devices(&self, devices: &[Device]) -> Result<()> {
        let mut lines = String::new();
        for Device { file, name } in devices {
            check_name(name)?;
            let _ = writeln!(lines, "{}\t{name}", file.display());
        }
        self.write("devices", &lines)
    }

    /// Attaches a disk while the host runs.
    pub fn attach(&self, device: &Device) -> Result<()> {
        let name = &device.name;
        check_name(name)?;
        let doors = self.groups().doors();
        // The loop device lives as long as this process, which is one of the host's.
        let script = "loop=$(losetup --find --show \"$1\")
            exec 9<>\"$loop\"
            sleep infinity <&9 >/dev/null 2>&1 &
            holder=$!
            losetup --detach \"$loop\"
            cat \"/sys/block/${loop##*/}/dev\"
            echo \"$holder\"";
        let mut command = network::joining(&doors, script);
        let printed = checked(command.arg(&device.file))?;
        let mut words = printed.split_whitespace();
        let (Some(number), Some(holder)) = (words.next(), words.next()) else {
            return Err(Error::Unfit(format!("losetup printed {printed:?}")));
        };
        fs::create_dir_all(self.data("attached"))
            .and_then(|()| fs::write(self.data("attached").join(name), holder))
            .while_(|| format!("recording the disk {name}"))?;
        let entry = format!("S:disk/by-id/{name}\nI:1\nG:systemd\nQ:systemd\nV:1\n");
        let database = self.data("udev");
        fs::write(database.join(format!("data/b{number}")), entry)
            .and_then(|()| fs::write(database.join(format!("tags/systemd/b{number}")), ""))
            .while_(|| format!("describing the disk {name}"))?;
        let (major, minor) = number.split_once(':').unwrap_or((number, "0"));
        let script = "mkdir -p /dev/disk/by-id
            mknod \"/dev/loop$2\" b \"$1\" \"$2\" 2>/dev/null || true
            ln -sf \"../../loop$2\" \"/dev/disk/by-id/$3\"
            systemctl daemon-reexec";
        self.run(&["sh", "-euc", script, "attach", major, minor, name])?
            .checked()?;
        let mut devices = self.devices()?;
        devices.push(device.clone());
        self.set_devices(&devices)
    }

    /// Detaches a disk while the host runs. A process that has it open keeps it until it closes it.
    pub fn detach(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let mut devices = self.devices()?;
        devices.retain(|device| device.name != name);
        self.set_devices(&devices)?;
        let script =
            "umount \"/dev/disk/by-id/$1\" 2>/dev/null || true; rm -f \"/dev/disk/by-id/$1\"";
        self.run(&["sh", "-c", script, "detach", name])?.checked()?;
        let record = self.data("attached").join(name);
        let holder = match fs::read_to_string(&record) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            read => read.while_(|| format!("reading {}", record.display()))?,
        };
        // Only a process of the host.
        let members = self.groups().members();
        let holder = members
            .iter()
            .find(|member| member.pid.to_string() == holder.trim());
        if let Some(holder) = holder {
            holder.kill();
        }
        fs::remove_file(&record).while_(|| format!("removing {}", record.display()))
    }

    /// Suspends all its processes until [`Host::resume`].
    pub fn pause(&self) -> Result<()> {
        self.signal_all(rustix::process::Signal::STOP)
    }

    /// Resumes all its processes.
    pub fn resume(&self) -> Result<()> {
        self.signal_all(rustix::process::Signal::CONT)
    }

    fn signal_all(&self, signal: rustix::process::Signal) -> Result<()> {
        let launcher = self.launcher_or_off()?;
        for member in self.groups().members() {
            if member != launcher {
                member.signal(signal);
            }
        }
        Ok(())
    }

    /// Deletes the host, which is powered off, with all that the yard has of it. A disk in a file of the caller's
    /// stays: see [`HostSpec::disk_file`](crate::HostSpec::disk_file).
    pub fn remove(&self) -> Result<()> {
        if self.is_on() {
            return Err(Error::Asked(format!(
                "{} can't be deleted: it is powered on",
                self.name
            )));
        }
        if self.groups().exist() {
            self.groups().remove(crate::host::SWITCH)?;
        }
        for directory in [self.data(""), self.run_file("")] {
            match fs::remove_dir_all(&directory) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => removed.while_(|| format!("removing {}", directory.display()))?,
            }
        }
        let number = self.place.run.join("numbers").join(self.number.to_string());
        fs::remove_file(&number).while_(|| format!("removing {}", number.display()))
    }
}

/// Names become part of paths.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(fits) {
        return Ok(());
    }
    let what = format!("{name:?} can't be a disk's name: use a-z, A-Z, 0-9, - and _");
    Err(Error::Asked(what))
}
