//! A command of a logged-in user. It is a process of the machine like those of its units, with the machine's
//! own paths, but with a shell and with the client's input and output.

use std::{
    io::{self, PipeReader},
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::Command as StdCommand,
};

use russh::{Channel, ChannelMsg, server::Msg};
use rustix::process::Pid;
use tokio::{io::AsyncWriteExt, net::unix::pipe, sync::oneshot, task::spawn_local};

use crate::init::{exit::Exit, machine::Machine, spawn::common_environment, units::Units};

/// The PATH that a real host's ssh server sets, after the machine's programs.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// The shell's exit code when a program isn't found.
const NOT_FOUND: u32 = 127;

pub struct Order {
    pub channel: Channel<Msg>,
    pub command: String,
}

struct Shell {
    exit: oneshot::Receiver<Exit>,
    input: pipe::Sender,
    output: pipe::Receiver,
    errors: pipe::Receiver,
}

/// Runs the command to completion. A client that disconnected gets no result, and its input has ended.
pub async fn carry_out(units: &Units, order: Order) {
    let (mut read, write) = order.channel.split();
    let status = match start(&units.machine, &order.command) {
        Ok(shell) => {
            let mut input = shell.input;
            let reading = spawn_local(async move {
                while let Some(message) = read.wait().await {
                    match message {
                        ChannelMsg::Data { data } if input.write_all(&data).await.is_ok() => {}
                        ChannelMsg::Data { .. } | ChannelMsg::Eof | ChannelMsg::Close => break,
                        _ => {}
                    }
                }
            });
            let (_, _, exit) = tokio::join!(
                write.data(shell.output),
                write.extended_data(1, shell.errors),
                shell.exit
            );
            reading.abort();
            match exit.unwrap_or(Exit::Code(-1)) {
                Exit::Code(code) => code.unsigned_abs(),
                Exit::Signal(signal) => 128 + signal.unsigned_abs(),
            }
        }
        Err(error) => {
            let _ = write.extended_data(1, error.to_string().as_bytes()).await;
            NOT_FOUND
        }
    };
    // The command may have written files that path units wait for.
    units.machine.files_changed.notify_waiters();
    let _ = write.exit_status(status).await;
    let _ = write.eof().await;
    let _ = write.close().await;
}

fn start(machine: &Machine, command: &str) -> io::Result<Shell> {
    let mut environment = common_environment(machine);
    environment
        .entry("PATH".to_owned())
        .and_modify(|path| *path = format!("{path}:{PATH}"));
    let (child_input, input) = io::pipe()?;
    let (output, child_output) = io::pipe()?;
    let (errors, child_errors) = io::pipe()?;
    // For the use of setpriv, see how units are started.
    let mut shell = StdCommand::new(&machine.setpriv);
    shell
        .args(["--pdeathsig", "KILL", "--", "/bin/sh", "-c"])
        .arg(machine.root.map(command))
        .env_clear()
        .envs(&environment)
        .current_dir(machine.root.as_str())
        .process_group(0)
        .stdin(child_input)
        .stdout(child_output)
        .stderr(child_errors);
    let child = shell.spawn()?;
    // The command holds the pipes' other ends.
    drop(shell);
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(Shell {
        exit: machine.reaper.watch(pid),
        input: pipe::Sender::from_owned_fd(OwnedFd::from(input))?,
        output: receiver(output)?,
        errors: receiver(errors)?,
    })
}

fn receiver(reader: PipeReader) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(OwnedFd::from(reader))
}
