//! The provider on this host's libvirtd, with a machine that boots.
//!
//! Runs in `scripts/lib/hypervisor`. There `HAKUBE_TEST_GUEST` is the directory of an image that
//! `scripts/lib/guest-image` built. Skipped elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use hakube_libvirt::{
    AddressPlan, Firmware, HostNetwork, Libvirt, LibvirtConfig, Patience, Virtualization,
};
use hakube_provider::{
    DiskSpec, Inventory, Login, MachineRef, MachineSpec, PreflightSpec, Provider, ResourceKind,
    SshServer,
};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const CLUSTER: &str = "real";
const ZONE: &str = "lan-site1-a";
const POOL: &str = "real";
const URI: &str = "qemu:///system";

fn virsh(arguments: &[&str]) -> String {
    let output = Command::new("virsh")
        .args(["--quiet", "--connect", URI])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "virsh {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn config(guest: &Path) -> LibvirtConfig {
    let range = "192.168.77.0/24".parse().unwrap();
    LibvirtConfig {
        zones: [(ZONE.to_owned(), URI.to_owned())].into(),
        pool: POOL.into(),
        network: HostNetwork::Nat { range },
        addresses: AddressPlan::of(range),
        virtualization: Virtualization::Emulated,
        firmware: Firmware::Kernel {
            kernel: guest.join("vmlinuz"),
            initrd: Some(guest.join("initrd.img")),
            command_line: "root=/dev/vda2 rw console=ttyS0".into(),
        },
        patience: Patience::default(),
    }
}

fn machine(guest: &Path, public_key: &str) -> MachineSpec {
    MachineSpec {
        machine_type: "2x1GiB".into(),
        image: guest.join("disk.qcow2").display().to_string(),
        boot_disk_gb: 6,
        data_disk: Some(DiskSpec {
            name: "real-master-pd".into(),
            device: "master-pd".into(),
            size_gb: 1,
            kind: String::new(),
        }),
        user_data: "#cloud-config\nwrite_files:\n- {path: /etc/carried-out, content: 'yes'}\n"
            .into(),
        login: Some(Login {
            user: "hakube".into(),
            public_key: public_key.into(),
        }),
        ..hakube_contract::machine_spec(CLUSTER, "real-master", ZONE)
    }
}

/// Runs a command on the machine. Its host key must be the one the provider reports.
fn on(server: &SshServer, key: &Path, command: &str) -> Option<String> {
    let known = key.with_extension("known");
    let mut lines = String::new();
    for host_key in &server.host_keys {
        writeln!(lines, "{} {host_key}", server.address).unwrap();
    }
    std::fs::write(&known, lines).unwrap();
    let output = Command::new("ssh")
        .args(["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"])
        .args([
            "-o",
            "ConnectTimeout=5",
            "-o",
            "GlobalKnownHostsFile=/dev/null",
        ])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known.display()))
        .arg("-i")
        .arg(key)
        .arg(format!("hakube@{}", server.address))
        .arg(command)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!errors.contains("IDENTIFICATION HAS CHANGED"), "{errors}");
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).unwrap())
}

async fn booted(provider: &Libvirt, machine: &MachineRef, key: &Path, command: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(400);
    loop {
        let server = provider.ssh_server(machine).await.unwrap().unwrap();
        if let Some(output) = on(&server, key, command) {
            return output;
        }
        let console = provider.console(machine).await.unwrap();
        assert!(Instant::now() < deadline, "it doesn't boot:\n{console}");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Adds another machine with this address to the machines' network.
fn add_neighbour(address: &str) {
    let ip = |arguments: &str| {
        let done = Command::new("ip").args(arguments.split(' ')).status();
        assert!(done.unwrap().success(), "ip {arguments}");
    };
    let network = virsh(&["net-info", &format!("hakube.{CLUSTER}")]);
    let bridge = network
        .lines()
        .find_map(|line| line.strip_prefix("Bridge:"));
    let bridge = bridge.unwrap().trim();
    ip("netns add neighbour");
    ip("link add neighbour type veth peer name eth0 netns neighbour");
    ip(&format!("link set neighbour up master {bridge}"));
    ip(&format!("-n neighbour addr add {address} dev eth0"));
    ip("-n neighbour link set eth0 up");
    let forwards = || {
        let link = Command::new("bridge")
            .args(["link", "show", "dev", "neighbour"])
            .output();
        String::from_utf8(link.unwrap().stdout)
            .unwrap()
            .contains("state forwarding")
    };
    while !forwards() {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn restart_libvirtd() {
    let pid = std::fs::read_to_string("/run/libvirtd.pid").unwrap();
    let stopped = Command::new("kill").arg(pid.trim()).status().unwrap();
    assert!(stopped.success());
    let gone = PathBuf::from(format!("/proc/{}", pid.trim()));
    while gone.exists() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let started = Command::new("libvirtd").arg("--daemon").status().unwrap();
    assert!(started.success());
}

#[tokio::test]
async fn a_machine_boots_with_its_address_keys_and_disks() {
    let (Some(guest), Some(_)) = (
        std::env::var_os("HAKUBE_TEST_GUEST").map(PathBuf::from),
        std::env::var_os("HAKUBE_HOST"),
    ) else {
        eprintln!("skipped: no host with libvirt; run scripts/test vm");
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    // QEMU runs as its own user, which can't access every directory.
    let pool = PathBuf::from("/var/lib/libvirt/images/real");
    std::fs::create_dir(&pool).unwrap();
    virsh(&[
        "pool-define-as",
        POOL,
        "dir",
        "--target",
        pool.to_str().unwrap(),
    ]);
    virsh(&["pool-start", POOL]);
    let key = scratch.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    let public_key = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let spec = machine(&guest, public_key.trim());
    let address = hakube_contract::address_spec(CLUSTER, "real-ip");

    let provider = Libvirt::connect(config(&guest)).unwrap();
    let wanted = PreflightSpec {
        addresses: vec![address.clone()],
        machines: vec![spec.clone()],
        ..PreflightSpec::default()
    };
    assert_eq!(provider.preflight(&wanted).await.unwrap(), []);
    provider.ensure_address(&address).await.unwrap();
    add_neighbour("192.168.77.3/24");
    let from = Instant::now();
    let made = provider.ensure_machine(&spec).await.unwrap();
    eprintln!("started after {:?}", from.elapsed());
    assert_eq!(made.internal_address.unwrap().to_string(), "192.168.77.4");
    let output = booted(
        &provider,
        &spec.machine,
        &key,
        "cloud-init status --wait >/dev/null; sync; hostname; sudo cat /etc/carried-out; echo; \
         readlink /dev/disk/by-id/virtio-master-pd; ip -4 -o addr show eth0; ip route; df -m / | tail -1",
    )
    .await;
    eprintln!("booted after {:?}:\n{output}", from.elapsed());
    assert!(
        output.starts_with("real-master\nyes\n../../vdb\n"),
        "{output}"
    );
    assert!(
        output.contains(&format!("inet {}/24", made.internal_address.unwrap())),
        "{output}"
    );
    assert!(output.contains("default via 192.168.77.1"), "{output}");
    assert!(
        provider
            .console(&spec.machine)
            .await
            .unwrap()
            .contains("real-master")
    );

    // libvirtd and the machine restart. The keys stay the same.
    restart_libvirtd();
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = provider.inspect(CLUSTER).await {
        assert!(error.is_transient() && Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    virsh(&["destroy", "real-master"]);
    // Without its network the machine can't start.
    virsh(&["net-destroy", "hakube.real"]);
    assert_eq!(provider.ensure_machine(&spec).await.unwrap(), made);
    let output = booted(&provider, &spec.machine, &key, "hostname").await;
    eprintln!("booted again after {:?}", from.elapsed());
    assert_eq!(output, "real-master\n");

    use ResourceKind as Kind;
    for kind in [
        Kind::Machine,
        Kind::Disk,
        Kind::Address,
        Kind::Image,
        Kind::Network,
    ] {
        let inventory = provider.inspect(CLUSTER).await.unwrap();
        for resource in inventory
            .resources
            .iter()
            .filter(|resource| resource.kind == kind)
        {
            provider.delete(CLUSTER, resource).await.unwrap();
        }
    }
    assert_eq!(
        provider.inspect(CLUSTER).await.unwrap(),
        Inventory::default()
    );
    assert!(!virsh(&["list", "--all", "--name"]).contains("real-"));
    assert!(!virsh(&["net-list", "--all", "--name"]).contains("hakube.real"));
    assert_eq!(std::fs::read_dir(&pool).unwrap().count(), 0);
    // Deleting the namespace deletes both ends of the veth pair.
    let gone = Command::new("ip")
        .args(["netns", "delete", "neighbour"])
        .status();
    assert!(gone.unwrap().success());
    virsh(&["pool-destroy", POOL]);
    virsh(&["pool-undefine", POOL]);
}
