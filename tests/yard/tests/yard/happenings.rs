//! Host events: power, reboots, cables, disks, processes.

use hakube_yard::{HostSpec, Which, until};

use crate::{LIMIT, boot, open, reaches, sh};

#[test]
fn power_and_reboots() {
    let Some(yard) = open("power") else { return };
    let host = boot(&yard, &["a".into()]).remove(0);
    sh(&host, "echo kept | tee /root/kept /var/lib/kept; sync");
    let identity =
        "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub /sys/class/net/host0/address";
    let before = sh(&host, identity);
    // Containers' cgroups are gone after a power cut.
    sh(
        &host,
        "mkdir -p /sys/fs/cgroup/pids/kubepods/pod || mkdir -p /sys/fs/cgroup/kubepods/pod",
    );

    host.cut_power().unwrap();
    assert!(!host.is_on());
    assert!(host.run(&["true"]).is_err());
    assert!(host.cut_power().is_err());
    host.power_on().unwrap();
    host.wait_booted(LIMIT).unwrap();
    assert_eq!(sh(&host, "cat /root/kept /var/lib/kept"), "kept\nkept");
    assert_eq!(sh(&host, identity), before);
    sh(&host, "! find /sys/fs/cgroup -name kubepods | grep .");

    // A clean shutdown stops services in order, a power cut doesn't.
    let boot_id = sh(&host, "cat /proc/sys/kernel/random/boot_id");
    sh(
        &host,
        "printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\nExecStop=touch /root/stopped\n' \
        >/etc/systemd/system/witness.service; systemctl start witness; mkdir /sys/fs/cgroup/pids/kubepods || true",
    );
    host.reboot().unwrap();
    host.wait_booted(LIMIT).unwrap();
    sh(
        &host,
        "test -e /root/stopped; ! find /sys/fs/cgroup -name kubepods | grep .",
    );
    let second = sh(&host, "cat /proc/sys/kernel/random/boot_id");
    assert_ne!(second, boot_id);

    // The host reboots itself. It doesn't wait for commands run from outside.
    let mut guest = host.command("sleep").unwrap().arg("5555").spawn().unwrap();
    sh(&host, "systemctl reboot");
    let rebooted = until("it has rebooted itself", LIMIT, || {
        let id = host.run(&["cat", "/proc/sys/kernel/random/boot_id"]);
        id.is_ok_and(|id| id.status.success() && id.stdout.trim() != second)
    });
    rebooted.unwrap_or_else(|error| panic!("{error}; its console:\n{}", host.console()));
    host.wait_booted(LIMIT).unwrap();
    assert!(!guest.wait().unwrap().success());

    host.shut_down().unwrap();
    assert!(!host.is_on());
    host.power_on().unwrap();
    // A power cut can happen at any time.
    host.cut_power().unwrap();
    host.power_on().unwrap();
    host.wait_booted(LIMIT).unwrap();
}

#[test]
fn peers_do_not_notice_a_power_cut() {
    let Some(yard) = open("silent") else { return };
    let hosts = boot(&yard, &["a".into(), "b".into()]);
    let [a, b] = [&hosts[0], &hosts[1]];
    let listen =
        "import socket,time; s=socket.create_server(('',5000)); c=s.accept(); time.sleep(600)";
    let connect = format!(
        "import socket,time; c=socket.create_connection(('{}',5000)); time.sleep(600)",
        b.address()
    );
    let mut listener = b.command("python3").unwrap();
    let mut listener = listener.args(["-c", listen]).spawn().unwrap();
    until("b listens", LIMIT, || {
        !sh(b, "ss -Htln sport = :5000").is_empty()
    })
    .unwrap();
    let mut client = a.command("python3").unwrap();
    let mut client = client.args(["-c", &connect]).spawn().unwrap();
    let connections = "ss -Htn state established sport = :5000";
    until("a is connected", LIMIT, || !sh(b, connections).is_empty()).unwrap();

    a.cut_power().unwrap();
    // A closed connection would have shown before the host was off.
    assert_ne!(sh(b, connections), "");
    assert!(!client.wait().unwrap().success());
    b.cut_power().unwrap();
    assert!(!listener.wait().unwrap().success());
}

#[test]
fn cables_and_splits() {
    let Some(yard) = open("cables") else { return };
    let hosts = boot(&yard, &["a".into(), "b".into(), "c".into()]);
    let [a, b, c] = [&hosts[0], &hosts[1], &hosts[2]];

    b.unplug().unwrap();
    assert!(!reaches(a, b) && !reaches(b, a) && reaches(a, c));
    assert_eq!(sh(b, "cat /sys/class/net/host0/carrier"), "0");
    // It stays unplugged when the host boots.
    b.reboot().unwrap();
    b.wait_booted(LIMIT).unwrap();
    assert!(!reaches(a, b) && !reaches(b, a));
    // Even if the host reboots itself.
    b.run(&["systemctl", "reboot"]).unwrap();
    b.wait_booted(LIMIT).unwrap();
    assert!(!reaches(a, b) && !reaches(b, a));
    b.plug().unwrap();
    until("b is back", LIMIT, || reaches(a, b)).unwrap();

    yard.split(&[a], &[b, c]).unwrap();
    assert!(!reaches(a, b) && !reaches(b, a) && !reaches(a, c) && reaches(b, c));
    // Existing connections are blocked too, and the yard reaches all hosts.
    let output = yard.ssh(a, "root").unwrap().arg("true").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // A rebooted host is still on its side.
    a.cut_power().unwrap();
    a.power_on().unwrap();
    a.wait_booted(LIMIT).unwrap();
    assert!(!reaches(a, b) && !reaches(c, a));
    yard.heal().unwrap();
    until("the split is healed", LIMIT, || {
        reaches(a, b) && reaches(c, a)
    })
    .unwrap();
    assert!(yard.split(&[a], &[a, b]).is_err());
}

#[test]
fn disks_and_processes() {
    let Some(yard) = open("disks") else { return };
    let host = boot(&yard, &[HostSpec::new("a").disk_mib(256)]).remove(0);

    host.fill_disk().unwrap();
    for directory in ["/root", "/var/lib", "/etc"] {
        let path = format!("{directory}/more");
        let ran = host
            .run(&[
                "dd",
                "if=/dev/zero",
                &format!("of={path}"),
                "bs=64k",
                "count=1",
                "conv=fsync",
            ])
            .unwrap();
        assert!(
            ran.stderr.contains("No space left on device"),
            "{directory}: {ran:?}"
        );
    }
    host.free_disk().unwrap();
    sh(
        &host,
        "dd if=/dev/zero of=/var/lib/more bs=1M count=100 conv=fsync",
    );
    // The disk has the requested size.
    let ran = host
        .run(&[
            "dd",
            "if=/dev/zero",
            "of=/var/lib/more",
            "bs=1M",
            "count=300",
        ])
        .unwrap();
    assert!(ran.stderr.contains("No space left on device"), "{ran:?}");
    sh(&host, "rm /var/lib/more");

    sh(
        &host,
        "systemd-run --unit first sleep 7777; systemd-run --unit second sleep 8888",
    );
    let main = |unit: &str| {
        sh(&host, &format!("systemctl show --value -p MainPID {unit}"))
            .parse::<u32>()
            .unwrap()
    };
    let state = |id: u32| sh(&host, &format!("cut -d' ' -f3 /proc/{id}/stat"));
    let (first, second) = (main("first"), main("second"));
    assert_eq!(
        host.freeze(Which::CommandLine("sleep 7777")).unwrap(),
        [first]
    );
    assert_eq!(
        (state(first), state(second)),
        ("T".to_owned(), "S".to_owned())
    );
    assert_eq!(host.thaw(first).unwrap(), [first]);
    assert_eq!(state(first), "S");
    let mut both = host.freeze("sleep").unwrap();
    both.sort_unstable();
    assert_eq!(both, [first, second]);
    host.thaw("sleep").unwrap();
    assert_eq!(state(second), "S");
    let error = host.freeze("missing").unwrap_err().to_string();
    assert!(error.contains("no such process"), "{error}");
    // Frozen processes end with the power too.
    host.freeze("sleep").unwrap();
    host.cut_power().unwrap();
}
