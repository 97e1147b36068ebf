//! What another command does when one is unfinished: it says so, and how to finish it.

use super::converged::{has_replicas, is_gone};
use super::scenarios::{follower, remove, replicas, replicate};
use super::site::{Command, End, Fate, Site};
use super::world::Crash;
use crate::error::Kind;
use crate::output::Event;

/// Two replicas, and a third that was begun.
fn interrupted() -> Site {
    let mut site = replicas(2);
    let command = replicate(Some("europe-west1-d"), 1);
    let whole = site.fork().run(&command, Fate::default()).calls;
    let machine = whole
        .iter()
        .position(|call| call.starts_with("make machine"));
    let crash = Some(Crash {
        call: machine.unwrap(),
        performed: true,
    });
    let end = site.run(
        &command,
        Fate {
            crash,
            ..Fate::default()
        },
    );
    assert!(end.result.is_none(), "it wasn't killed");
    site
}

fn notes(end: &End) -> String {
    let text = |event: &Event| format!("{event:?}");
    end.events.iter().map(text).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_changes_the_intent_is_refused_and_offered_reconcile() {
    let site = interrupted();
    let stored = site.stored();
    let follower = follower(&site);
    for command in [
        replicate(None, 1),
        replicate(Some("europe-west1-d"), 2),
        remove(&follower, false),
        Command::Replace(follower.clone()),
    ] {
        let mut site = site.fork();
        let error = site.run(&command, Fate::default()).result.unwrap();
        let error = error.expect_err("it went on regardless");
        assert_eq!(error.kind, Kind::Refused, "{command:?}: {error}");
        assert!(
            error.message.starts_with("replicate is unfinished"),
            "{error}"
        );
        assert!(error.hints[0].contains("hakube reconcile"), "{error:?}");
        assert_eq!(site.stored(), stored, "{command:?} changed the intent");
        site.does(&Command::Reconcile);
        has_replicas(&site, 3).unwrap();
    }
}

#[test]
fn what_makes_the_intent_so_finishes_it_and_says_so() {
    for command in [Command::Repair, Command::Up, Command::Reconcile] {
        let mut site = interrupted();
        let end = site.run(&command, Fate::default());
        assert!(
            notes(&end).contains("finishing replicate, begun "),
            "{}",
            notes(&end)
        );
        has_replicas(&site, 3).unwrap_or_else(|why| panic!("{command:?}: {why}"));
    }
    let mut site = interrupted();
    let end = site.run(&Command::Down, Fate::default());
    assert!(
        notes(&end).contains("replicate is unfinished"),
        "{}",
        notes(&end)
    );
    is_gone(&site).unwrap();
}
