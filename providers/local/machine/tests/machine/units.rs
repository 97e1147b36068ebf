//! Services, path units, their order and environment.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use hakube_local_machine::{NewFile, UnitState};
use nix::sys::signal::Signal;

use crate::support::{Machine, SLEEPER, signal};

#[tokio::test]
async fn serves_from_its_own_files() {
    let [port] = free_ports();
    let unit = format!(
        "[Service]\nExecStart=/usr/bin/env python3 -m http.server {port} --bind 127.64.1.2 --directory=/srv/www\n\
         ExecStartPre=/bin/sh -c 'mkdir -p /srv/www; echo hello from %H $${{HOSTNAME}} > /srv/www/index.txt'\n"
    );
    let machine = Machine::booted(&[("www.service", &unit)]).await;
    machine.until_state("www.service", UnitState::Running).await;
    let url = format!("http://127.64.1.2:{port}/index.txt");
    let deadline = Instant::now() + Duration::from_secs(20);
    let body = loop {
        match get(&url).await {
            Ok(body) => break body,
            Err(error) if Instant::now() > deadline => panic!("{error}; {}", machine.console()),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert_eq!(body, "hello from m1 m1\n");
    machine.guest.shut_down().await.unwrap();
    assert!(get(&url).await.is_err());
    let log = fs::read_to_string(machine.guest.unit_log("www")).unwrap();
    assert!(log.contains("GET /index.txt"), "{log}");
}

#[tokio::test]
async fn restarts_until_the_start_limit() {
    let unit = "[Service]\nExecStart=/bin/sh -c 'echo once >> /var/count; exit 3'\nExecStartPre=/bin/mkdir -p /var\n\
                Restart=on-failure\nRestartSec=1ms\nStartLimitBurst=3\n";
    let machine = Machine::booted(&[("crash.service", unit)]).await;
    let status = machine
        .until_state("crash.service", UnitState::Failed)
        .await;
    assert_eq!(status.restarts, 3);
    assert_eq!(machine.read("/var/count"), "once\n".repeat(3));
    let console = machine.console();
    assert!(
        console.contains("crash.service: Main process exited, code=exited, status=3/n/a"),
        "{console}"
    );
    assert!(
        console.contains("crash.service: Start request repeated too quickly."),
        "{console}"
    );
    assert!(
        console.contains("crash.service: Failed with result 'start-limit-hit'."),
        "{console}"
    );
}

#[tokio::test]
async fn a_killed_service_is_restarted() {
    let machine = Machine::booted(&[(
        "s.service",
        &SLEEPER.replace("[Install]", "Restart=on-failure\nRestartSec=1ms\n[Install]"),
    )])
    .await;
    let first = machine
        .until_state("s.service", UnitState::Running)
        .await
        .pid
        .unwrap();
    signal(first as i32, Signal::SIGKILL);
    let again = machine
        .until("s.service", |unit| {
            unit.restarts == 1 && unit.state == UnitState::Running
        })
        .await;
    assert_ne!(again.pid, Some(first));
    assert!(machine.console().contains("code=killed, status=9/KILL"));
}

#[tokio::test]
async fn a_missing_program_fails_as_with_systemd() {
    let machine =
        Machine::booted(&[("ghost.service", "[Service]\nExecStart=/opt/bin/ghost\n")]).await;
    machine
        .until_state("ghost.service", UnitState::Failed)
        .await;
    let console = machine.console();
    assert!(console.contains("status=203/EXEC"), "{console}");
    assert!(
        console.contains("opt/bin/ghost: No such file or directory"),
        "{console}"
    );
}

#[tokio::test]
async fn orders_starts_and_blocks_units_that_require_a_failed_one() {
    let log = |name: &str, unit: &str| {
        format!(
            "[Unit]\n{unit}\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo {name} >> /etc/order'\n"
        )
    };
    let a = log("a", "After=b.service");
    let b = log("b", "After=c.service");
    let c = log("c", "");
    let bad = "[Service]\nType=oneshot\nExecStart=/bin/false\n";
    let dependent = log("dependent", "Requires=bad.service\nAfter=bad.service");
    let machine = Machine::booted(&[
        ("a.service", &a),
        ("b.service", &b),
        ("c.service", &c),
        ("bad.service", bad),
        ("dependent.service", &dependent),
    ])
    .await;
    machine.until_state("a.service", UnitState::Exited).await;
    machine.until_state("bad.service", UnitState::Failed).await;
    machine
        .until_true("dependency failed", || {
            machine
                .console()
                .contains("Dependency failed for dependent.service.")
        })
        .await;
    assert_eq!(machine.read("/etc/order"), "c\nb\na\n");
    assert_eq!(
        machine.unit("dependent.service").await.unwrap().state,
        UnitState::Inactive
    );
}

#[tokio::test]
async fn a_path_unit_starts_its_service_when_the_file_appears() {
    let path = "[Path]\nPathExists=/etc/secret/key.pem\n[Install]\nWantedBy=multi-user.target\n";
    let service = "[Service]\nExecStart=/bin/sh -c 'cat /etc/secret/key.pem; exec sleep 1000'\n";
    let machine =
        Machine::new(&[("app.path", path)]).and_file("/etc/systemd/system/app.service", service);
    machine.boot().await;
    machine.until_state("app.path", UnitState::Waiting).await;
    assert_eq!(
        machine.unit("app.service").await.unwrap().state,
        UnitState::Inactive
    );

    machine
        .guest
        .put_files(vec![NewFile::new(
            "/etc/secret/key.pem",
            0o640,
            b"the key\n",
        )])
        .await
        .unwrap();
    machine.until_state("app.service", UnitState::Running).await;
    assert_eq!(
        machine.unit("app.path").await.unwrap().state,
        UnitState::Running
    );
    let log = machine.guest.unit_log("app.service");
    machine
        .until_true("output", || {
            fs::read_to_string(&log).unwrap_or_default() == "the key\n"
        })
        .await;
    assert_eq!(
        fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a_notify_service_is_starting_until_it_reports_ready() {
    let script = "import os, socket, time; \
                  s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); \
                  [time.sleep(0.01) for _ in iter(lambda: os.path.exists(\"/etc/go\"), True)]; \
                  s.sendto(b\"STATUS=up\\\\nREADY=1\", os.environ[\"NOTIFY_SOCKET\"]); time.sleep(1000)";
    let notify = format!("[Service]\nType=notify\nExecStart=/usr/bin/env python3 -c '{script}'\n");
    let after = SLEEPER.replace("[Unit]", "[Unit]\nAfter=ready.service");
    let machine = Machine::booted(&[("ready.service", &notify), ("after.service", &after)]).await;
    machine
        .until("ready.service", |unit| {
            unit.state == UnitState::Starting && unit.pid.is_some()
        })
        .await;
    assert_eq!(
        machine.unit("after.service").await.unwrap().state,
        UnitState::Inactive
    );
    let go = vec![NewFile::new("/etc/go", 0o644, b"")];
    machine.guest.put_files(go).await.unwrap();
    machine
        .until_state("ready.service", UnitState::Running)
        .await;
    machine
        .until_state("after.service", UnitState::Running)
        .await;
}

#[tokio::test]
async fn a_service_that_ignores_sigterm_is_killed_after_its_timeout() {
    let unit = "[Service]\nTimeoutStopSec=200ms\nExecStart=/bin/sh -c 'trap \"\" TERM; touch /etc/armed; while :; do sleep 0.05; done'\n";
    let machine = Machine::booted(&[("stubborn.service", unit)]).await;
    machine
        .until_true("trap", || machine.file("/etc/armed").exists())
        .await;
    machine.guest.shut_down().await.unwrap();
    assert_eq!(machine.processes(), []);
    let console = machine.console();
    assert!(
        console.contains("State 'stop-sigterm' timed out."),
        "{console}"
    );
    assert!(
        console.contains("Failed with result 'timeout'."),
        "{console}"
    );
}

#[tokio::test]
async fn units_have_a_clean_environment_and_their_limit_of_open_files() {
    let unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nLimitNOFILE=123\nEnvironment=CONFIG=/etc/x \"B=two words\"\n\
                EnvironmentFile=/etc/env\nExecStart=/bin/sh -c 'mkdir -p /var; env > /var/env; ulimit -n > /var/limit; pwd > /var/pwd'\n\
                ExecStart=/bin/sh -c 'echo \"$0|$1|$2\" > /var/args' ${B} $B\n";
    let machine = Machine::new(&[("env.service", unit)]).and_file("/etc/env", "FILE=/var/lib");
    machine.boot().await;
    machine.until_state("env.service", UnitState::Exited).await;
    let root = machine.guest.dir().join("root").display().to_string();
    let environment = machine.read("/var/env");
    let has = |line: String| environment.lines().any(|found| found == line);
    assert!(
        has(format!("CONFIG={root}/etc/x")) && has(format!("FILE={root}/var/lib")),
        "{environment}"
    );
    assert!(
        has("HOSTNAME=m1".into()) && has(format!("HOME={root}/root")),
        "{environment}"
    );
    assert!(!environment.contains("CARGO"), "{environment}");
    assert_eq!(machine.read("/var/limit"), "123\n");
    assert_eq!(machine.read("/var/pwd").trim(), root);
    assert_eq!(machine.read("/var/args"), "two words|two|words\n");
}

/// A plain HTTP GET, without a client crate.
async fn get(url: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await?;
    stream
        .write_all(format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default())
}

/// Free ports of the machine's address.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| std::net::TcpListener::bind("127.64.1.2:0").unwrap());
    listeners
        .each_ref()
        .map(|listener| listener.local_addr().unwrap().port())
}

/// The real etcd: it sends READY=1 itself, and logs its shutdown after SIGTERM.
#[tokio::test]
async fn runs_etcd() {
    let [client, peer] = free_ports();
    let unit = format!(
        "[Unit]\nDescription=etcd on %H\n[Service]\nType=notify\nRestart=on-failure\nLimitNOFILE=40000\n\
         Environment=ETCD_DATA_DIR=/var/lib/etcd\n\
         ExecStart=etcd --name=%H --listen-client-urls=http://127.64.1.2:{client} \\\n \
         --advertise-client-urls=http://127.64.1.2:{client} --listen-peer-urls=http://127.64.1.2:{peer} \\\n \
         --initial-advertise-peer-urls=http://127.64.1.2:{peer} --initial-cluster=%H=http://127.64.1.2:{peer}\n"
    );
    let machine = Machine::booted(&[("etcd.service", &unit)]).await;
    machine
        .until_state("etcd.service", UnitState::Running)
        .await;
    let health = get(&format!("http://127.64.1.2:{client}/health"))
        .await
        .unwrap();
    assert!(health.contains("\"true\""), "{health}");
    assert!(machine.file("/var/lib/etcd/member").is_dir());
    machine.guest.shut_down().await.unwrap();
    let log = fs::read_to_string(machine.guest.unit_log("etcd")).unwrap();
    assert!(log.contains("terminated"), "{log}");
    assert!(
        machine
            .console()
            .contains("Stopped etcd.service - etcd on m1."),
        "{}",
        machine.console()
    );
}

#[tokio::test]
async fn output_during_shutdown_is_logged() {
    let unit = "[Service]\nExecStart=/bin/sh -c 'trap \"echo last words; exit 0\" TERM; echo up; while :; do sleep 0.01; done'\n";
    let machine = Machine::booted(&[("talker.service", unit)]).await;
    let log = machine.guest.unit_log("talker");
    machine
        .until_true("output", || {
            fs::read_to_string(&log).unwrap_or_default() == "up\n"
        })
        .await;
    machine.guest.shut_down().await.unwrap();
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.ends_with("last words\n"), "{said}");
}

/// A path that still exists when the service has ended starts it again, until the start limit.
#[tokio::test]
async fn a_path_unit_fails_with_its_service_s_start_limit() {
    let path = "[Path]\nPathExists=/etc/systemd\n";
    let service = "[Unit]\nStartLimitBurst=2\n[Service]\nExecStart=/bin/true\n";
    let machine = Machine::new(&[("short.path", path)])
        .and_file("/etc/systemd/system/short.service", service);
    machine.boot().await;
    machine.until_state("short.path", UnitState::Failed).await;
    assert!(
        machine
            .console()
            .contains("short.path: Failed with result 'unit-start-limit-hit'."),
        "{}",
        machine.console()
    );
    assert_eq!(
        machine.console().matches("Started short.service.").count(),
        2,
        "{}",
        machine.console()
    );
}
