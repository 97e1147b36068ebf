//! Properties of a host.

use hakube_yard::{ADDRESS, HostSpec};

use crate::{boot, open, reaches, sh};

#[test]
fn hosts_are_plain_debian_servers_with_ssh() {
    let Some(yard) = open("hosts") else { return };
    let layer = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(layer.path().join("opt")).unwrap();
    std::fs::write(layer.path().join("opt/layered"), "from a layer").unwrap();
    let specs = [
        HostSpec::new("a"),
        HostSpec::new("b-with-a-long-name").number(77),
    ];
    let specs = specs.map(|spec| spec.layer(layer.path()).file("/etc/own", 0o600, "own"));
    let hosts = boot(&yard, &specs);
    let (a, b) = (&hosts[0], &hosts[1]);
    assert_eq!(b.address().to_string(), "10.77.0.77");

    for host in &hosts {
        assert_eq!(sh(host, "systemctl --failed --plain --no-legend"), "");
        assert_eq!(sh(host, "systemctl is-system-running"), "running");
        assert_eq!(
            sh(host, "hostname; cat /opt/layered /etc/own"),
            format!("{}\nfrom a layerown", host.name())
        );
        assert_eq!(
            sh(
                host,
                "stat -c '%a %U' /root /etc /etc/ssh /home/op /etc/own"
            ),
            "700 root\n755 root\n755 root\n700 op\n600 root"
        );
        // Nothing of a cluster is installed, and the programs for a virtual address aren't running.
        sh(
            host,
            "! command -v containerd kubelet; command -v haproxy keepalived",
        );
        sh(host, "! systemctl is-active haproxy keepalived");
        // containerd creates overlays there.
        sh(
            host,
            "cd /var/lib; mkdir l u w m; mount -t overlay -o lowerdir=l,upperdir=u,workdir=w x m; umount m; rm -r l u w m",
        );
        // The network is isolated.
        sh(
            host,
            "ip route get 192.0.2.1 | grep 'via 10.77.0.1'; ! ping -c 1 -W 0.2 192.0.2.1",
        );
        for user in ["root", "op"] {
            let root = if user == "op" { "sudo id -u" } else { "id -u" };
            let output = yard
                .ssh(host, user)
                .unwrap()
                .args(["hostname;", root])
                .output()
                .unwrap();
            let expected = format!("{}\n0\n", host.name());
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                expected,
                "{output:?}"
            );
        }
        let key = sh(host, "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub");
        assert_eq!(host.ssh_host_key().unwrap(), key);
    }
    for unique in [
        "/etc/machine-id",
        "/proc/sys/kernel/random/boot_id",
        "/sys/class/net/host0/address",
    ] {
        let print = format!("cat {unique}");
        assert_ne!(sh(a, &print), sh(b, &print), "{unique}");
    }
    assert!(reaches(a, b) && reaches(b, a));

    // The yard serves hosts from its own address.
    let listener = yard
        .inside(|| std::net::TcpListener::bind((ADDRESS, 0)))
        .unwrap()
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    sh(
        a,
        &format!("timeout 5 bash -c 'exec 3<>/dev/tcp/{ADDRESS}/{port}'"),
    );
}

#[test]
fn invalid_requests_are_refused() {
    let Some(yard) = open("sense") else { return };
    let refused = |spec: HostSpec, what: &str| {
        let error = yard.boot(&spec).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    refused(HostSpec::new("No_Name"), "valid host name");
    refused(HostSpec::new("a").number(1), "can't be a host's address");
    refused(HostSpec::new("b").layer("nowhere"), "can't be a layer");
    refused(
        HostSpec::new("c").file("/../x", 0o600, ""),
        "valid file path",
    );
    let error = hakube_yard::Yard::open("sense").unwrap_err().to_string();
    assert!(error.contains("already"), "{error}");
}
