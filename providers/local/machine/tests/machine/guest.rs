//! The handle: power on and off, pause, files.

use std::{fs, os::unix::fs::PermissionsExt};

use hakube_local_machine::{GuestError, NewFile, UnitState};
use nix::sys::signal::Signal;

use crate::support::{Machine, SLEEPER, init_pid, init_program, signal, state};

/// A shell with a grandchild outside its session and process group.
const FAMILY: &str =
    "[Service]\nExecStart=/bin/sh -c 'setsid sleep 1001 & sleep 1002 & exec sleep 1003'\n";

#[tokio::test]
async fn boots_once_and_again() {
    let machine = Machine::booted(&[("s.service", SLEEPER)]).await;
    let first = machine
        .until_state("s.service", UnitState::Running)
        .await
        .pid;
    machine.boot().await;
    assert_eq!(
        machine.unit("s.service").await.unwrap().pid,
        first,
        "booting a running machine does nothing"
    );
    machine
        .until_true("first boot over", || {
            machine
                .file("/var/lib/cloud/instance/boot-finished")
                .exists()
        })
        .await;

    machine.guest.shut_down().await.unwrap();
    assert!(!machine.guest.is_running().await);
    assert_eq!(machine.processes(), []);
    machine.guest.shut_down().await.unwrap();

    // The second boot skips the user data, but starts enabled units.
    fs::write(
        machine.file("/etc/systemd/system/s.service"),
        SLEEPER.replace("1000", "2000"),
    )
    .unwrap();
    machine.boot().await;
    let second = machine
        .until_state("s.service", UnitState::Running)
        .await
        .pid
        .unwrap();
    machine
        .until_true("exec", || {
            fs::read_to_string(format!("/proc/{second}/cmdline"))
                .unwrap_or_default()
                .contains("2000")
        })
        .await;
    let console = machine.console();
    assert_eq!(console.matches("Booting m1").count(), 2, "{console}");
    assert_eq!(console.matches("Created symlink").count(), 1, "{console}");
    assert!(
        console.contains("Stopped s.service - Sleeper."),
        "{console}"
    );
}

#[tokio::test]
async fn two_boots_at_once_make_one_machine() {
    let machine = Machine::new(&[("s.service", SLEEPER)]);
    let boots = (0..4).map(|_| {
        let (guest, spec) = (machine.guest.clone(), machine.spec.clone());
        tokio::spawn(async move { guest.boot(&spec, &[init_program()]).await })
    });
    for boot in boots.collect::<Vec<_>>() {
        boot.await.unwrap().unwrap();
    }
    machine.until_state("s.service", UnitState::Running).await;
    assert_eq!(machine.processes().len(), 1);
}

#[tokio::test]
async fn a_failed_init_process_reports_the_cause() {
    let machine = Machine::new(&[]);
    let failed = machine
        .guest
        .boot(&machine.spec, &["/bin/false".into()])
        .await
        .unwrap_err();
    assert!(
        matches!(failed, GuestError::Boot { .. }) && failed.to_string().contains("exit status: 1"),
        "{failed}"
    );
    let failed = machine
        .guest
        .boot(&machine.spec, &["/nonexistent".into()])
        .await
        .unwrap_err();
    assert!(failed.to_string().contains("/nonexistent"), "{failed}");
}

#[tokio::test]
async fn shutdown_and_kill_leave_no_processes() {
    let machine = Machine::booted(&[("family.service", FAMILY)]).await;
    machine
        .until_true("family", || machine.processes().len() == 3)
        .await;
    machine.guest.shut_down().await.unwrap();
    assert_eq!(machine.processes(), []);

    let machine = Machine::booted(&[("family.service", FAMILY)]).await;
    machine
        .until_true("family", || machine.processes().len() == 3)
        .await;
    let guest = machine.guest.clone();
    let watcher = tokio::spawn(async move { guest.exited().await });
    machine.guest.kill().await.unwrap();
    assert_eq!(machine.processes(), []);
    watcher.await.unwrap();
    assert!(!machine.guest.is_running().await);
}

#[tokio::test]
async fn services_die_with_a_killed_init_process_and_the_next_boot_kills_leftovers() {
    let machine = Machine::booted(&[("family.service", FAMILY)]).await;
    machine
        .until_true("family", || machine.processes().len() == 3)
        .await;
    let main = machine.unit("family.service").await.unwrap().pid.unwrap() as i32;
    signal(init_pid(&machine), Signal::SIGKILL);
    machine.guest.exited().await;
    machine
        .until_true("pdeathsig", || state(main).is_none_or(|state| state == 'Z'))
        .await;
    let survivors: Vec<i32> = machine.processes().iter().map(|(pid, _)| *pid).collect();
    machine.boot().await;
    for pid in survivors {
        assert!(
            state(pid).is_none_or(|state| state == 'Z'),
            "{pid} survived the second boot"
        );
    }
}

#[tokio::test]
async fn a_paused_machine_stops_and_resumes() {
    let machine = Machine::booted(&[("family.service", FAMILY)]).await;
    machine
        .until_true("family", || machine.processes().len() == 3)
        .await;
    machine.guest.pause().await.unwrap();
    assert!(machine.guest.is_running().await);
    assert!(
        machine.processes().iter().all(|(_, state)| *state == 'T'),
        "{:?}",
        machine.processes()
    );
    assert_eq!(state(init_pid(&machine)), Some('T'));
    assert!(matches!(
        machine.guest.units().await,
        Err(GuestError::Paused { .. })
    ));

    machine.guest.resume().await.unwrap();
    assert!(machine.processes().iter().all(|(_, state)| *state != 'T'));
    machine
        .until_state("family.service", UnitState::Running)
        .await;

    machine.guest.pause().await.unwrap();
    machine.guest.shut_down().await.unwrap();
    assert_eq!(machine.processes(), []);
}

#[tokio::test]
async fn put_files_have_exactly_their_mode_and_stay_in_the_machine() {
    let machine = Machine::booted(&[]).await;
    for mode in [0o600, 0o777, 0o444] {
        machine
            .guest
            .put_files(vec![NewFile::new("/etc/deep/er/x", mode, &[0, 255, b'\n'])])
            .await
            .unwrap();
        assert_eq!(
            fs::metadata(machine.file("/etc/deep/er/x"))
                .unwrap()
                .permissions()
                .mode()
                & 0o7777,
            mode
        );
        assert_eq!(
            fs::read(machine.file("/etc/deep/er/x")).unwrap(),
            [0, 255, b'\n']
        );
    }
    let read = machine.guest.read_file("/etc/deep/er/x").await.unwrap();
    assert_eq!(read, Some(vec![0, 255, b'\n']));
    let absent = machine.guest.read_file("/etc/deep/y").await.unwrap();
    assert_eq!(absent, None);
    assert_eq!(
        fs::read_dir(machine.file("/etc/deep/er")).unwrap().count(),
        1,
        "no temporary file is left"
    );
    for bad in ["relative", "/etc/../../../x", "/"] {
        let files = vec![
            NewFile::new("/etc/good", 0o600, b"x"),
            NewFile::new(bad, 0o600, b"x"),
        ];
        let refused = machine.guest.put_files(files).await.unwrap_err();
        assert!(matches!(refused, GuestError::Refused { .. }), "{refused}");
        let good = machine.guest.read_file("/etc/good").await.unwrap();
        assert_eq!(good, None, "all files or none");
    }
    machine.guest.shut_down().await.unwrap();
    let refused = machine
        .guest
        .put_files(vec![NewFile::new("/etc/x", 0o600, b"x")])
        .await
        .unwrap_err();
    assert!(
        matches!(refused, GuestError::NotRunning { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn user_data_without_effect_is_reported_on_the_console() {
    let machine = Machine::with_user_data("#!/bin/sh\nrm -rf /\n");
    machine.boot().await;
    assert!(
        machine
            .console()
            .contains("does not start with the line #cloud-config"),
        "{}",
        machine.console()
    );
    assert_eq!(machine.guest.units().await.unwrap(), []);

    let machine = Machine::with_user_data(
        "#cloud-config\nhostname: other\npackages: [x]\nruncmd: [reboot]\n",
    );
    machine.boot().await;
    assert_eq!(machine.read("/etc/hostname"), "other\n");
    let console = machine.console();
    assert!(
        console.contains("packages: not emulated")
            && console.contains("runcmd \"reboot\": not carried out"),
        "{console}"
    );
}

/// Several users share the host. A machine's files are readable by their owner only, even if its directory
/// wasn't private before.
#[tokio::test]
async fn the_directory_is_the_owner_s_alone() {
    let machine = Machine::new(&[("s.service", SLEEPER)]);
    fs::create_dir_all(machine.guest.dir()).unwrap();
    fs::set_permissions(machine.guest.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    machine.boot().await;
    machine.until_state("s.service", UnitState::Running).await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(machine.guest.dir()), 0o700);
    for entry in fs::read_dir(machine.guest.dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(
            mode(&path),
            if path.is_dir() { 0o700 } else { 0o600 },
            "{}",
            path.display()
        );
    }
}

#[tokio::test]
async fn what_a_unit_has_mounted_goes_with_the_machine() {
    const MOUNTS: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
        ExecStartPre=/bin/mkdir -p /home/bin\nExecStart=/bin/mount --bind /home/bin /home/bin\n";
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: mounts need root");
        return;
    }
    let machine = Machine::booted(&[("m.service", MOUNTS)]).await;
    machine
        .until("m.service", |unit| {
            matches!(unit.state, UnitState::Exited | UnitState::Failed)
        })
        .await;
    let is_mounted = || {
        let known = fs::read_to_string("/proc/self/mountinfo").unwrap();
        known.contains(machine.guest.dir().to_str().unwrap())
    };
    if !is_mounted() {
        eprintln!("skipped: this host allows no mounts");
        return;
    }
    machine.guest.kill().await.unwrap();
    // A boot begins without the mounts of the one before.
    machine.boot().await;
    assert!(!is_mounted());
    machine.guest.shut_down().await.unwrap();
    machine.guest.remove().await.unwrap();
    assert!(!machine.guest.dir().exists());
}
