//! The files that distinguish a host from others, and those that let Debian run as a container here.
//!
//! They overlay the root file system, below what the host itself writes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result, While, checked};
use crate::network::{self, ADDRESS};
use crate::spec::HostSpec;

/// `op` in the root file system: scripts/lib/yard-image.
const OP: u32 = 1000;

/// Without udev, which other services would wait for, the address is set manually.
const NETWORK: &str = "\
[Unit]
Description=The network of a host in the yard
DefaultDependencies=no
Wants=network.target
Before=network.target network-online.target ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip address add @ADDRESS@/24 dev host0
ExecStart=ip link set host0 up
ExecStart=ip route add default via @GATEWAY@

[Install]
WantedBy=multi-user.target
";

/// What a physical machine has from the start: cgroups that a kubelet may write to, mounts that
/// containers see.
const MACHINE: &str = "\
[Unit]
Description=Complete a yard host's cgroups and mounts
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=sh -c 'for c in /sys/fs/cgroup /sys/fs/cgroup/*; do mount -o remount,bind,rw $$c 2>/dev/null || true; done'
ExecStart=mount --make-rshared /
# Sysrq would reboot this machine.
ExecStart=sh -c '! test -e /proc/sysrq-trigger || mount --bind /dev/null /proc/sysrq-trigger'

[Install]
WantedBy=sysinit.target
";

/// The kernel's messages are this machine's and those of all hosts.
const JOURNAL: &str = "[Journal]\nReadKMsg=no\n";

/// Not even root can lower the OOM score here: CAP_SYS_RESOURCE is missing.
const CONTAINERD: &str = "\
version = 3

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
";

/// Writes a host's layer into a new directory. `key` is the public key that may log in.
pub(crate) fn write(layer: &Path, spec: &HostSpec, number: u8, key: &str) -> Result<()> {
    let name = &spec.name;
    let address = network::address(number);
    let unit = NETWORK.replace("@ADDRESS@", &address.to_string());
    let unit = unit.replace("@GATEWAY@", &ADDRESS.to_string());
    let hosts = format!(
        "127.0.0.1 localhost\n{address} {name}\n\n::1 localhost ip6-localhost ip6-loopback\n"
    );
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")
        .while_(|| "reading a random UUID".to_owned())?
        .replace('-', "");
    // A name server that doesn't exist: queries fail at once.
    let resolver = format!("nameserver {ADDRESS}\n");

    private(&layer.join("root"), 0)?;
    private(&layer.join("root/.ssh"), 0)?;
    public(&layer.join("home"))?;
    private(&layer.join("home/op"), OP)?;
    private(&layer.join("home/op/.ssh"), OP)?;
    let units = "etc/systemd/system";
    let files: [(&str, &str, u32); 10] = [
        ("etc/hostname", &format!("{name}\n"), 0o644),
        ("etc/machine-id", &id, 0o444),
        ("etc/hosts", &hosts, 0o644),
        ("etc/resolv.conf", &resolver, 0o644),
        ("root/.ssh/authorized_keys", key, 0o600),
        ("home/op/.ssh/authorized_keys", key, 0o600),
        ("etc/systemd/system/yard-network.service", &unit, 0o644),
        ("etc/systemd/system/yard-machine.service", MACHINE, 0o644),
        ("etc/systemd/journald.conf.d/10-yard.conf", JOURNAL, 0o644),
        ("etc/containerd/conf.d/10-yard.toml", CONTAINERD, 0o644),
    ];
    for (path, content, mode) in files {
        file(layer, Path::new(path), content.as_bytes(), mode)?;
    }
    let operators = layer.join("home/op/.ssh/authorized_keys");
    chown(&operators, Some(OP), Some(OP))
        .while_(|| format!("changing the owner of {}", operators.display()))?;
    for (target, service) in [("multi-user", "yard-network"), ("sysinit", "yard-machine")] {
        let wants = layer.join(units).join(format!("{target}.target.wants"));
        public(&wants)?;
        let link = wants.join(format!("{service}.service"));
        symlink(format!("../{service}.service"), &link)
            .while_(|| format!("creating {}", link.display()))?;
    }

    public(&layer.join("etc/ssh"))?;
    let host_key = layer.join("etc/ssh/ssh_host_ed25519_key");
    make_key(&host_key, &format!("root@{name}"))?;
    for (path, content, mode) in &spec.files {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let leaves = relative.components().any(|part| part.as_os_str() == "..");
        if leaves || relative.as_os_str().is_empty() {
            let what = format!("{} isn't a valid file path on a host", path.display());
            return Err(Error::Asked(what));
        }
        file(layer, relative, content, *mode)?;
    }
    Ok(())
}

/// Creates an ssh key pair. The public key's file has the suffix `.pub`.
pub(crate) fn make_key(path: &Path, comment: &str) -> Result<()> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"]);
    checked(command.arg(path)).map(drop)
}

fn file(layer: &Path, path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let path = layer.join(path);
    if let Some(directory) = path.parent() {
        public(directory)?;
    }
    fs::write(&path, content)
        .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
        .while_(|| format!("writing {}", path.display()))
}

/// Creates a world-readable directory and its parents. A directory's mode in a higher layer hides
/// that in a lower one.
fn public(directory: &Path) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        public(parent)?;
    }
    fs::create_dir(directory)
        .and_then(|()| fs::set_permissions(directory, Permissions::from_mode(0o755)))
        .while_(|| format!("creating {}", directory.display()))
}

fn private(directory: &Path, owner: u32) -> Result<()> {
    crate::place::private(directory)?;
    chown(directory, Some(owner), Some(owner))
        .while_(|| format!("changing the owner of {}", directory.display()))
}
