//! Whether a command that met a fault did what it must.

use std::collections::BTreeSet;

use crate::case::Command;
use crate::fault::Expected;
use crate::world::{Outcome, World};

pub type Inventory = BTreeSet<String>;

/// Says how many replicas there are now, or what is wrong.
pub async fn check(
    command: Command,
    expected: Expected,
    outcome: &Outcome,
    world: &World,
    before: &Inventory,
) -> Result<usize, String> {
    if outcome.stderr.contains("panicked") {
        return Err(format!("it panicked: {outcome}"));
    }
    match expected {
        Expected::RiddenOut if !outcome.ok() => Err(format!("it isn't ridden out: {outcome}")),
        Expected::RiddenOut => settled(world, command.replicas()).await,
        Expected::TurnedBack { words } => {
            refused(outcome, words)?;
            match command {
                Command::Up => again(world).await,
                Command::Replicate => as_before(world, before).await,
            }
        }
        Expected::GivenUp { words } => {
            refused(outcome, words)?;
            goes_on(command, world, before).await
        }
    }
    .map_err(|why| format!("{why}\nafter: {outcome}"))
}

/// It failed, with these words and with advice.
fn refused(outcome: &Outcome, words: &str) -> Result<(), String> {
    if outcome.code.is_none_or(|code| code == 0) {
        return Err("it didn't fail".into());
    }
    for wanted in ["error: ", words, "next: "] {
        if !outcome.stderr.contains(wanted) {
            return Err(format!("stderr doesn't say `{wanted}`"));
        }
    }
    Ok(())
}

/// The same command again finishes an `up`.
async fn again(world: &World) -> Result<usize, String> {
    world.must(Command::Up.arguments()).await?;
    settled(world, 1).await
}

/// The fault is over: `up` again, or `reconcile`, which goes on with whatever was begun.
async fn goes_on(command: Command, world: &World, before: &Inventory) -> Result<usize, String> {
    if command == Command::Up {
        return again(world).await;
    }
    world.must(&["reconcile"]).await?;
    let status = world.status().await?;
    match status["replicas"].as_array().map(Vec::len) {
        Some(1) => as_before(world, before).await,
        _ => settled(world, command.replicas()).await,
    }
}

async fn as_before(world: &World, before: &Inventory) -> Result<usize, String> {
    let now = world.inventory().await?;
    if now != *before {
        let left: Vec<_> = now.difference(before).collect();
        let lost: Vec<_> = before.difference(&now).collect();
        return Err(format!("left behind: {left:?}; lost: {lost:?}"));
    }
    settled(world, 1).await
}

/// So many replicas, all of them well, an endpoint that answers, and nothing to do.
async fn settled(world: &World, replicas: usize) -> Result<usize, String> {
    let status = world.status().await?;
    let quorum = &status["quorum"];
    let all = status["replicas"].as_array().cloned().unwrap_or_default();
    let well = all
        .iter()
        .all(|replica| replica["api_ready"] == true && replica["etcd_healthy"] == true);
    let ok = all.len() == replicas
        && well
        && quorum["voters"] == replicas
        && quorum["healthy"] == replicas
        && status["endpoint"]["ready"] == true
        && status["unfinished"].is_null();
    if !ok {
        return Err(format!(
            "{replicas} replicas were to be there and well: {status:#}"
        ));
    }
    let plan = world.must(&["reconcile", "--dry-run"]).await?;
    if !format!("{}{}", plan.stdout, plan.stderr).contains("Nothing to do.") {
        return Err(format!(
            "there is still something to do: {}{plan}",
            plan.stdout
        ));
    }
    Ok(replicas)
}
