//! Three hosts on one bridge. Failures of a process, a guest, a host that returns, and a host that doesn't.

use super::guests::Guests;
use super::lab::{Lab, PATIENCE, REFUSED, output};
use super::traffic::Traffic;
use crate::support::replica;
use std::path::Path;
use std::process::Command;

struct Place {
    zone: String,
    host: String,
}

impl Place {
    async fn of(lab: &Lab, guest: &str) -> Self {
        let status = lab.home.status().await;
        let zone = replica(&status, guest)["zone"].as_str().unwrap().to_owned();
        let host = zone.replace("rack", "host");
        Self { zone, host }
    }

    fn power(&self, state: &str) {
        let switch = std::env::var("HAKUBE_RACK").unwrap();
        output(Command::new(Path::new(&switch).join("power")).args([state, &self.host]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hosts_one_of_which_comes_back_and_one_does_not() {
    let Some(mut lab) = Lab::rack().await else {
        return;
    };
    let mut before = lab.everything();

    lab.timed("up", "up -o json").await;
    let guests = Guests::of(&lab).await;
    let traffic = Traffic::start(&lab.home).await;
    for zone in ["rack-b", "rack-c"] {
        lab.timed("replicate", &format!("replicate --zone {zone} -o json"))
            .await;
        traffic.goes_on().await;
    }
    lab.status_of(3).await;

    let api_server = async |verb: &str, guest: &str| {
        let command = format!("sudo systemctl {verb} kube-apiserver");
        guests.on(guest, &command).await
    };
    let holder = guests.holder().await;
    traffic
        .moves(&lab, &guests, "its API server stopped", async |guest| {
            api_server("stop", guest).await;
        })
        .await;
    api_server("start", &holder).await;
    lab.status_of(3).await;

    traffic
        .moves(&lab, &guests, "the guest was destroyed", async |guest| {
            lab.destroy(guest);
        })
        .await;
    lab.timed("repair", "repair -o json").await;
    lab.status_of(3).await;

    let guest = guests.holder().await;
    let dark = Place::of(&lab, &guest).await;
    traffic
        .moves(&lab, &guests, "its host lost power", async |_| {
            dark.power("off");
        })
        .await;
    // It is unknown whether the guest runs, so changes that may need its vote are refused.
    let status = lab.home.status().await;
    assert!(status["unreachable"][&dark.zone].is_string(), "{status}");
    assert_eq!(replica(&status, &guest)["machine"], "unknown", "{status}");
    assert_eq!(status["quorum"]["healthy"], 2, "{status}");
    let removal = lab.home.start("down --replica -o json");
    removal.end_within(PATIENCE).await.exited(REFUSED);
    // Its guest starts with it, without intervention.
    lab.timed_until("its host had power again", async || {
        dark.power("on");
        lab.status_of(3).await;
    })
    .await;
    traffic.goes_on().await;

    // The next host stays off. The others continue as two of three until its replica is removed.
    let guest = guests.holder().await;
    let dead = Place::of(&lab, &guest).await;
    traffic
        .moves(&lab, &guests, "its host died", async |_| dead.power("off"))
        .await;
    lab.lose(&dead.host);
    let given_up = format!("{}=gone", dead.zone);
    lab.home.set("HAKUBE_LIBVIRT_ZONES", &given_up);
    let removal = format!("down --replica {guest} --force -o json");
    lab.timed("down --replica --force", &removal).await;
    lab.status_of(2).await;
    traffic.goes_on().await;

    lab.timed_once_allowed("down --replica", "down --replica -o json")
        .await;
    lab.status_of(1).await;
    traffic.goes_on().await;
    traffic.finish(&lab.home).await;

    lab.timed("down", "down --yes -o json").await;
    before.retain(|host, _| !host.contains(&dead.host));
    assert_eq!(lab.everything(), before, "leftovers");
}
