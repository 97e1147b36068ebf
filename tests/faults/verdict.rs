//! Checks the result of a command that met a fault.

use std::collections::BTreeSet;

use crate::command::Command;
use crate::fault::Expected;
use crate::world::{Outcome, World};

pub type Inventory = BTreeSet<String>;

pub struct Verdict<'a> {
    pub command: Command,
    pub arguments: &'a [&'a str],
    pub expected: Expected,
    pub outcome: &'a Outcome,
    /// The resources before the command.
    pub before: &'a Inventory,
}

impl Verdict<'_> {
    /// Returns the number of replicas now, or the problem.
    pub async fn check(&self, world: &World) -> Result<usize, String> {
        let outcome = self.outcome;
        if outcome.stderr.contains("panicked") {
            return Err(format!("it panicked: {outcome}"));
        }
        match self.expected {
            Expected::Tolerated if !outcome.ok() => Err("the fault wasn't handled".to_owned()),
            Expected::Tolerated => settled(world, self.command.after()).await,
            Expected::RolledBack { words } => self.rolled_back(world, words).await,
            Expected::GivenUp { words } => self.given_up(world, words).await,
        }
        .map_err(|why| format!("{why}\nafter: {outcome}"))
    }

    async fn rolled_back(&self, world: &World, words: &str) -> Result<usize, String> {
        self.refused(words)?;
        if self.outcome.stderr.contains("has other problems") {
            // The command did its own work, and leaves the rest to `repair`.
            world.must(&["repair"]).await?;
            settled(world, self.command.after()).await
        } else if self.command.rolls_back() {
            self.as_before(world).await
        } else {
            self.again(world).await
        }
    }

    /// The fault is over: runs the command again, or `reconcile`, which finishes an interrupted change. The command
    /// may find that the call took effect although its operation didn't end.
    async fn given_up(&self, world: &World, words: &str) -> Result<usize, String> {
        if self.outcome.ok() {
            for wanted in [words, "took effect after all"] {
                self.says(wanted)?;
            }
            return settled(world, self.command.after()).await;
        }
        self.refused(words)?;
        if !self.command.rolls_back() {
            return self.again(world).await;
        }
        world.must(&["reconcile"]).await?;
        let status = world.status().await?;
        let now = status["replicas"].as_array().map_or(0, Vec::len);
        if now == self.command.before() {
            self.as_before(world).await
        } else {
            settled(world, self.command.after()).await
        }
    }

    /// Checks that it failed with these words and with advice.
    fn refused(&self, words: &str) -> Result<(), String> {
        if self.outcome.ok() {
            return Err("it succeeded".into());
        }
        for wanted in ["error: ", words, "next: "] {
            self.says(wanted)?;
        }
        Ok(())
    }

    fn says(&self, wanted: &str) -> Result<(), String> {
        if self.outcome.stderr.contains(wanted) {
            Ok(())
        } else {
            Err(format!("stderr doesn't contain `{wanted}`"))
        }
    }

    /// Checks that the repeated command finishes.
    async fn again(&self, world: &World) -> Result<usize, String> {
        world.must(self.arguments).await?;
        settled(world, self.command.after()).await
    }

    async fn as_before(&self, world: &World) -> Result<usize, String> {
        let now = world.inventory().await?;
        if now != *self.before {
            let left: Vec<_> = now.difference(self.before).collect();
            let lost: Vec<_> = self.before.difference(&now).collect();
            return Err(format!("left behind: {left:?}; lost: {lost:?}"));
        }
        settled(world, self.command.before()).await
    }
}

/// Checks for this many healthy replicas, an endpoint that responds, and an empty plan; with none, for no
/// leftovers.
async fn settled(world: &World, replicas: usize) -> Result<usize, String> {
    if replicas == 0 {
        return gone(world).await;
    }
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
        return Err(format!("expected {replicas} healthy replicas: {status:#}"));
    }
    let plan = world.must(&["reconcile", "--dry-run"]).await?;
    if !format!("{}{}", plan.stdout, plan.stderr).contains("Nothing to do") {
        return Err(format!(
            "there is still something to do: {}{plan}",
            plan.stdout
        ));
    }
    Ok(replicas)
}

/// Checks that only each project's initial resources exist.
async fn gone(world: &World) -> Result<usize, String> {
    let mut left = world.inventory().await?;
    left.retain(|name| name != "networks/default" && !name.starts_with("firewalls/default-allow-"));
    if left.is_empty() {
        Ok(0)
    } else {
        Err(format!("left behind: {left:?}"))
    }
}
