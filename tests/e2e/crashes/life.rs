//! A cluster's life, from nothing to nothing, with a client that writes all the while.

use super::case::Case;
use super::command::Command;
use crate::calls::{Call, distinct};
use crate::support::{
    Api, Emulator, Etcd, Home, Inventory, Outcome, Writer, assert_agreement, assert_gone,
    eventually, replica_names,
};
use etcd_client::TlsOptions;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

pub struct Life {
    home: Home,
    /// What there is when there is no cluster.
    nothing: Inventory,
    client: Option<Client>,
    rng: StdRng,
}

struct Client {
    server: String,
    /// For etcd itself.
    keys: TlsOptions,
    writer: Writer,
}

impl Life {
    /// There is no cluster yet.
    pub async fn begin(seed: u64) -> Self {
        let home = Home::new();
        home.run("local start").await.succeeded();
        Self {
            nothing: Emulator::of(&home).await.inventory().await,
            home,
            client: None,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Does the command, with nothing in its way, and says what it called.
    pub async fn does(&mut self, command: Command) -> Vec<Call> {
        let seen = self.home.cloud().requests(0).await.unwrap();
        let seen = seen.last().map_or(0, |request| request.ordinal);
        let replica = self.first_replica(command).await;
        self.before(command).await;
        self.home
            .run(&command.arguments(&replica))
            .await
            .succeeded();
        let calls = distinct(&self.home.cloud().requests(seen).await.unwrap());
        self.settled(command).await;
        calls
    }

    /// Does the command, which is killed once, and finished. Says whether it came to that instant.
    ///
    /// # Panics
    /// It isn't as if it had never been killed.
    pub async fn dies(&mut self, case: &Case) -> bool {
        let command = case.command;
        let replica = self.first_replica(command).await;
        self.before(command).await;
        let killed = match self.killed(case, &command.arguments(&replica)).await {
            Some(outcome) => {
                outcome.succeeded();
                false
            }
            None => {
                self.finish(command, &replica).await;
                true
            }
        };
        self.settled(command).await;
        killed
    }

    /// The command's outcome, if it ended before it came to the instant.
    async fn killed(&self, case: &Case, arguments: &str) -> Option<Outcome> {
        let cloud = self.home.cloud();
        cloud.set_faults(&[case.rule()]).await.unwrap();
        let running = self.home.start(arguments);
        let pid = Pid::from_raw(running.pid().try_into().unwrap());
        let mut end = Box::pin(running.end());
        let acted = eventually("the instant", async || {
            let acted = cloud.faults().await.unwrap()[0].acted;
            (acted > 0).then_some(())
        });
        let outcome = tokio::select! {
            outcome = &mut end => Some(outcome),
            () = acted => {
                kill(pid, Signal::SIGKILL).unwrap();
                let outcome = end.await;
                outcome.exit.is_some().then_some(outcome)
            }
        };
        cloud.clear_faults().await.unwrap();
        outcome
    }

    /// What an operator does who finds a command killed.
    async fn finish(&mut self, command: Command, replica: &str) {
        let arguments = command.arguments(replica);
        let status = self.home.run("status -o json").await;
        if status.exit == Some(2) {
            status.says(&["there is no cluster kubernetes"]);
            if command == Command::Up {
                self.home.run(&arguments).await.succeeded();
            }
            return;
        }
        let status = status.succeeded().json();
        if command != Command::Down {
            self.assert_quorum(&status).await;
        }
        if status["unfinished"] == Value::Null {
            if !is_done(command, replica, &status) {
                self.home.run(&arguments).await.succeeded();
            }
        } else if self.rng.random() {
            self.home.run(&arguments).await.succeeded();
        } else {
            let outcome = self.home.run("reconcile").await;
            // Without keys there is nothing to finish yet.
            if command == Command::Up && outcome.exit != Some(0) {
                outcome.says(&["hakube up"]);
                self.home.run(&arguments).await.succeeded();
            } else {
                outcome.succeeded();
            }
        }
    }

    /// Whatever the command left half done, etcd takes writes, with nobody's help. (Of the endpoint that isn't
    /// promised: its address may be on the way from one place to another.)
    async fn assert_quorum(&self, status: &Value) {
        let Some(client) = &self.client else { return };
        let replicas = status["replicas"].as_array().unwrap();
        let addresses = replicas
            .iter()
            .filter_map(|replica| replica["address"].as_str());
        let addresses: Vec<&str> = addresses.collect();
        eventually("etcd's quorum after the crash", async || {
            for address in &addresses {
                if let Ok(etcd) = Etcd::connect(&client.keys, address).await
                    && etcd.write("after-a-crash").await.is_ok()
                {
                    return Some(());
                }
            }
            None
        })
        .await;
    }

    /// The same one in each life: what is called depends on it.
    async fn first_replica(&self, command: Command) -> String {
        if command == Command::Up {
            return String::new();
        }
        let names = replica_names(&self.home.status().await);
        names.into_iter().min().unwrap()
    }

    /// A client of a cluster that goes away stops first.
    async fn before(&mut self, command: Command) {
        if command == Command::Down
            && let Some(client) = self.client.take()
        {
            let record = client.writer.finish().await;
            assert!(!record.acknowledged.is_empty());
            self.assert_there(&record.acknowledged).await;
        }
    }

    /// The command is done, whole, and nothing was lost.
    async fn settled(&mut self, command: Command) {
        if command == Command::Down {
            return assert_gone(&self.home, &self.nothing).await;
        }
        let status = assert_agreement(&self.home, command.replicas()).await;
        let again = self.home.run("reconcile -o json").await.succeeded();
        assert_eq!(again.summary()["steps"], 0, "{again}");
        let api = Api::of(&self.home).await;
        let Some(client) = &self.client else {
            let (server, keys) = (
                api.server.clone(),
                Etcd::keys(&self.home, &status["replicas"][0]),
            );
            let writer = Writer::start(move |name| {
                let api = api.clone();
                async move { api.write(&name).await }
            });
            writer.goes_on().await;
            self.client = Some(Client {
                server,
                keys,
                writer,
            });
            return;
        };
        assert_eq!(api.server, client.server, "the endpoint's address");
        client.writer.goes_on().await;
        self.assert_there(&client.writer.acknowledged()).await;
    }

    async fn assert_there(&self, acknowledged: &[String]) {
        let there = Api::of(&self.home).await.written().await;
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|name| !there.contains(*name))
            .collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    }
}

/// Killed between its last change and its last word: asking again would be asking for more.
fn is_done(command: Command, replica: &str, status: &Value) -> bool {
    let names = replica_names(status);
    match command {
        Command::Replace => !names.iter().any(|name| name == replica),
        _ => names.len() == command.replicas(),
    }
}
