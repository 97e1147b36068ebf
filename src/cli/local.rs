//! `hakube local`: the local cloud as a user sees it.

use super::context;
use super::flags::{ClusterFlags, OutputFlag};
use crate::error::{Error, Result};
use crate::output::{self, Format, Table};
use crate::run::{local_cloud, local_error, start_local};
use hakube_local::ServeConfig;
use hakube_local::client::{MachineSummary, Status};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Arguments of `local`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with the local cloud.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Start it, if it isn't running
    Start(OutputFlag),
    /// Stop it and its machines; both come back with the next start
    Stop,
    /// Show whether it runs, and where
    Status(OutputFlag),
    /// List its machines and their units
    Machines(OutputFlag),
    /// Print a machine's console, or what one of its units wrote
    Logs {
        /// The machine
        machine: String,
        /// The unit: etcd, kube-apiserver, …
        unit: Option<String>,
    },
    /// Cut a machine's power: SIGKILL to all its processes
    Kill {
        /// The machine
        machine: String,
    },
    /// Freeze a machine: SIGSTOP to all its processes
    Pause {
        /// The machine
        machine: String,
    },
    /// Let a paused machine go on
    Resume {
        /// The machine
        machine: String,
    },
    /// Be the local cloud's daemon, in the foreground
    Serve(ServeArgs),
    /// Be a machine's init
    #[command(hide = true)]
    Init {
        /// The machine's directory
        directory: PathBuf,
    },
}

/// Arguments of `local serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The cloud is in the directory `local` of this one [default: HAKUBE_HOME]
    #[arg(long, value_name = "DIRECTORY")]
    home: Option<PathBuf>,
    /// The id of the project that machines are in
    #[arg(long, value_name = "ID", default_value = "local")]
    project: String,
    /// The id of another project, which has networks, subnetworks and firewall rules only; may be repeated
    #[arg(long, value_name = "ID")]
    network_project: Vec<String>,
    /// Serve the API at this loopback address [default: port 8780 of an address of its own]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Operations take this times their usual time
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0)]
    time_scale: f64,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<()> {
    if let Command::Serve(args) = args.command {
        return serve(args).await;
    }
    let settings = context::settings(&ClusterFlags::default(), Vec::new())?.settings;
    let cloud = local_cloud(&settings.home);
    match args.command {
        Command::Start(flag) => {
            print_status(Some(start_local(&settings, &cloud).await?), flag.output)
        }
        Command::Status(flag) => {
            print_status(cloud.status().await.map_err(local_error)?, flag.output)
        }
        Command::Stop => cloud.stop().await.map(drop).map_err(local_error),
        Command::Machines(flag) => {
            print_machines(cloud.machines().await.map_err(local_error)?, flag.output)
        }
        Command::Logs { machine, unit } => {
            let text = cloud
                .logs(&machine, unit.as_deref())
                .await
                .map_err(local_error)?;
            output::print(&String::from_utf8_lossy(&text));
            Ok(())
        }
        Command::Kill { machine } => cloud.kill(&machine).await.map_err(local_error),
        Command::Pause { machine } => cloud.pause(&machine).await.map_err(local_error),
        Command::Resume { machine } => cloud.resume(&machine).await.map_err(local_error),
        Command::Serve(_) | Command::Init { .. } => Ok(()),
    }
}

/// `{"running","pid","url","project","token_file","machines"}`: a contract.
fn print_status(status: Option<Status>, format: Format) -> Result<()> {
    if format != Format::Text {
        let mut value = serde_json::json!({
            "running": status.is_some(),
            "pid": null, "url": null, "project": null, "token_file": null, "machines": 0,
        });
        if let (Some(known), Ok(serde_json::Value::Object(status))) =
            (value.as_object_mut(), serde_json::to_value(&status))
        {
            known.extend(status);
        }
        output::print(&output::document(&value, format)?);
        return Ok(());
    }
    output::print(&match status {
        Some(status) => format!(
            "the local cloud runs: pid {}, {}, project {}, {} machines\ntoken file: {}\n",
            status.pid,
            status.url,
            status.project,
            status.machines,
            status.token_file.display()
        ),
        None => "the local cloud isn't running; to start it: hakube local start\n".to_owned(),
    });
    Ok(())
}

fn print_machines(machines: Vec<MachineSummary>, format: Format) -> Result<()> {
    if format != Format::Text {
        output::print(&output::document(&machines, format)?);
        return Ok(());
    }
    let mut table = Table::new(&["MACHINE", "ZONE", "STATUS", "INTERNAL", "EXTERNAL", "UNITS"]);
    let dash = |address: Option<std::net::Ipv4Addr>| {
        address.map_or_else(|| "-".to_owned(), |a| a.to_string())
    };
    for machine in machines {
        let units: Vec<String> = machine
            .units
            .iter()
            .map(|unit| format!("{}:{}", unit.name, unit.state))
            .collect();
        table.row([
            machine.name,
            machine.zone,
            machine.status,
            dash(machine.internal),
            dash(machine.external),
            units.join(" "),
        ]);
    }
    output::print(&table.render());
    Ok(())
}

async fn serve(args: ServeArgs) -> Result<()> {
    // Whoever starts the daemon sends its stderr to daemon.log.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let home = match args.home {
        Some(home) => home,
        None => {
            context::settings(&ClusterFlags::default(), Vec::new())?
                .settings
                .home
        }
    };
    let hakube = std::env::current_exe()
        .map_err(|error| Error::failed("could not find this program's own file").because(error))?;
    hakube_local::serve(ServeConfig {
        home: home.join("local"),
        project: args.project,
        network_projects: args.network_project,
        time_scale: args.time_scale,
        init_command: vec![hakube.into_os_string(), "local".into(), "init".into()],
        listen: args.listen,
        // For tests: see scripts/lib/conformance.py.
        exchanges: std::env::var_os("LOCAL_CLOUD_EXCHANGES").map(PathBuf::from),
    })
    .await
    .map_err(local_error)
}
