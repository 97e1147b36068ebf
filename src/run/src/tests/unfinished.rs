//! Commands while another operation is unfinished: they report it, and how to finish it.

use super::converged::{has_replicas, is_gone};
use super::scenarios::{follower, remove, replicas, replicate};
use super::site::{Command, End, Fate, Site};
use super::world::Crash;
use hakube_error::Kind;
use hakube_output::Event;

/// Two replicas, and an unfinished third one.
fn interrupted() -> Site {
    let mut site = replicas(2);
    let command = replicate(Some("europe-west1-d"), 1);
    let whole = site.fork().run(&command, Fate::default()).calls;
    let machine = whole
        .iter()
        .position(|call| call.starts_with("create machine"));
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
fn commands_that_change_the_intent_are_refused() {
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
        let error = error.expect_err("expected a refusal");
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
fn converging_commands_finish_it_and_report_it() {
    for command in [Command::Repair, Command::Up, Command::Reconcile] {
        let mut site = interrupted();
        let end = site.run(&command, Fate::default());
        assert!(
            notes(&end).contains("finishing replicate, started "),
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

/// An unknown member's vote blocks the removal. Once that member is gone, nothing of the removal is left to do.
#[test]
fn a_refused_removal_has_no_effect() {
    let mut site = replicas(3);
    let stored = site.stored();
    let follower = follower(&site);
    let url = "https://192.0.2.9:2380";
    let unknown = site.world.etcd.add("unknown", url, false);
    let end = site.run(&remove(&follower, false), Fate::default());
    let error = end.result.unwrap().expect_err("expected a refusal");
    assert_eq!(error.kind, Kind::Refused, "{error}");
    assert_eq!(site.stored(), stored);
    site.world.etcd.members.retain(|one| one.id != unknown);
    site.does(&Command::Repair);
    has_replicas(&site, 3).unwrap();
}
