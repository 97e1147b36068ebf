//! `hakube artifacts`.

use super::flags::{ClusterFlags, MakingFlags, OutputFlag};
use hakube_artifacts::{self as artifacts, Entry, Kind, Report};
use hakube_error::{Error, Result};
use hakube_output::{self as output, Format, Human, Table};
use hakube_settings::{Settings, table};
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// Arguments of `artifacts`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the programs and images that `up` with the same settings installs on machines
    ///
    /// The default provider is hosts.
    List(Box<ListArgs>),
    /// Download programs and images into a directory with the layout that --mirror expects
    ///
    /// Every file is verified against --sha256sums or its publisher's checksums. An interrupted
    /// download resumes with the next run. Images come from the mirror if one is set, otherwise
    /// from their registries. Images that can't be fetched are listed with the command that exports
    /// them into the directory. The default provider is hosts.
    Fetch(Box<FetchArgs>),
    /// Check all files of a fetched directory against its SHA256SUMS
    Verify(VerifyArgs),
    /// Serve a fetched directory over HTTP, for --mirror
    Serve(ServeArgs),
}

/// Selects the artifacts that are installed on machines.
#[derive(Debug, clap::Args)]
struct Wanted {
    #[command(flatten)]
    making: MakingFlags,
    #[command(flatten)]
    cluster: ClusterFlags,
}

/// Flags of `artifacts list`.
#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    output: OutputFlag,
}

/// Flags of `artifacts fetch`.
#[derive(Debug, clap::Args)]
struct FetchArgs {
    /// The directory to download to
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    wanted: Wanted,
}

/// Flags of `artifacts verify`.
#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The directory that `fetch` filled
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    output: OutputFlag,
}

/// Flags of `artifacts serve`.
#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// The directory that `fetch` filled
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
    /// The address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
}

/// Lists, fetches, verifies or serves what machines download.
pub async fn run(args: Args) -> Result<()> {
    match args.command {
        Command::List(args) => list(*args),
        Command::Fetch(args) => fetch(*args).await,
        Command::Verify(args) => verify(args),
        Command::Serve(args) => serve(args).await,
    }
}

impl Wanted {
    /// The settings, with `hosts` as the default provider: the local cloud's machines are processes
    /// of this host and install nothing.
    fn settings(&self) -> Result<Settings> {
        let resolved = self.cluster.settings(self.making.pairs())?;
        let resolved = if resolved.is_given(&table::PROVIDER) {
            resolved
        } else {
            let provider = ("--provider".to_owned(), "hosts".to_owned());
            let mut flags = self.making.pairs();
            flags.push(provider);
            self.cluster.settings(flags)?
        };
        for warning in &resolved.warnings {
            output::print_warning(&warning.message);
        }
        Ok(resolved.settings)
    }
}

fn list(args: ListArgs) -> Result<()> {
    let settings = args.wanted.settings()?;
    let sums = settings.releases.sums.as_deref();
    let sums = sums.map(artifacts::sums::read).transpose()?;
    let entries = artifacts::wanted(&settings)?.entries(sums.as_deref());
    output::print(&match args.output.output {
        Format::Text => text(&entries),
        format => output::document(&entries, format)?,
    });
    Ok(())
}

fn text(entries: &[Entry]) -> String {
    let mut table = Table::new(&[
        "KIND", "NAME", "VERSION", "ARCH", "PATH", "SOURCE", "SHA256",
    ]);
    for entry in entries {
        let kind = match entry.kind {
            Kind::Program => "program",
            Kind::Image => "image",
        };
        // As many digits as git abbreviates to; the other formats print all of them.
        let sum = entry.sha256.as_deref().map(|sum| &sum[..12.min(sum.len())]);
        table.row([
            kind.to_owned(),
            entry.name.clone(),
            entry.version.clone(),
            entry.arch.clone(),
            entry.path.clone(),
            entry.source.clone(),
            sum.unwrap_or("-").to_owned(),
        ]);
    }
    table.render()
}

async fn fetch(args: FetchArgs) -> Result<()> {
    let settings = args.wanted.settings()?;
    let wanted = artifacts::wanted(&settings)?;
    let sums = settings.releases.sums.as_deref();
    artifacts::fetch(&wanted, sums, &args.directory, &Human::default()).await
}

fn verify(args: VerifyArgs) -> Result<()> {
    let report = artifacts::verify(&args.directory)?;
    output::print(&match args.output.output {
        Format::Text => findings(&report),
        format => output::document(&report, format)?,
    });
    if report.ok {
        return Ok(());
    }
    let directory = args.directory.display();
    let message = format!(
        "{} files in {directory} are missing, wrong or unexpected",
        report.findings.len()
    );
    Err(Error::failed(message).hint(format!(
        "to fetch missing and wrong files: hakube artifacts fetch --directory {directory}; remove unexpected ones"
    )))
}

fn findings(report: &Report) -> String {
    let mut text = format!(
        "{} files, {} MB: all match SHA256SUMS\n",
        report.files,
        report.bytes / 1_000_000
    );
    if !report.ok {
        let mut table = Table::new(&["PROBLEM", "PATH", "DETAIL"]);
        for finding in &report.findings {
            let problem = finding.problem.name().to_owned();
            table.row([problem, finding.path.clone(), finding.detail.clone()]);
        }
        text.push_str(&table.render());
    }
    text
}

async fn serve(args: ServeArgs) -> Result<()> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let directory = args.directory.display();
    artifacts::serve(&args.directory, args.listen, stop, |address, files| {
        output::print_note(&format!(
            "serving {files} files from {directory} on http://{address}; to use them: hakube up --mirror \
             http://{address} --sha256sums {directory}/SHA256SUMS"
        ));
    })
    .await
}

/// Cancels on Ctrl-C or SIGTERM.
fn stop_on_signals(stop: CancellationToken) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Error::failed("could not wait for signals").because(error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
