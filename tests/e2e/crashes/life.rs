//! A cluster's lifecycle, with a client that writes throughout.

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
    /// The resources without a cluster.
    nothing: Inventory,
    client: Option<Client>,
    rng: StdRng,
}

struct Client {
    server: String,
    /// TLS options for etcd.
    keys: TlsOptions,
    writer: Writer,
}

impl Life {
    /// Starts without a cluster.
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

    /// Runs the command undisturbed, and returns its calls.
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

    /// Runs the command, kills it once, and finishes it. Returns whether the moment was reached.
    ///
    /// # Panics
    /// The result differs from that of an undisturbed run.
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

    /// The command's outcome, if it ended before the moment was reached.
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

    /// What an operator does after a killed command.
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

    /// After a killed command, etcd must accept writes without any help. The endpoint isn't checked: its
    /// address may be moving.
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

    /// The same replica in each lifecycle, since the calls depend on it.
    async fn first_replica(&self, command: Command) -> String {
        if command == Command::Up {
            return String::new();
        }
        let names = replica_names(&self.home.status().await);
        names.into_iter().min().unwrap()
    }

    /// Stops the client before its cluster is deleted.
    async fn before(&mut self, command: Command) {
        if command == Command::Down
            && let Some(client) = self.client.take()
        {
            let record = client.writer.finish().await;
            assert!(!record.acknowledged.is_empty());
            self.assert_there(&record.acknowledged).await;
        }
    }

    /// Asserts that the command is complete and no data was lost.
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

/// Whether it was killed after its last change: repeating it would do more than requested.
fn is_done(command: Command, replica: &str, status: &Value) -> bool {
    let names = replica_names(status);
    match command {
        Command::Replace => !names.iter().any(|name| name == replica),
        _ => names.len() == command.replicas(),
    }
}
