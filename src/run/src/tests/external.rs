//! The operator's own balancer: hakube reports the backends it needs, and reserves and moves no address.

use super::scenarios::replicate;
use super::site::{Command, Fate, Site};
use hakube_output::Event;

const MASTER: &str = "kubernetes-master";

fn site() -> Site {
    Site::new(&[
        ("KUBERNETES_PROVIDER", "libvirt"),
        ("MULTIZONE", "true"),
        ("HAKUBE_ENDPOINT", "192.0.2.10:8443"),
    ])
}

#[test]
fn backends_are_reported_and_nothing_is_reserved() {
    let mut site = site();
    site.world.users_backends = vec![MASTER.to_owned()];
    site.does(&Command::Up);
    let end = site.run(&replicate(None, 1), Fate::default());
    end.result.unwrap().unwrap();
    assert!(site.world.cloud.address.is_none() && site.world.holders().is_empty());
    let reported = end.events.iter().rev().find_map(|event| match event {
        Event::Backends { endpoint, backends } => Some((endpoint.to_string(), backends.clone())),
        _ => None,
    });
    let (endpoint, backends) = reported.unwrap();
    assert_eq!(endpoint, "192.0.2.10:8443");
    assert_eq!(
        backends[0].to_string(),
        "kubernetes-master 10.40.0.1:6443 ready"
    );
    assert_eq!(backends.len(), 2);

    let status = site.status();
    assert_eq!(status.drift, [""; 0]);
    assert_eq!(status.endpoint.mode, "external");
    assert_eq!(status.endpoint.address.as_deref(), Some("192.0.2.10"));
    assert_eq!((status.endpoint.port, status.endpoint.ready), (8443, true));
    assert_eq!(status.endpoint.backends, backends);
    site.does(&Command::Down);
}

#[test]
fn a_balancer_without_backends_is_reported_with_those_it_needs() {
    let mut site = site();
    let error = site.run(&Command::Up, Fate::default()).result.unwrap();
    let error = error.expect_err("the balancer has no backends");
    let hints = error.hints.join("\n");
    assert!(error.to_string().contains("192.0.2.10:8443"), "{error}");
    assert!(
        hints.contains("kubernetes-master 10.40.0.1:6443 ready"),
        "{hints}"
    );
    // It succeeds once the balancer is configured.
    site.world.users_backends = vec![MASTER.to_owned()];
    site.does(&Command::Up);
}
