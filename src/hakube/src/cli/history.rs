//! `hakube history`.

use super::context;
use super::flags::{ClusterFlags, OutputFlag};
use hakube_error::{Error, Result};
use hakube_output::{self as output, Format, Table};
use hakube_state::{Earlier, Operation, Outcome};
use jiff::Timestamp;
use serde::Serialize;

/// Flags of `history`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show this operation with its steps; by default, list the last 200 operations, oldest first,
    /// and summarize earlier ones in one line
    id: Option<String>,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlag,
}

/// Lists the cluster's operations, or shows one.
pub async fn run(args: Args) -> Result<()> {
    let session = context::looking(args.cluster.settings(Vec::new())?)?;
    session.existing().await?;
    let operations = session.store.journal_list(session.cluster()).await?;
    let earlier = session.store.journal_earlier(session.cluster()).await?;
    output::print(&match (&args.id, args.output.output) {
        (None, Format::Text) => {
            list(&operations) + &earlier.as_ref().map_or_else(String::new, summary)
        }
        (None, format) => output::document(
            &History {
                operations,
                earlier,
            },
            format,
        )?,
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

/// The whole journal. Its fields are a contract.
#[derive(Serialize)]
struct History {
    /// Oldest first.
    operations: Vec<Operation>,
    /// Summary of earlier operations.
    earlier: Option<Earlier>,
}

/// Renders for example `... and 312 earlier, 2025-01-02 to 2026-03-04: 40 repair done; 2 up failed`.
fn summary(earlier: &Earlier) -> String {
    let day = |at: &Timestamp| at.strftime("%Y-%m-%d").to_string();
    let span = match (&earlier.first, &earlier.last) {
        (Some(first), Some(last)) => format!(", {} to {}", day(first), day(last)),
        _ => String::new(),
    };
    let commands = earlier.commands.iter().flat_map(|(command, ended)| {
        let count = move |(word, count): (&String, &u64)| format!("{count} {command} {word}");
        ended.iter().map(count)
    });
    let mut parts: Vec<String> = commands.collect();
    if let Some(gap) = earlier.longest_endpoint_gap_ms {
        let moves = earlier.endpoint_moves;
        parts.push(format!(
            "the endpoint moved {moves} times, {gap} ms at most"
        ));
    }
    if earlier.unreadable > 0 {
        parts.push(format!("{} unreadable", earlier.unreadable));
    }
    let count = earlier.operations;
    format!("... and {count} earlier{span}: {}\n", parts.join("; "))
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
