#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

fn service(body: &str) -> (Service, Vec<String>) {
    let parsed = parse("etcd.service", "replica-1", body).unwrap();
    let Kind::Service(service) = parsed.unit.kind else {
        panic!("not a service")
    };
    (*service, parsed.remarks)
}

#[test]
fn reads_a_whole_service() {
    let text = "[Unit]\nDescription=Key-value store on %H\nAfter=network-online.target a.service\nAfter=b.service\n\
                Requires=a.service\nStartLimitIntervalSec=0\n[Service]\nType=notify\n\
                Environment=\"A=one two\" B=2\nEnvironmentFile=-/etc/default/%N\n\
                ExecStartPre=-/bin/mkdir -p /var/lib/%p ; /bin/true\n\
                ExecStart=/usr/bin/etcd --name=%H \\\n  --data-dir '/var/lib/x y' 100%%\n\
                Restart=on-failure\nRestartSec=250ms\nTimeoutStopSec=1min\nLimitNOFILE=65536\nKillSignal=SIGINT\n\
                SuccessExitStatus=75 SIGKILL\n[Install]\nWantedBy=multi-user.target\n";
    let parsed = parse("etcd.service", "replica-1", text).unwrap();
    assert_eq!(parsed.remarks, [""; 0]);
    let unit = parsed.unit;
    assert_eq!(unit.title(), "etcd.service - Key-value store on replica-1");
    assert_eq!(
        unit.after,
        ["network-online.target", "a.service", "b.service"]
    );
    assert_eq!((unit.requires.len(), unit.wanted_by.len()), (1, 1));
    let Kind::Service(service) = unit.kind else {
        panic!("not a service")
    };
    assert_eq!(service.kind, ServiceType::Notify);
    assert_eq!(
        service.environment,
        [("A".into(), "one two".into()), ("B".into(), "2".into())]
    );
    assert_eq!(
        service.environment_files,
        [EnvironmentFile {
            path: "/etc/default/etcd".into(),
            optional: true
        }]
    );
    assert_eq!(
        service.exec_start_pre[0].argv,
        ["/bin/mkdir", "-p", "/var/lib/etcd"]
    );
    assert!(service.exec_start_pre[0].ignore_failure && !service.exec_start_pre[1].ignore_failure);
    assert_eq!(
        service.exec_start[0].argv,
        [
            "/usr/bin/etcd",
            "--name=replica-1",
            "--data-dir",
            "/var/lib/x y",
            "100%"
        ]
    );
    assert_eq!(service.restart, RestartPolicy::OnFailure);
    assert_eq!(service.restart_delay, Duration::from_millis(250));
    assert_eq!(service.timeout_stop, Some(Duration::from_secs(60)));
    assert_eq!(service.start_limit.interval, Duration::ZERO);
    assert_eq!(service.open_files, Some(65536));
    assert_eq!(service.kill_signal, Signal::INT);
    assert!(service.success.codes.contains(&75) && service.success.signals.contains(&9));
}

#[test]
fn an_empty_assignment_resets_a_list() {
    let (service, _) = service(
        "[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\nEnvironment=A=1\nEnvironment=\n",
    );
    assert_eq!(service.exec_start.len(), 1);
    assert_eq!(service.exec_start[0].argv, ["/bin/b"]);
    assert!(service.environment.is_empty());
}

#[test]
fn remarks_once_on_whatever_has_no_effect() {
    let (service, remarks) = service(
        "[Service]\nExecStart=/bin/a\nUser=etcd\nProtectSystem=strict\nRestartSec=soon\nType=forking\n",
    );
    assert_eq!(
        remarks,
        [
            "User= is not emulated: units run as the local cloud's user",
            "ProtectSystem= in section [Service] is not emulated",
            "RestartSec=soon: ignoring, expected a time span such as 5s or 1min 30s",
            "Type=forking: ignoring, expected simple, exec, oneshot or notify (others are not emulated)",
        ]
    );
    assert_eq!(service.restart_delay, Duration::from_millis(100));
}

#[test]
fn refuses_what_systemd_refuses() {
    let refused = |name: &str, text: &str| parse(name, "host", text).unwrap_err();
    assert_eq!(
        refused("a.service", "[Service]\nType=simple\n"),
        UnitError::NoCommand
    );
    assert_eq!(
        refused("a.service", "[Service]\nExecStart=/a\nExecStart=/b\n"),
        UnitError::ManyCommands
    );
    assert_eq!(
        refused(
            "a.service",
            "[Service]\nType=oneshot\nExecStart=/a\nRestart=always\n"
        ),
        UnitError::OneshotRestart
    );
    assert_eq!(
        refused("a.path", "[Path]\nUnit=b.service\n"),
        UnitError::NoPath
    );
    assert_eq!(refused("a.timer", ""), UnitError::Suffix("a.timer".into()));
}

#[test]
fn a_path_unit_starts_its_namesake_unless_it_names_another() {
    let path = |text: &str| match parse("certs.path", "host", text).unwrap().unit.kind {
        Kind::Path(path) => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(path("[Path]\nPathExists=/etc/x\n").unit, "certs.service");
    let named = path("[Path]\nPathExists=/etc/x\nPathExists=/etc/y\nUnit=etcd.service\n");
    assert_eq!(
        (named.unit.as_str(), named.exists.len()),
        ("etcd.service", 2)
    );
}
