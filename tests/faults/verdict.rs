//! Whether a command that met a fault did what it must.

use std::collections::BTreeSet;

use crate::command::Command;
use crate::fault::Expected;
use crate::world::{Outcome, World};

pub type Inventory = BTreeSet<String>;

/// What to judge, and by what.
pub struct Verdict<'a> {
    pub command: Command,
    pub arguments: &'a [&'a str],
    pub expected: Expected,
    pub outcome: &'a Outcome,
    /// What was there when the command began.
    pub before: &'a Inventory,
}

impl Verdict<'_> {
    /// Says how many replicas there are now, or what is wrong.
    pub async fn check(&self, world: &World) -> Result<usize, String> {
        let outcome = self.outcome;
        if outcome.stderr.contains("panicked") {
            return Err(format!("it panicked: {outcome}"));
        }
        match self.expected {
            Expected::RiddenOut if !outcome.ok() => Err("it isn't ridden out".to_owned()),
            Expected::RiddenOut => settled(world, self.command.after()).await,
            Expected::TurnedBack { words } => self.turned_back(world, words).await,
            Expected::GivenUp { words } => self.given_up(world, words).await,
        }
        .map_err(|why| format!("{why}\nafter: {outcome}"))
    }

    async fn turned_back(&self, world: &World, words: &str) -> Result<usize, String> {
        self.refused(words)?;
        if self.command.turns_back() {
            self.as_before(world).await
        } else {
            self.again(world).await
        }
    }

    /// The fault is over: the same again, or `reconcile`, which goes on with whatever was begun.
    async fn given_up(&self, world: &World, words: &str) -> Result<usize, String> {
        self.refused(words)?;
        if !self.command.turns_back() {
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

    /// It failed, with these words and with advice.
    fn refused(&self, words: &str) -> Result<(), String> {
        if self.outcome.code.is_none_or(|code| code == 0) {
            return Err("it didn't fail".into());
        }
        for wanted in ["error: ", words, "next: "] {
            if !self.outcome.stderr.contains(wanted) {
                return Err(format!("stderr doesn't say `{wanted}`"));
            }
        }
        Ok(())
    }

    /// The same command again finishes.
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

/// So many replicas, all of them well, an endpoint that answers, and nothing to do; of none there is
/// nothing left.
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

/// Nothing is there but what each project begins with.
async fn gone(world: &World) -> Result<usize, String> {
    let mut left = world.inventory().await?;
    left.remove("networks/default");
    if left.is_empty() {
        Ok(0)
    } else {
        Err(format!("left behind: {left:?}"))
    }
}
