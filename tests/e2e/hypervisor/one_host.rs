//! Three zones on one host, as on a laptop.

use super::guests::Guests;
use super::lab::{Lab, interfaces};
use super::traffic::Traffic;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_guests_and_back() {
    let Some(lab) = Lab::one_host().await else {
        return;
    };
    let all = || (lab.everything(), interfaces());
    let before = all();

    lab.timed("up", "up -o json").await;
    let guests = Guests::of(&lab).await;
    let traffic = Traffic::start(&lab.home).await;
    lab.timed("replicate", "replicate --zone rack-b -o json")
        .await;
    traffic.goes_on().await;
    lab.status_of(2).await;

    traffic
        .moves(&lab, &guests, "its replica was removed", async |guest| {
            let command = format!("down --replica {guest} -o json");
            lab.timed_once_allowed("down --replica", &command).await;
        })
        .await;
    lab.status_of(1).await;
    traffic.finish(&lab.home).await;

    lab.timed("down", "down --yes -o json").await;
    assert_eq!(all(), before, "leftovers");
}
