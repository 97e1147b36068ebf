//! Chaos on real hosts: power cuts, full disks, frozen processes, cut links, wiped members and killed
//! hakubes, while clients write through the endpoint and to every API server.
//!
//! At most one replica, and possibly a node, is faulty at a time: three voters tolerate one failure. After
//! each round the fault is undone, as an operator on site would, and `hakube repair` alone must fix the
//! rest. At the end every acknowledged write exists, and all members have the same data.
//!
//! - `HAKUBE_CHAOS_SECONDS` is the duration; the default is 600.
//! - `HAKUBE_TEST_SEED=N` repeats a run's faults.

mod blow;
mod check;
mod writers;

use super::lab::{Lab, run};
use crate::counts;
use blow::Blow;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};
use writers::Writers;

const REPLICAS: [&str; 3] = ["r1", "r2", "r3"];
const NODE: &str = "n1";
/// How long recovery may take after any round.
const CALM: Duration = Duration::from_secs(300);

pub struct Storm<'a> {
    lab: &'a Lab,
    rng: StdRng,
    seed: u64,
    began: Instant,
    rounds: usize,
    disturbances: BTreeMap<String, usize>,
    /// The longest time until everything was healthy again.
    longest_repair: Duration,
}

/// Runs for this long, with a cluster of three replicas and one node.
pub fn storm(lab: &Lab, seed: u64, lasts: Duration) {
    eprintln!("chaos on hosts: HAKUBE_TEST_SEED={seed}");
    let writers = Writers::start(lab, &REPLICAS);
    let mut storm = Storm {
        lab,
        rng: StdRng::seed_from_u64(seed),
        seed,
        began: Instant::now(),
        rounds: 0,
        disturbances: BTreeMap::new(),
        longest_repair: Duration::ZERO,
    };
    while storm.began.elapsed() < lasts {
        storm.round();
    }
    let lasted = storm.began.elapsed();
    let books = writers.end();
    let lost = check::lost(lab, &books);
    let differing = check::differing_members(lab, &REPLICAS);
    storm.report(lasted, &books, &lost);
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert_eq!(differing, None, "members whose data differs");
}

impl Storm<'_> {
    /// A fault of a replica, and perhaps of the node, while an operator's repair may run and be killed.
    fn round(&mut self) {
        self.rounds += 1;
        let victim = *REPLICAS.choose(&mut self.rng).unwrap();
        let blow = *Blow::ALL.choose(&mut self.rng).unwrap();
        let node = self.rng.random_bool(0.25);
        let holds = Duration::from_millis(self.rng.random_range(1000..12_000));
        let killed = self
            .rng
            .random_bool(0.5)
            .then(|| Duration::from_millis(self.rng.random_range(200..8000)));
        self.log(&format!("{} on {victim}", blow.name()));
        blow.strike(self.lab, victim, &REPLICAS);
        self.count(blow.name());
        if node {
            self.log(&format!("{NODE} loses power"));
            self.lab.host(NODE).cut_power().unwrap();
            self.count("node without power");
        }
        if let Some(after) = killed {
            self.kill_a_repair(after);
        }
        sleep(holds);
        blow.undo(self.lab, victim);
        if node {
            self.lab.host(NODE).power_on().unwrap();
        }
        self.calms_down();
    }

    fn kill_a_repair(&mut self, after: Duration) {
        let mut repair = self.lab.hakube_command(&["repair", "--timeout", "30s"]);
        let mut repair = repair
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(after);
        // It may have finished already.
        drop(repair.kill());
        repair.wait().unwrap();
        self.count("hakube repair killed");
    }

    /// Runs only `repair` until everything is healthy.
    fn calms_down(&mut self) {
        let began = Instant::now();
        let mut said = String::new();
        loop {
            let status = self.status();
            if status.as_ref().is_ok_and(is_well) {
                break;
            }
            assert!(
                began.elapsed() < CALM,
                "not healthy after {CALM:?}: {status:#?}\noutput of repair: {said}"
            );
            let repair =
                run(&mut self
                    .lab
                    .hakube_command(&["repair", "--timeout", "60s", "--wait", "20s"]));
            said = match repair {
                Ok(_) => "done".to_owned(),
                Err(error) => error,
            };
            assert!(!said.contains("panicked"), "{said}");
            let ending: Vec<&str> = said.lines().rev().take(3).collect();
            self.log(&format!("hakube repair: {}", ending.join(" | ")));
            // Starting nodes and members need a moment.
            sleep(Duration::from_millis(500));
        }
        let took = began.elapsed();
        self.longest_repair = self.longest_repair.max(took);
        self.log(&format!("well after {:.1} s", took.as_secs_f64()));
    }

    fn status(&self) -> Result<Value, String> {
        let text = run(&mut self.lab.hakube_command(&["status", "--output", "json"]))?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    fn report(&self, lasted: Duration, books: &[writers::Book], lost: &[String]) {
        println!(
            "chaos on hosts: {} s, {} rounds, longest repair {:.1} s, HAKUBE_TEST_SEED={}",
            lasted.as_secs(),
            self.rounds,
            self.longest_repair.as_secs_f64(),
            self.seed
        );
        for (what, times) in &self.disturbances {
            println!("  {times:>4}  {what}");
        }
        for book in books {
            println!("  {book}");
        }
        let all = self.disturbances.values().sum();
        counts::tell(
            "chaos on hosts: disturbances, and acknowledged writes lost",
            all,
            lost.len(),
            Some(self.seed),
        );
    }

    fn count(&mut self, what: &str) {
        *self.disturbances.entry(what.to_owned()).or_default() += 1;
    }

    fn log(&self, what: &str) {
        eprintln!("{:7.1} s  {what}", self.began.elapsed().as_secs_f64());
    }
}

/// All replicas and nodes are healthy, and nothing is left to do.
fn is_well(status: &Value) -> bool {
    let replicas = status["replicas"].as_array().unwrap();
    let nodes = status["nodes"].as_array().unwrap();
    let ready = |replica: &Value| replica["etcd_healthy"] == true && replica["api_ready"] == true;
    replicas.len() == REPLICAS.len()
        && replicas.iter().all(ready)
        && nodes.len() == REPLICAS.len() + 1
        && nodes.iter().all(|node| node["ready"] == true)
        && status["quorum"]["voters"] == REPLICAS.len()
        && status["endpoint"]["ready"] == true
        && status["unfinished"].is_null()
        && status["drift"] == serde_json::json!([])
}
