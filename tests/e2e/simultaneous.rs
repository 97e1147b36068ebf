//! Two hakubes started at the same moment.

use crate::counts;
use crate::support::{Home, Outcome, eventually};
use futures::future::select_all;
use hakube_local_client::{Act, FaultRule, Moment};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const ROUNDS: usize = 200;

/// Exactly one of them proceeds: it calls the provider, which doesn't respond. The other exits and names the
/// holder of the lock. Then the first is killed, so that the next two find a dead holder's lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_simultaneous_starts_exactly_one_proceeds() {
    let home = Home::new();
    home.run("up").await.succeeded();
    let cloud = home.cloud();
    let silence = FaultRule::on_any("", Act::no_answer(Moment::Before));
    cloud.set_faults(&[silence]).await.unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for round in 0..ROUNDS {
        let both = [home.start("reconcile"), home.start("reconcile")];
        let pids = both.each_ref().map(|running| running.pid());
        let ends = both.map(|running| Box::pin(running.end()));
        let (loser, which, rest) = select_all(ends).await;
        let winner = pids[1 - which];
        if loser.exit != Some(4) || !loser.stderr.contains(&format!("pid {winner}")) {
            wrong.push(format!("round {round}: {loser}"));
        }
        seen = eventually("the one proceeds", async || last_call(&home, seen).await).await;
        kill(Pid::from_raw(winner.try_into().unwrap()), Signal::SIGKILL).unwrap();
        let Outcome { exit, .. } = select_all(rest).await.0;
        assert_eq!(exit, None, "round {round}: it ran until it was killed");
        seen = last_call(&home, seen).await.unwrap_or(seen);
    }
    counts::tell(
        "simultaneous starts of two processes",
        ROUNDS,
        wrong.len(),
        None,
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    cloud.clear_faults().await.unwrap();
    home.run("reconcile").await.succeeded();
}

/// The ordinal of the last call to the provider after this one, if any.
async fn last_call(home: &Home, seen: u64) -> Option<u64> {
    let requests = home.cloud().requests(seen).await.unwrap();
    requests.last().map(|request| request.ordinal)
}
