//! The chaos run: rounds of faults, each fixed before the next begins.

use super::blow::Blow;
use super::order::Order;
use super::report::{Client, Report};
use super::writers::{Members, Writer};
use crate::support::{Api, Etcd, Home, assert_agreement, replica_names};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::sleep;

/// How long recovery may take after any round.
const CALM: Duration = Duration::from_secs(180);

/// A cluster, its clients, and the faults so far.
pub struct Storm {
    home: Home,
    rng: StdRng,
    seed: u64,
    began: Instant,
    server: String,
    /// As listed by `status`.
    replicas: watch::Sender<Vec<Value>>,
    through_endpoint: Writer,
    to_etcd: Writer,
    rounds: usize,
    disturbances: BTreeMap<String, usize>,
}

/// A round's faults, chosen in advance.
struct Round {
    blow: Blow,
    victim: Value,
    /// Time since the start of the round.
    strikes: Duration,
    /// The duration of a freeze.
    frozen: Duration,
    order: Option<Order>,
    fate: Option<Fate>,
    /// Time since the command's start.
    befalls: Duration,
    /// The command that fixes it.
    remedy: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Killed,
    /// As long as the faulty replica.
    Frozen,
}

impl Storm {
    /// Creates three replicas in three zones, and two clients.
    pub async fn gather(seed: u64) -> Self {
        eprintln!("chaos: HAKUBE_TEST_SEED={seed}");
        let mut home = Home::new();
        home.set("MULTIZONE", "true");
        home.set("HAKUBE_TIMEOUT", "30s");
        home.run("up").await.succeeded();
        home.run("replicate --count 2").await.succeeded();
        let status = assert_agreement(&home, 3).await;
        let replicas = watch::Sender::new(listed(&status));
        let api = Api::of(&home).await;
        Self {
            rng: StdRng::seed_from_u64(seed),
            seed,
            began: Instant::now(),
            server: api.server.clone(),
            through_endpoint: Writer::start(api),
            to_etcd: Writer::start(Members::of(&home, replicas.subscribe())),
            home,
            replicas,
            rounds: 0,
            disturbances: BTreeMap::new(),
        }
    }

    /// One fault of a replica or of the daemon, while an operator's command runs that may be killed. Then
    /// everything is fixed.
    pub async fn round(&mut self) {
        let round = self.choose();
        self.rounds += 1;
        let (struck, end) = tokio::join!(self.strikes(&round), self.works(&round));
        if struck {
            self.count(round.blow.name());
        }
        if let (Some(order), Some(end)) = (&round.order, end) {
            self.count(&format!("hakube {}{end}", order.name()));
        }
        self.calms_down(round.remedy).await;
    }

    fn choose(&mut self) -> Round {
        let replicas = self.replicas.borrow().clone();
        let names: Vec<String> = replicas
            .iter()
            .filter_map(|replica| replica["name"].as_str().map(str::to_owned))
            .collect();
        let rng = &mut self.rng;
        let within = |rng: &mut StdRng, milliseconds| {
            Duration::from_millis(rng.random_range(0..milliseconds))
        };
        Round {
            blow: *Blow::ALL.choose(rng).unwrap(),
            victim: replicas.choose(rng).unwrap().clone(),
            strikes: within(rng, 3000),
            frozen: within(rng, 4000),
            order: rng.random_bool(0.7).then(|| Order::random(&names, rng)),
            fate: *[
                None,
                Some(Fate::Frozen),
                Some(Fate::Killed),
                Some(Fate::Killed),
            ]
            .choose(rng)
            .unwrap(),
            befalls: within(rng, 4000),
            remedy: if rng.random() { "repair" } else { "reconcile" },
        }
    }

    async fn strikes(&self, round: &Round) -> bool {
        sleep(round.strikes).await;
        let Round {
            blow,
            victim,
            frozen,
            ..
        } = round;
        self.log(&format!("{}: {}", blow.name(), victim["name"]));
        let struck = blow.strike(&self.home, victim, *frozen).await;
        if *blow == Blow::DaemonKilled {
            // As an init system would restart it.
            sleep(*frozen).await;
            self.home.run("local start").await.succeeded();
        }
        struck
    }

    /// Runs the command, if there is one, and returns what happened to it.
    async fn works(&self, round: &Round) -> Option<&'static str> {
        let arguments = round.order.as_ref()?.arguments();
        self.log(&format!("hakube {arguments}"));
        let running = self.home.start(&arguments);
        let pid = Pid::from_raw(running.pid().try_into().unwrap());
        let mut end = Box::pin(running.end());
        let signal = |signal| kill(pid, signal).unwrap();
        let before = tokio::select! {
            outcome = &mut end => Some(outcome),
            () = sleep(round.befalls) => None,
        };
        let (outcome, became) = match (before, round.fate) {
            (Some(outcome), _) => (outcome, ""),
            (None, None) => (end.await, ""),
            (None, Some(Fate::Killed)) => {
                signal(Signal::SIGKILL);
                (end.await, ", killed")
            }
            (None, Some(Fate::Frozen)) => {
                signal(Signal::SIGSTOP);
                sleep(round.frozen).await;
                signal(Signal::SIGCONT);
                (end.await, ", frozen")
            }
        };
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        self.log(&format!("hakube {arguments}{became}: {}", ended(&outcome)));
        Some(became)
    }

    /// Fixes everything, and waits until status confirms it.
    async fn calms_down(&mut self, remedy: &str) {
        let began = Instant::now();
        let status = loop {
            let outcome = self.home.run(remedy).await;
            assert!(!outcome.stderr.contains("panicked"), "{outcome}");
            self.log(&format!("hakube {remedy}: {}", ended(&outcome)));
            if outcome.exit == Some(0) {
                let status = self.home.status().await;
                if is_well(&status) {
                    break status;
                }
                self.log(&format!("not healthy yet: {}", status["quorum"]));
            }
            assert!(
                began.elapsed() < CALM,
                "not fixed within {CALM:?}: {outcome}"
            );
            sleep(Duration::from_millis(200)).await;
        };
        let replicas = replica_names(&status).len();
        assert!((3..=4).contains(&replicas), "{status:#}");
        assert_eq!(Api::of(&self.home).await.server, self.server);
        self.replicas.send_replace(listed(&status));
        self.through_endpoint.goes_on().await;
        self.to_etcd.goes_on().await;
    }

    /// The final check: the cluster is healthy, and all writes are read back.
    pub async fn end(self) -> Report {
        let lasted = self.began.elapsed();
        let books = [
            self.through_endpoint.finish().await,
            self.to_etcd.finish().await,
        ];
        let count = self.replicas.borrow().len();
        let status = assert_agreement(&self.home, count).await;
        let [endpoint, direct] = books;
        let member = Etcd::of(&self.home, &status["replicas"][0]).await;
        let clients = [
            Client {
                name: "through the endpoint",
                book: endpoint,
                there: Api::of(&self.home).await.revisions().await,
            },
            Client {
                name: "to etcd",
                book: direct,
                there: member.revisions().await,
            },
        ];
        Report {
            seed: self.seed,
            lasted,
            rounds: self.rounds,
            disturbances: self.disturbances,
            clients,
        }
    }

    fn count(&mut self, what: &str) {
        *self.disturbances.entry(what.to_owned()).or_default() += 1;
    }

    fn log(&self, what: &str) {
        eprintln!("{:7.1} s  {what}", self.began.elapsed().as_secs_f64());
    }
}

fn listed(status: &Value) -> Vec<Value> {
    status["replicas"].as_array().unwrap().clone()
}

/// All replicas are healthy, and nothing is left to do.
fn is_well(status: &Value) -> bool {
    let replicas = status["replicas"].as_array().unwrap();
    let ready = |replica: &Value| replica["etcd_healthy"] == true && replica["api_ready"] == true;
    replicas.iter().all(ready)
        && status["quorum"]["voters"] == replicas.len()
        && status["endpoint"]["ready"] == true
        && status["unfinished"].is_null()
        && status["drift"] == serde_json::json!([])
}

fn ended(outcome: &crate::support::Outcome) -> String {
    match outcome.exit {
        Some(0) => "done".to_owned(),
        None => "killed".to_owned(),
        Some(code) => {
            let lines = outcome.stderr.lines().map(str::trim);
            let said: Vec<&str> = lines
                .skip_while(|line| !line.starts_with("error:"))
                .collect();
            format!("exit {code}: {}", said.join(" | "))
        }
    }
}
