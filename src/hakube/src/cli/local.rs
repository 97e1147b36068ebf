//! `hakube local`: manages the local cloud.

use super::flags::{ClusterFlags, OutputFlag};
use hakube_error::{Error, Result};
use hakube_local::{Machines, ServeConfig};
use hakube_local_client::{MachineSummary, Status};
use hakube_local_hosts::Hosts;
use hakube_output::{self as output, Format, Table};
use hakube_run::{local_cloud, local_error, start_local};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Arguments of `local`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// Subcommands of `local`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Start the local cloud, if it isn't running
    Start(OutputFlag),
    /// Stop the local cloud and its machines; both return with the next start
    Stop,
    /// Show whether the local cloud is running, and where
    Status(OutputFlag),
    /// List its machines and their units
    Machines(OutputFlag),
    /// Print a machine's console, or the log of one of its units
    Logs {
        /// The machine
        machine: String,
        /// The unit: etcd, kube-apiserver, …
        unit: Option<String>,
    },
    /// Power off a machine: send SIGKILL to all its processes
    Kill {
        /// The machine
        machine: String,
    },
    /// Pause a machine: send SIGSTOP to all its processes
    Pause {
        /// The machine
        machine: String,
    },
    /// Resume a paused machine
    Resume {
        /// The machine
        machine: String,
    },
    /// Run the local cloud's daemon in the foreground
    Serve(ServeArgs),
    /// Run a machine's init
    #[command(hide = true)]
    Init {
        /// The machine's directory
        directory: PathBuf,
    },
}

/// Arguments of `local serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The parent of the cloud's directory `local` [default: HAKUBE_HOME]
    #[arg(long, value_name = "DIRECTORY")]
    home: Option<PathBuf>,
    /// The ID of the project that holds machines
    #[arg(long, value_name = "ID", default_value = "local")]
    project: String,
    /// The ID of another project, with networks, subnetworks and firewall rules only; can be repeated
    #[arg(long, value_name = "ID")]
    network_project: Vec<String>,
    /// The loopback address to serve the API on [default: port 8780 of the cloud's own address]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// A multiplier for the duration of operations
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0)]
    time_scale: f64,
    /// What machines are: `process` without root, or `host`, which boots Debian, for tests as root
    #[arg(
        long,
        value_name = "KIND",
        value_enum,
        default_value_t = MachineKind::Process,
        hide_possible_values = true
    )]
    machines: MachineKind,
}

/// What the local cloud's machines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum MachineKind {
    /// Processes of this host.
    Process,
    /// Hosts in namespaces.
    Host,
}

/// Runs the command.
pub async fn run(args: Args) -> Result<()> {
    if let Command::Serve(args) = args.command {
        return serve(args).await;
    }
    let settings = ClusterFlags::default().settings(Vec::new())?.settings;
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

/// The document `{"running","pid","id","url","project","token_file","machines"}` is a contract.
fn print_status(status: Option<Status>, format: Format) -> Result<()> {
    if format != Format::Text {
        let mut value = serde_json::json!({
            "running": status.is_some(),
            "pid": null, "id": null, "url": null, "project": null, "token_file": null, "machines": 0,
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
            "the local cloud is running: pid {}, {}, project {}, {} machines\ntoken file: {}\n",
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
    // The process that starts the daemon redirects its stderr to daemon.log.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // Errors of writing the log (a full disk) are ignored. Printing them to stderr, which is
        // the log itself, would panic the task that logs.
        .log_internal_errors(false)
        .init();
    let home = match args.home {
        Some(home) => home,
        None => ClusterFlags::default().settings(Vec::new())?.settings.home,
    };
    if home.to_str().is_none() {
        return Err(Error::bad_input(format!(
            "the directory {} can't hold a local cloud: its path isn't valid UTF-8",
            home.display()
        ))
        .hint("--home DIRECTORY"));
    }
    let hakube = std::env::current_exe()
        .map_err(|error| Error::failed("could not find hakube's executable").because(error))?;
    let config = ServeConfig {
        home: home.join("local"),
        project: args.project,
        network_projects: args.network_project,
        time_scale: args.time_scale,
        machines: Machines::Processes {
            init_command: vec![hakube.into_os_string(), "local".into(), "init".into()],
        },
        listen: args.listen,
        // For tests: see scripts/lib/conformance.py.
        exchanges: std::env::var_os("LOCAL_CLOUD_EXCHANGES").map(PathBuf::from),
    };
    match args.machines {
        MachineKind::Process => hakube_local::serve(config).await.map_err(local_error),
        MachineKind::Host => tokio::task::spawn_blocking(|| serve_hosts(config))
            .await
            .map_err(local_error)?,
    }
}

/// Serves the cloud in the network of its machines. It ends with them.
fn serve_hosts(mut config: ServeConfig) -> Result<()> {
    let hosts = Hosts::open(&config.home).map_err(|error| {
        local_error(error).hint("hakube local serve --machines process, which needs no root")
    })?;
    let network = hosts.network().map_err(local_error)?;
    let file = config.home.join("network");
    std::fs::write(&file, format!("{network}\n")).map_err(local_error)?;
    config.machines = Machines::Hosts {
        runtime: hosts.runtime(),
        wires: hosts.wires(),
    };
    let served = hosts.inside(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(local_error)?;
        let served = runtime.block_on(hakube_local::serve(config));
        served.map_err(local_error)
    });
    // Whatever happened: machines don't outlive their network.
    let closed = hosts.close();
    drop(std::fs::remove_file(&file));
    served.map_err(local_error)??;
    closed.map_err(local_error)
}
