//! `yard up`, `yard list` and `yard down`.

use std::process::ExitCode;
use std::time::Duration;

use hakube_yard::{Error, Result, Yard, until};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::BOOT;
use crate::arguments::Up;

/// Removing a yard usually takes a second.
const DOWN: Duration = Duration::from_secs(120);

pub(crate) fn up(arguments: &Up) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|source| io("starting", source))?;
    // From here on, signals wait until the yard exists and can be removed properly.
    let _guard = runtime.enter();
    let ends = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let signals: std::io::Result<Vec<Signal>> = ends.into_iter().map(signal).collect();
    let mut signals = signals.map_err(|source| io("listening for signals", source))?;

    let yard = match &arguments.directory {
        Some(directory) => Yard::open_in(&arguments.name, directory)?,
        None => Yard::open(&arguments.name)?,
    };
    let specs: Vec<_> = arguments
        .hosts
        .iter()
        .map(|name| arguments.spec.of(name))
        .collect();
    let hosts = yard.boot_all(&specs)?;
    for host in &hosts {
        host.wait_booted(BOOT)?;
    }
    let Some((program, rest)) = arguments.command.split_first() else {
        print(&yard);
        println!("Press Ctrl-C or run `yard down` to end.");
        let any = async {
            let arrivals = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
            first(arrivals.collect()).await;
        };
        runtime.block_on(any);
        yard.close()?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut command = tokio::process::Command::from(yard.command(program)?);
    let child = command.args(rest).spawn();
    let mut child = child.map_err(|source| io("starting the command", source))?;
    let [interrupt, others @ ..] = signals.as_mut_slice() else {
        return Ok(ExitCode::FAILURE);
    };
    let status = runtime.block_on(async {
        loop {
            let arrivals = others.iter_mut().map(|signal| Box::pin(signal.recv()));
            tokio::select! {
                status = child.wait() => break status.ok(),
                // The command gets Ctrl-C too, and decides what to do.
                _ = interrupt.recv() => {}
                // The command ends with the yard.
                () = first(arrivals.collect()) => break None,
            }
        }
    });
    yard.close()?;
    let code = status.and_then(|status| u8::try_from(status.code()?).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Waits for the first future to complete.
async fn first<F: Future + Unpin>(mut futures: Vec<F>) {
    std::future::poll_fn(|context| {
        let mut polls = futures
            .iter_mut()
            .map(|future| std::pin::Pin::new(future).poll(context));
        if polls.any(|poll| poll.is_ready()) {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
}

pub(crate) fn list() -> Result<()> {
    Yard::all()?.iter().for_each(print);
    Ok(())
}

fn print(yard: &Yard) {
    let owner = yard
        .owner()
        .map(|owner| owner.to_string())
        .unwrap_or_default();
    println!(
        "{} (owner {owner}, key {})",
        yard.id(),
        yard.ssh_key().display()
    );
    for host in yard.hosts() {
        let power = if host.is_on() { "on" } else { "off" };
        println!("  {:<24} {:<12} {power}", host.name(), host.address());
    }
}

pub(crate) fn down(yard: Yard) -> Result<()> {
    let id = yard.id().to_owned();
    yard.end_owner();
    until(&format!("the owner of {id} has ended"), DOWN, || {
        yard.owner().is_none()
    })?;
    // An owner that ignores SIGTERM leaves everything behind.
    hakube_yard::clean().map(drop)
}

fn io(what: &str, source: std::io::Error) -> Error {
    Error::Io {
        what: what.to_owned(),
        source,
    }
}
