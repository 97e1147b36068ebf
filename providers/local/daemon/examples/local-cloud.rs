//! The local cloud as its own program, which tests can kill and restart, and a way to try it with gcloud:
//! `local-cloud serve HOME PROJECT TIME_SCALE [NETWORK_PROJECT...]`. The daemon runs `local-cloud init DIR`
//! as each machine's init process.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use hakube_local::{Machines, ServeConfig};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [command, directory] if command == "init" => hakube_local::init(Path::new(directory)),
        [command, home, project, time_scale, others @ ..] if command == "serve" => {
            serve(home, project, time_scale, others)
        }
        _ => {
            eprintln!(
                "usage: local-cloud serve HOME PROJECT TIME_SCALE [NETWORK_PROJECT...] | local-cloud init DIR"
            );
            ExitCode::from(2)
        }
    }
}

fn serve(
    home: &OsString,
    project: &OsString,
    time_scale: &OsString,
    others: &[OsString],
) -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let served = (|| -> Result<(), Box<dyn std::error::Error>> {
        let program = std::env::current_exe()?;
        let config = ServeConfig {
            home: home.into(),
            project: project.to_string_lossy().into_owned(),
            network_projects: others
                .iter()
                .map(|other| other.to_string_lossy().into_owned())
                .collect(),
            time_scale: time_scale.to_string_lossy().parse()?,
            machines: Machines::Processes {
                init_command: vec![program.into(), "init".into()],
            },
            listen: None,
            exchanges: std::env::var_os("LOCAL_CLOUD_EXCHANGES").map(Into::into),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(runtime.block_on(hakube_local::serve(config))?)
    })();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
