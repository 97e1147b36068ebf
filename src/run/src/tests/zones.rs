//! Zones as failure domains.

use super::scenarios::{replicas, replicate};
use super::site::Fate;
use hakube_output::Event;

#[test]
fn a_zone_that_decides_quorum_is_reported() {
    for (zone, named) in [("europe-west1-c", true), ("europe-west1-d", false)] {
        let mut site = replicas(2);
        let zones: Vec<String> = site.status().replicas.into_iter().map(|r| r.zone).collect();
        assert_eq!(zones, ["europe-west1-b", "europe-west1-c"]);
        let end = site.run(&replicate(Some(zone), 1), Fate::default());
        end.result.unwrap().unwrap();
        let warned = end.events.iter().any(|event| match event {
            Event::Warning { text } => text.contains("losing zone europe-west1-c (2 of 3"),
            _ => false,
        });
        assert_eq!(warned, named, "{zone}: {:#?}", end.events);
    }
}
