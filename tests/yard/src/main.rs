//! `yard`: test hosts for manual use. Tests use the library.

mod arguments;
mod up;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use hakube_yard::{Error, Host, HostSpec, Result, Which, Yard};

use arguments::{Arguments, Do};

/// Booting takes two seconds, or a minute on a busy machine.
pub(crate) const BOOT: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = run(arguments);
    done.unwrap_or_else(|error| {
        eprintln!("yard: {error}");
        ExitCode::FAILURE
    })
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let chosen = arguments.yard.or_else(|| std::env::var("HAKUBE_YARD").ok());
    let yard = || Yard::of_another(chosen.as_deref());
    let host = |name: &str| yard()?.host(name);
    match arguments.what {
        Do::Up(up) => return up::up(&up),
        Do::Boot(boot) => {
            let host = yard()?.boot(&boot.spec.of(&boot.host))?;
            host.wait_booted(BOOT)?;
            println!("{} {}", host.name(), host.address());
        }
        Do::Run {
            host: name,
            command,
        } => return become_it(&host(&name)?.command(&command[0])?, &command[1..]),
        Do::Shell { host: Some(name) } => {
            return become_it(&host(&name)?.command("bash")?, &["--login".to_owned()]);
        }
        Do::Shell { host: None } => {
            let shell = std::env::var("SHELL").unwrap_or_else(|_| "bash".to_owned());
            return become_it(&yard()?.command(&shell)?, &[]);
        }
        Do::Ssh {
            host: name,
            user,
            command,
        } => {
            let yard = yard()?;
            return become_it(&yard.ssh(&yard.host(&name)?, &user)?, &command);
        }
        Do::Exec { command } => return become_it(&yard()?.command(&command[0])?, &command[1..]),
        Do::Console { host: name } => print!("{}", host(&name)?.console()),
        Do::Cut { host: name } => host(&name)?.cut_power()?,
        Do::On { host: name } => {
            let host = host(&name)?;
            host.power_on()?;
            host.wait_booted(BOOT)?;
        }
        Do::Off { host: name } => host(&name)?.shut_down()?,
        Do::Reboot { host: name } => {
            let host = host(&name)?;
            host.reboot()?;
            host.wait_booted(BOOT)?;
        }
        Do::Unplug { host: name } => host(&name)?.unplug()?,
        Do::Plug { host: name } => host(&name)?.plug()?,
        Do::Fill { host: name } => host(&name)?.fill_disk()?,
        Do::Free { host: name } => host(&name)?.free_disk()?,
        Do::Split { some, others } => {
            let yard = yard()?;
            let hosts = |names: &str| -> Result<Vec<Host>> {
                names.split(',').map(|name| yard.host(name)).collect()
            };
            let (some, others) = (hosts(&some)?, hosts(&others)?);
            yard.split(
                &some.iter().collect::<Vec<_>>(),
                &others.iter().collect::<Vec<_>>(),
            )?;
        }
        Do::Heal => yard()?.heal()?,
        Do::Freeze(processes) => print_ids(&host(&processes.host)?.freeze(which(&processes))?),
        Do::Thaw(processes) => print_ids(&host(&processes.host)?.thaw(which(&processes))?),
        Do::List => up::list()?,
        Do::Down => up::down(yard()?)?,
        Do::Clean => {
            for id in hakube_yard::clean()? {
                println!("{id}");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn which(processes: &arguments::Processes) -> Which<'_> {
    match processes.process.parse() {
        _ if processes.command_line => Which::CommandLine(&processes.process),
        Ok(id) => Which::Id(id),
        Err(_) => Which::Program(&processes.process),
    }
}

fn print_ids(ids: &[u32]) {
    for id in ids {
        println!("{id}");
    }
}

/// Replaces this process with the command.
fn become_it(command: &Command, arguments: &[String]) -> Result<ExitCode> {
    let mut own = Command::new(command.get_program());
    own.args(command.get_args()).args(arguments);
    own.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    // exec returns only on failure.
    let source = own.exec();
    let what = "starting a shell".to_owned();
    Err(Error::Io { what, source })
}

impl arguments::Spec {
    pub(crate) fn of(&self, name: &str) -> HostSpec {
        let spec = self
            .layers
            .iter()
            .fold(HostSpec::new(name), HostSpec::layer);
        self.disk
            .iter()
            .fold(spec, |spec, size| spec.disk_mib(*size))
    }
}
