//! Nodes that are late.

use super::site::{Command, Fate, Site};
use hakube_output::Event;

fn up(unready: usize) -> (Site, super::site::End) {
    let mut site = Site::new(&[("NUM_NODES", "3"), ("ALLOWED_NOTREADY_NODES", "1")]);
    site.world.unready_nodes = unready;
    let end = site.run(&Command::Up, Fate::default());
    (site, end)
}

#[test]
fn allowed_unready_nodes_are_a_warning() {
    let (site, end) = up(1);
    end.result.unwrap().unwrap();
    let warned = end.events.iter().any(|event| match event {
        Event::Warning { text } => text.contains("2 of 3") && text.contains("ALLOWED_NOTREADY"),
        _ => false,
    });
    assert!(warned, "{:#?}", end.events);
    assert_eq!(site.status().drift, [""; 0]);
}

#[test]
fn more_unready_nodes_than_allowed_are_a_failure() {
    let (_, end) = up(2);
    let error = end.result.unwrap().unwrap_err().to_string();
    assert!(error.contains("2 nodes to be ready"), "{error}");
}

#[test]
fn ready_nodes_cause_no_warning() {
    let (_, end) = up(0);
    end.result.unwrap().unwrap();
    let late = |event: &Event| matches!(event, Event::Warning { text } if text.contains("ready"));
    assert!(!end.events.iter().any(late), "{:#?}", end.events);
}
