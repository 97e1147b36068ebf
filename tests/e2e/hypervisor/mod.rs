//! `--provider libvirt` from the command line: real libvirtd and qemu, guests that boot, real etcd, haproxy and
//! keepalived. What the guests download in the place of Kubernetes' programs are the stand-ins.
//!
//! These tests run on the host of their own that `scripts/test vm` makes (scripts/lib/hypervisor); elsewhere
//! they say that they are skipped.

mod guests;
mod lab;

use crate::support::{Api, Writer, eventually_within};
use guests::Guests;
use lab::{Lab, PATIENCE};
use std::time::{Duration, Instant};

/// Emulated processors encrypt slowly: more writes than this, and a guest has no time to say that it is well.
const PACE: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_guests_and_back() {
    let Some(lab) = Lab::new().await else {
        return;
    };
    let home = &lab.home;
    let before = lab.everything();

    lab.timed("up", "up -o json").await;
    let server = Api::of(home).await.server;
    let guests = Guests::of(&lab).await;
    let api = Api::of(home).await;
    let writer = Writer::start_every(PACE, {
        let api = api.clone();
        move |name| {
            let api = api.clone();
            async move { api.write(&name).await }
        }
    });
    for zone in ["rack-b", "rack-c"] {
        lab.timed("replicate", &format!("replicate --zone {zone} -o json"))
            .await;
        writer.goes_on().await;
    }
    lab.status_of(3).await;
    let calm = writer.refused();

    // The API server of the machine that has the address stops: another machine takes the address.
    let holder = guests.holder().await;
    guests
        .on(&holder, "sudo systemctl stop kube-apiserver")
        .await;
    moves(&lab, &guests, &holder, "its API server stopped").await;
    writer.goes_on().await;
    guests
        .on(&holder, "sudo systemctl start kube-apiserver")
        .await;
    lab.status_of(3).await;

    // The guest that has the address goes as in a power cut, and comes back by `repair`.
    let holder = guests.holder().await;
    lab.virsh(&format!("destroy {holder}"));
    moves(&lab, &guests, &holder, "the guest was destroyed").await;
    writer.goes_on().await;
    lab.timed("repair", "repair -o json").await;
    lab.status_of(3).await;

    for left in [2, 1] {
        lab.timed_once_allowed("down --replica", "down --replica -o json")
            .await;
        writer.goes_on().await;
        lab.status_of(left).await;
    }
    assert_eq!(Api::of(home).await.server, server, "the endpoint moved");
    let record = writer.finish().await;
    eprintln!(
        "vm: {} writes acknowledged, {} refused: {calm} of them before the two failures",
        record.acknowledged.len(),
        record.refused.len(),
    );
    let there = api.written().await;
    for name in &record.acknowledged {
        assert!(there.contains(name), "{name} was acknowledged and is lost");
    }

    lab.timed("down", "down --yes -o json").await;
    assert_eq!(lab.everything(), before, "something is left");
}

/// Waits until another machine has the address and a client gets an answer, and prints how long that took.
async fn moves(lab: &Lab, guests: &Guests<'_>, from: &str, why: &str) {
    let started = Instant::now();
    eventually_within(PATIENCE, "the address moves", async || {
        (guests.holder().await != from).then_some(())
    })
    .await;
    let held = started.elapsed();
    eventually_within(PATIENCE, "the endpoint answers", async || {
        lab.endpoint_answers().await.then_some(())
    })
    .await;
    eprintln!(
        "vm: {why}: another machine had the address after {:.1} s, and answered after {:.1} s",
        held.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
}
