//! The calls that the commands make without faults.

use crate::calls::{Call, distinct};
use crate::command::Command;
use crate::world::{PATIENT, World};

/// The calls of each command: every change, and each distinct read once.
pub async fn record() -> Vec<(Command, Call)> {
    let mut world = World::new();
    let mut calls = Vec::new();
    for command in Command::ALL {
        world.reach(command.before()).await.unwrap();
        let replica = world.last_replica().await.unwrap();
        let before = world.cloud.requests(0).await.unwrap();
        let seen = before.last().map_or(0, |request| request.ordinal);
        let outcome = world.hakube(&command.arguments(&replica), PATIENT).await;
        assert!(
            outcome.ok(),
            "{command:?} fails without any fault: {outcome}"
        );
        world.replicas = command.after();
        let requests = world.cloud.requests(seen).await.unwrap();
        let distinct = distinct(&requests).into_iter();
        calls.extend(distinct.map(|call| (command, call)));
        if command == Command::ReplicateToTwoInOneZone {
            world.reach(1).await.unwrap();
        }
    }
    calls
}
