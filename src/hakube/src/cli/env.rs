//! `hakube env`.

use super::flags::{ClusterFlags, MakingFlags, OutputFlag, ZoneFlag};
use hakube_error::Result;
use hakube_output::{self as output, Format, Table};
use hakube_settings::docs;

/// Flags of `env`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    making: MakingFlags,
    #[command(flatten)]
    zone: ZoneFlag,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlag,
    /// Print the documentation of all settings as Markdown
    #[arg(long, conflicts_with = "template")]
    docs: bool,
    /// Print a template for --env-file, with all settings at their defaults
    #[arg(long)]
    template: bool,
}

/// Shows each setting with its value and its origin.
pub fn run(args: Args) -> Result<()> {
    if args.docs || args.template {
        output::print(&if args.docs {
            docs::markdown()
        } else {
            docs::env_file()
        });
        return Ok(());
    }
    let mut flags = args.making.pairs();
    flags.extend(args.zone.pairs());
    let resolved = args.cluster.settings(flags)?;
    for warning in &resolved.warnings {
        output::print_warning(&warning.message);
    }
    output::print(&match args.output.output {
        Format::Text => {
            let mut table = Table::new(&["SETTING", "VALUE", "ORIGIN"]);
            for value in &resolved.values {
                table.row([
                    value.key.to_owned(),
                    value.value.clone(),
                    value.origin.to_string(),
                ]);
            }
            table.render()
        }
        format => output::document(&resolved.values, format)?,
    });
    Ok(())
}
