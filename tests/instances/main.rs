//! The local cloud's machines that boot: `hakube local serve --machines host`. Root, systemd-nspawn and Debian with
//! cloud-init; the API is used as any client would.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cloud;

use cloud::{Cloud, PATIENCE, REGION, ZONE, instance};
use hakube_yard::until;
use serde_json::json;

/// What the instances' user data starts: a server that prints the instance's name to everyone.
const USER_DATA: &str = "\
#cloud-config
write_files:
- path: /etc/from-user-data
  permissions: '0640'
  content: written by cloud-init
- path: /etc/systemd/system/name.service
  content: |
    [Service]
    ExecStartPre=/bin/sh -c 'mkdir -p /run/name; cat /etc/hostname >/run/name/index.html'
    ExecStart=/usr/bin/python3 -m http.server 8080 --directory /run/name
    [Install]
    WantedBy=multi-user.target
runcmd:
- [systemctl, daemon-reload]
- [systemctl, enable, --now, name.service]
";

#[test]
fn instances_boot_and_have_the_network_of_compute_engine() {
    let Some(mut cloud) = Cloud::start() else {
        return;
    };
    let zone = format!("zones/{ZONE}");
    let one = format!("{zone}/instances/one");

    cloud.chapter("an instance boots with cloud-init, its user data and its disk");
    let key = cloud.file("key");
    let made = cloud.run(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", key.to_str().unwrap()],
    );
    made.unwrap();
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let ssh_keys = format!("someone:{}", public.trim());
    cloud.post(
        &format!("{zone}/disks"),
        &json!({"name": "data", "sizeGb": "2"}),
    );
    let mut wanted = instance(
        "one",
        "served",
        &[
            ("user-data", USER_DATA),
            ("ssh-keys", &ssh_keys),
            ("enable-guest-attributes", "TRUE"),
        ],
    );
    wanted["canIpForward"] = true.into();
    wanted["disks"].as_array_mut().unwrap().push(json!({
        "source": format!("{zone}/disks/data"), "deviceName": "data", "autoDelete": false,
    }));
    cloud.post(&format!("{zone}/instances"), &wanted);
    cloud.await_booted("one");
    let written = cloud.on("one", &["stat", "--format=%a", "/etc/from-user-data"]);
    assert_eq!(written.unwrap().trim(), "640");
    let device = "/dev/disk/by-id/google-data";
    let size = cloud
        .on("one", &["blockdev", "--getsize64", device])
        .unwrap();
    assert_eq!(size.trim(), (2_u64 << 30).to_string());
    // A unit can wait for the disk, as for one that udev knows.
    cloud
        .on(
            "one",
            &[
                "systemctl",
                "is-active",
                r"dev-disk-by\x2did-google\x2ddata.device",
            ],
        )
        .unwrap();
    cloud
        .on("one", &["mke2fs", "-q", "-t", "ext4", device])
        .unwrap();
    let keep = format!("mount {device} /mnt && echo kept >/mnt/file && umount /mnt");
    cloud.on("one", &["sh", "-ec", &keep]).unwrap();

    cloud.chapter("its firewall lets nothing in that no rule allows");
    let found = cloud.get(&one);
    let nic = &found["networkInterfaces"][0];
    let external = nic["accessConfigs"][0]["natIP"]
        .as_str()
        .unwrap()
        .to_owned();
    let internal = nic["networkIP"].as_str().unwrap().to_owned();
    let addresses = cloud.on(
        "one",
        &["ip", "-brief", "-4", "address", "show", "dev", "host0"],
    );
    assert!(addresses.unwrap().contains(&format!("{internal}/32")));
    let url = format!("http://{external}:8080/");
    cloud.await_on(
        "one",
        &["curl", "--silent", "http://127.0.0.1:8080/"],
        |text| text.trim() == "one",
    );
    assert!(!cloud.answers(&url, "one"), "no rule allows port 8080");
    cloud.post(
        "global/firewalls",
        &json!({
            "name": "names", "network": "global/networks/default", "sourceRanges": ["10.77.0.0/24", "35.191.0.0/16"],
            "allowed": [{"IPProtocol": "tcp", "ports": ["8080"]}], "targetTags": ["served"],
        }),
    );
    cloud.await_answer(&url, "one");

    cloud.chapter("a user of the metadata logs in, and another one who comes later");
    let log_in = |user: &str| {
        let at = format!("{user}@{external}");
        let options = [
            "-oStrictHostKeyChecking=no",
            "-oUserKnownHostsFile=/dev/null",
            "-oBatchMode=yes",
        ];
        let mut all = vec!["-F", "/dev/null", "-i", key.to_str().unwrap()];
        all.extend(options);
        all.extend([
            "-oConnectTimeout=5",
            "-oLogLevel=ERROR",
            &at,
            "sudo",
            "id",
            "-un",
        ]);
        cloud.run("ssh", &all).unwrap_or_default().trim() == "root"
    };
    until("someone logs in", PATIENCE, || log_in("someone")).unwrap();
    let host_key = cloud
        .on("one", &["cat", "/etc/ssh/ssh_host_ed25519_key.pub"])
        .unwrap();
    let attributes = cloud.get(&format!("{one}/getGuestAttributes?queryPath=hostkeys/"));
    assert!(
        attributes["queryValue"]["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|item| {
                let value = item["value"].as_str().unwrap();
                item["key"] == "ssh-ed25519" && host_key.contains(value)
            }),
        "{attributes:#}"
    );
    let metadata = &cloud.get(&one)["metadata"];
    let mut items = metadata["items"].clone();
    for item in items.as_array_mut().unwrap() {
        if item["key"] == "ssh-keys" {
            item["value"] = format!("another:{}", public.trim()).into();
        }
    }
    let body = json!({"fingerprint": metadata["fingerprint"], "items": items});
    cloud.post(&format!("{one}/setMetadata"), &body);
    until("another logs in", PATIENCE, || log_in("another")).unwrap();
    assert!(!log_in("someone"), "the key is no longer in the metadata");

    cloud.chapter("a disk is attached while it runs");
    cloud.post(
        &format!("{zone}/disks"),
        &json!({"name": "more", "sizeGb": "1"}),
    );
    let more = json!({"source": format!("{zone}/disks/more"), "deviceName": "more"});
    cloud.post(&format!("{one}/attachDisk"), &more);
    let unit = r"dev-disk-by\x2did-google\x2dmore.device";
    cloud.await_on("one", &["systemctl", "is-active", unit], |_| true);
    let size = cloud.on(
        "one",
        &["blockdev", "--getsize64", "/dev/disk/by-id/google-more"],
    );
    assert_eq!(size.unwrap().trim(), (1_u64 << 30).to_string());
    cloud.post(&format!("{one}/detachDisk?deviceName=more"), &json!({}));
    assert!(
        cloud
            .on("one", &["test", "-e", "/dev/disk/by-id/google-more"])
            .is_err()
    );

    cloud.chapter("stopped and started, it has its files and its disk's data");
    cloud.post(&format!("{one}/stop"), &json!({}));
    assert_eq!(cloud.get(&one)["status"], "TERMINATED");
    assert!(!cloud.host("one").is_on());
    cloud.post(&format!("{one}/start"), &json!({}));
    cloud.await_booted("one");
    let check = format!(
        "mount {device} /mnt && cat /mnt/file && umount /mnt && test -e /etc/from-user-data"
    );
    assert_eq!(
        cloud.on("one", &["sh", "-ec", &check]).unwrap().trim(),
        "kept"
    );
    let nic = &cloud.get(&one)["networkInterfaces"][0];
    assert_eq!(nic["networkIP"], internal.as_str());
    let external = nic["accessConfigs"][0]["natIP"]
        .as_str()
        .unwrap()
        .to_owned();
    cloud.await_answer(&format!("http://{external}:8080/"), "one");

    cloud.chapter("instances reach each other as rules allow, and nobody else's address");
    cloud.post(
        &format!("{zone}/instances"),
        &instance("two", "served", &[("user-data", USER_DATA)]),
    );
    cloud.await_booted("two");
    let to_one = format!("http://{internal}:8080/");
    let curl = ["curl", "--silent", "--max-time", "5", &to_one];
    // The default network's rule for internal traffic.
    cloud.await_on("two", &curl, |text| text.trim() == "one");
    let forged = [
        "sh",
        "-c",
        "ip address add 10.128.1.200/32 dev host0; curl --silent --max-time 2 --interface 10.128.1.200 \"$0\"",
        &to_one,
    ];
    assert!(
        cloud.on("two", &forged).is_err(),
        "a forged address was let through"
    );

    cloud.chapter("a route leads to an instance that may forward");
    cloud
        .on(
            "one",
            &["ip", "address", "add", "10.200.0.1/32", "dev", "lo"],
        )
        .unwrap();
    cloud.post(
        "global/routes",
        &json!({"name": "route", "network": "global/networks/default", "destRange": "10.200.0.0/24", "priority": 1000,
                "nextHopInstance": one}),
    );
    let routed = [
        "curl",
        "--silent",
        "--max-time",
        "5",
        "http://10.200.0.1:8080/",
    ];
    cloud.await_on("two", &routed, |text| text.trim() == "one");
    cloud.change("DELETE", "global/routes/route", &json!({}));
    assert!(cloud.on("two", &routed).is_err(), "there is no route");

    a_balancer_passes_packets_on(&cloud);

    cloud.chapter("a managed group recreates an instance");
    let template = json!({
        "name": "template", "properties": {
            "machineType": "e2-small", "metadata": {"items": [{"key": "user-data", "value": USER_DATA}]},
            "disks": instance("x", "x", &[])["disks"], "tags": {"items": ["served"]},
            "networkInterfaces": [{"network": "global/networks/default"}],
        },
    });
    cloud.post("global/instanceTemplates", &template);
    let group = format!("{zone}/instanceGroupManagers");
    let body = json!({
        "name": "group", "baseInstanceName": "member", "targetSize": 1,
        "instanceTemplate": "global/instanceTemplates/template",
    });
    cloud.post(&group, &body);
    let listed = |cloud: &Cloud| {
        let all = cloud.ask(&format!("{group}/group/listManagedInstances"), &json!({}));
        all["managedInstances"][0]["instance"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned()
    };
    let member = listed(&cloud);
    cloud.await_booted(&member);
    cloud.on(&member, &["touch", "/root/mark"]).unwrap();
    let link = format!("{zone}/instances/{member}");
    cloud.post(
        &format!("{group}/group/recreateInstances"),
        &json!({"instances": [link]}),
    );
    assert_eq!(listed(&cloud), member);
    cloud.await_booted(&member);
    assert!(cloud.on(&member, &["test", "-e", "/root/mark"]).is_err());

    cloud.chapter("its manager makes an instance again that was deleted, or lost its power");
    let made = |cloud: &Cloud| cloud.get(&format!("{zone}/instances/{member}"))["id"].clone();
    let before = made(&cloud);
    cloud.change("DELETE", &format!("{zone}/instances/{member}"), &json!({}));
    assert_ne!(made(&cloud), before);
    cloud.await_booted(&member);
    cloud.on(&member, &["touch", "/root/mark"]).unwrap();
    cloud.host(&member).cut_power().unwrap();
    until("it is made again", PATIENCE, || {
        cloud
            .on(&member, &["test", "!", "-e", "/root/mark"])
            .is_ok()
    })
    .unwrap();
    cloud.await_booted(&member);

    cloud.chapter("the daemon ends and starts again: instances boot from their disks");
    cloud.restart();
    cloud.await_booted("one");
    assert_eq!(
        cloud.on("one", &["sh", "-ec", &check]).unwrap().trim(),
        "kept"
    );
    cloud.await_answer(&format!("http://{external}:8080/"), "one");

    cloud.chapter("deleted, nothing of it is left");
    cloud.change("DELETE", &format!("{group}/group"), &json!({}));
    cloud.change("DELETE", &one, &json!({}));
    cloud.change("DELETE", &format!("{zone}/disks/data"), &json!({}));
    let local = cloud.directory.path().join("local");
    assert!(!local.join("machines").join(ZONE).join("one").exists());
    assert!(!local.join("disks").join(ZONE).join("data").exists());
    let loops = cloud
        .run(
            "losetup",
            &["--list", "--noheadings", "--output", "BACK-FILE"],
        )
        .unwrap();
    assert!(
        !loops.contains(local.join("disks").to_str().unwrap()),
        "{loops}"
    );
}

/// Both backends serve; an unhealthy one doesn't; a backend that calls the balancer reaches itself.
fn a_balancer_passes_packets_on(cloud: &Cloud) {
    cloud.chapter("a load balancer passes packets on to healthy backends");
    let zone = format!("zones/{ZONE}");
    let region = format!("regions/{REGION}");
    cloud.post(
        &format!("{zone}/instanceGroups"),
        &json!({"name": "servers", "network": "global/networks/default"}),
    );
    let members: Vec<_> = ["one", "two"]
        .iter()
        .map(|name| json!({"instance": format!("{zone}/instances/{name}")}))
        .collect();
    cloud.post(
        &format!("{zone}/instanceGroups/servers/addInstances"),
        &json!({"instances": members}),
    );
    cloud.post(
        &format!("{region}/healthChecks"),
        &json!({"name": "check", "type": "HTTP", "checkIntervalSec": 1, "timeoutSec": 1, "healthyThreshold": 1,
                "unhealthyThreshold": 1, "httpHealthCheck": {"port": 8080, "requestPath": "/"}}),
    );
    cloud.post(
        &format!("{region}/backendServices"),
        &json!({"name": "service", "protocol": "TCP", "loadBalancingScheme": "EXTERNAL",
                "healthChecks": [format!("{region}/healthChecks/check")],
                "backends": [{"group": format!("{zone}/instanceGroups/servers"), "balancingMode": "CONNECTION"}]}),
    );
    cloud.post(&format!("{region}/addresses"), &json!({"name": "front"}));
    let front = cloud.get(&format!("{region}/addresses/front"))["address"]
        .as_str()
        .unwrap()
        .to_owned();
    cloud.post(
        &format!("{region}/forwardingRules"),
        &json!({"name": "rule", "IPAddress": front, "IPProtocol": "TCP", "ports": ["8080"],
                "loadBalancingScheme": "EXTERNAL", "backendService": format!("{region}/backendServices/service")}),
    );
    let url = format!("http://{front}:8080/");
    cloud.await_answer(&url, "one");
    cloud.await_answer(&url, "two");
    // Each reaches itself, whatever the balancer would choose.
    for name in ["one", "two"] {
        cloud.await_on(name, &["ip", "route", "get", &front], |text| {
            text.starts_with("local")
        });
        for _ in 0..6 {
            let own = cloud.on(name, &["curl", "--silent", "--max-time", "5", &url]);
            assert_eq!(own.unwrap().trim(), name);
        }
    }
    cloud
        .on("two", &["systemctl", "stop", "name.service"])
        .unwrap();
    let health = format!("{region}/backendServices/service/getHealth");
    until("one of them is unhealthy", PATIENCE, || {
        let body = json!({"group": format!("{zone}/instanceGroups/servers")});
        let health = cloud.ask(&health, &body).to_string();
        health.contains("UNHEALTHY") && health.contains("\"HEALTHY")
    })
    .unwrap();
    until("all connections go to the other", PATIENCE, || {
        (0..8).all(|_| cloud.answers(&url, "one"))
    })
    .unwrap();
    let own = cloud.on("two", &["curl", "--silent", "--max-time", "5", &url]);
    assert!(
        own.is_err(),
        "an unhealthy backend reaches itself, too: {own:?}"
    );
    cloud
        .on("two", &["systemctl", "start", "name.service"])
        .unwrap();
    cloud.await_answer(&url, "two");
}
