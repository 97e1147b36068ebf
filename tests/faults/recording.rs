//! The calls that the commands make when nothing goes wrong.

use crate::calls::{Call, distinct};
use crate::case::Command;
use crate::world::{PATIENT, World};

/// What `up` and the first `replicate` call: every change, and each distinct read once.
pub async fn record() -> Vec<(Command, Call)> {
    let world = World::new();
    let mut calls = Vec::new();
    let mut seen = 0;
    for command in [Command::Up, Command::Replicate] {
        let outcome = world.hakube(command.arguments(), PATIENT).await;
        assert!(
            outcome.ok(),
            "{command:?} fails without any fault: {outcome}"
        );
        let requests = world.cloud.requests(seen).await.unwrap();
        seen = requests.last().unwrap().ordinal;
        let distinct = distinct(&requests).into_iter();
        calls.extend(distinct.map(|call| (command, call)));
    }
    calls
}
