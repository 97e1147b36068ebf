//! `hakube env`.

use super::context;
use super::flags::{ClusterFlags, MakingFlags, OutputFlag, ZoneFlag};
use crate::error::Result;
use crate::output::{self, Format, Table};

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
}

/// Shows each setting with its value and its origin.
pub fn run(args: Args) -> Result<()> {
    let mut flags = args.making.pairs();
    flags.extend(args.zone.pairs());
    let resolved = context::settings(&args.cluster, flags)?;
    for warning in &resolved.warnings {
        output::print_warning(&warning.message);
    }
    output::print(&match args.output.output {
        Format::Text => {
            let mut table = Table::new(&["SETTING", "VALUE", "ORIGIN"]);
            for value in &resolved.values {
                table.row([value.key.to_owned(), value.value.clone(), value.origin.to_string()]);
            }
            table.render()
        }
        format => output::document(&resolved.values, format)?,
    });
    Ok(())
}
