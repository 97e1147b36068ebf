//! The init process: boots the machine, supervises its units, shuts it down.
//!
//! One thread, one runtime, no locks. It is the subreaper of the processes that its units start, and its
//! main thread is the parent of every unit process: when it dies, the kernel kills them.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    rc::Rc,
};

use rustix::{
    fs::Mode,
    process::{Signal, getpid, set_child_subreaper, setsid, umask},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::{LocalSet, spawn_local},
};
use tokio_util::sync::CancellationToken;

use crate::{control, layout::Layout, presence::Lock, processes};
use machine::Machine;
use units::Units;

mod agent;
mod cloud_init;
mod entry;
mod exit;
mod log;
mod machine;
mod notify;
mod path;
mod reaper;
mod server;
mod service;
mod spawn;
mod units;

/// The targets that a boot starts, with all units that they want.
const BOOT_TARGETS: [&str; 6] = [
    "sysinit.target",
    "basic.target",
    "network.target",
    "network-online.target",
    "paths.target",
    "multi-user.target",
];

/// The body of a machine's init process: runs the machine in `dir` until it is shut down.
///
/// The caller's `main` must call this before it starts any thread or runtime, and exit with the returned
/// code. Errors go to stderr, which [`Guest::boot`](super::Guest::boot) connects to the machine's console.
pub fn init(dir: &Path) -> ExitCode {
    match run(dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The console may be on a full disk.
            let _ = writeln!(
                io::stderr(),
                "init: the machine in {} cannot run: {error}",
                dir.display()
            );
            ExitCode::FAILURE
        }
    }
}

fn run(dir: &Path) -> io::Result<()> {
    // Its own session, so that no terminal's hang-up or Ctrl-C reaches the machine. This fails for a process
    // that leads its group already, and which doesn't need it.
    let _ = setsid();
    set_child_subreaper(Some(getpid()))?;
    // systemd's umask for units, whatever this process inherited.
    umask(Mode::WGRP | Mode::WOTH);
    let Some(_lock) = Lock::take(&Layout::new(dir).lock())? else {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another init process runs it already",
        ));
    };
    let machine = Rc::new(Machine::open(dir)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, live(machine))
}

/// From power on to power off.
async fn live(machine: Rc<Machine>) -> io::Result<()> {
    let power_off = CancellationToken::new();
    watch_signals(&machine, &power_off)?;
    machine.console.say(format!(
        "Booting {}, {}.",
        machine.spec.name, machine.spec.address
    ));
    end_survivors(&machine).await?;

    // The user data's files come first, so that later uploads override them.
    let config = cloud_init::write_files(&machine)?;
    let units = Rc::new(Units::new(machine.clone()));
    units.reload();
    let listener = control::listen(&machine.dir)?;
    spawn_local(server::serve(listener, units.clone(), power_off.clone()));
    let boot = {
        let units = units.clone();
        async move {
            units.start(&BOOT_TARGETS.map(str::to_owned)).await;
        }
    };
    spawn_local(boot);
    spawn_local(cloud_init::run_commands(units.clone(), config));
    spawn_local(agent::serve(units.clone()));

    power_off.cancelled().await;
    machine.console.say("Shutting down.");
    units.stop_all().await;
    end_survivors(&machine).await?;
    machine.end_logs().await;
    machine.console.say("Power off.");
    Ok(())
}

/// Reaps children, and treats SIGTERM (the host's own shutdown) as the power button.
fn watch_signals(machine: &Rc<Machine>, power_off: &CancellationToken) -> io::Result<()> {
    let mut child = signal(SignalKind::child())?;
    let reaping = machine.clone();
    spawn_local(async move {
        while child.recv().await.is_some() {
            reaping.reaper.reap();
        }
    });
    let mut terminate = signal(SignalKind::terminate())?;
    let power_off = power_off.clone();
    spawn_local(async move {
        terminate.recv().await;
        power_off.cancel();
    });
    Ok(())
}

/// Kills processes of the machine outside any unit: grandchildren left by a killed init process, or
/// processes that escaped their unit.
async fn end_survivors(machine: &Machine) -> io::Result<()> {
    let mark = processes::mark(machine.root.as_str());
    processes::signal_until(Some(getpid()), &mark, Signal::KILL, |_, _| false).await
}
