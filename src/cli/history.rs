//! `hakube history`.

use super::context;
use super::flags::{ClusterFlags, OutputFlag};
use crate::error::{Error, Result};
use crate::output::{self, Format, Table};
use crate::state::{Operation, Outcome};

/// Flags of `history`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The operation to show, with its steps; without, the last 200 are listed, oldest first
    id: Option<String>,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlag,
}

/// Lists what was done to the cluster, or shows one operation.
pub async fn run(args: Args) -> Result<()> {
    let session = context::looking(context::settings(&args.cluster, Vec::new())?)?;
    session.existing().await?;
    let operations = session.store.journal_list(session.cluster()).await?;
    output::print(&match (&args.id, args.output.output) {
        (None, Format::Text) => list(&operations),
        (None, format) => output::document(&operations, format)?,
        (Some(id), format) => {
            let operation = operations
                .iter()
                .find(|operation| operation.id == *id)
                .ok_or_else(|| {
                    Error::bad_input(format!(
                        "the journal of {} has no operation {id}",
                        session.cluster()
                    ))
                    .hint("hakube history")
                })?;
            match format {
                Format::Text => list(std::slice::from_ref(operation)) + "\n" + &steps(operation),
                format => output::document(operation, format)?,
            }
        }
    });
    Ok(())
}

fn list(operations: &[Operation]) -> String {
    let mut table = Table::new(&[
        "ID",
        "OPERATION",
        "BY",
        "STARTED",
        "TOOK",
        "STEPS",
        "GAP",
        "OUTCOME",
    ]);
    for operation in operations {
        let took = operation
            .finished
            .map(|end| end.duration_since(operation.started).as_secs_f64());
        table.row([
            operation.id.clone(),
            operation.operation.clone(),
            operation.by.to_string(),
            operation.started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            took.map_or_else(|| "-".into(), |took| format!("{took:.1} s")),
            operation.steps.len().to_string(),
            operation
                .endpoint_gap_ms
                .map_or_else(|| "-".into(), |gap| format!("{gap} ms")),
            operation
                .outcome
                .as_ref()
                .map_or_else(|| "unfinished".into(), outcome),
        ]);
    }
    table.render()
}

fn steps(operation: &Operation) -> String {
    let mut table = Table::new(&["STEP", "TOOK", "OUTCOME"]);
    for step in &operation.steps {
        table.row([
            step.key.clone(),
            format!("{:.3} s", step.seconds),
            outcome(&step.outcome),
        ]);
    }
    table.render()
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".into(),
        Outcome::Failed { error } => format!("failed: {error}"),
        Outcome::Interrupted => "interrupted".into(),
    }
}
