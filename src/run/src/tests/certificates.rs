//! Renewal of certificates before and after they expire.

use super::scenarios::replicas;
use super::site::{Command, End, Fate, Site};
use crate::RenewRequest;
use hakube_model::Severity;
use hakube_output::Event;
use jiff::SignedDuration;

/// Moves the clock ahead.
fn after(site: &mut Site, days: i64) {
    site.clock_ahead = SignedDuration::from_hours(24 * days);
}

/// The replicas that got new certificates, in order. Between two of them, etcd must be checked.
fn renewed(end: &End) -> Vec<&str> {
    let is_put = |call: &&String| call.contains("replica.env on ");
    let puts = end.calls.iter().filter(is_put);
    puts.filter_map(|call| Some(call.split_once(" on ")?.1))
        .collect()
}

fn is_one_at_a_time(end: &End) -> bool {
    let mut parts = end.calls.split(|call| call.contains("replica.env on "));
    // Before the first and after the last, no check is needed.
    let between = parts.by_ref().skip(1);
    between
        .into_iter()
        .all(|calls| calls.iter().any(|call| call.starts_with("etcd: status of")))
}

/// The days until the replicas' certificates expire.
fn days(site: &Site) -> Vec<i64> {
    let listed = site.certificates().certificates;
    let of_replicas = listed
        .iter()
        .filter(|one| one.owner.starts_with("kubernetes-master"));
    of_replicas.map(|one| one.days.unwrap()).collect()
}

fn runs(site: &mut Site, command: &Command) -> End {
    let end = site.run(command, Fate::default());
    if let Some(Err(error)) = &end.result {
        panic!("{command:?}: {error}\n{:#?}", site.world);
    }
    assert_eq!(site.world.violations, [""; 0]);
    end
}

#[test]
fn a_new_clusters_certificates_are_listed_and_not_renewed() {
    let mut site = replicas(3);
    let list = site.certificates();
    // Eight per replica, the kubeconfig's, four authorities.
    assert_eq!(list.certificates.len(), 3 * 8 + 1 + 4);
    assert!(days(&site).iter().all(|&days| days >= 364), "{list:#?}");
    assert_eq!(site.status().certificates.severity, Severity::Ok);
    let end = runs(&mut site, &Command::Repair);
    assert_eq!(renewed(&end), [""; 0]);
}

#[test]
fn after_250_days_repair_renews_replica_by_replica() {
    let mut site = replicas(3);
    after(&mut site, 250);
    assert_eq!(site.status().certificates.severity, Severity::Ok);
    let end = runs(&mut site, &Command::Repair);
    assert_eq!(renewed(&end).len(), 3, "{:#?}", end.calls);
    assert!(is_one_at_a_time(&end), "{:#?}", end.calls);
    assert!(days(&site).iter().all(|&days| days >= 364));
    // Including the kubeconfig's.
    let list = site.certificates();
    let kubeconfig = list
        .certificates
        .iter()
        .find(|one| one.owner == "kubeconfig");
    assert!(kubeconfig.unwrap().days.unwrap() >= 364);
    // The second time there is nothing to do.
    let again = runs(&mut site, &Command::Repair);
    assert_eq!(renewed(&again), [""; 0]);
    assert_eq!(site.status().drift, [""; 0]);
}

#[test]
fn after_340_days_status_warns_and_every_changing_command_renews() {
    let mut site = replicas(2);
    after(&mut site, 340);
    let status = site.status();
    assert_eq!(status.certificates.severity, Severity::Warning);
    assert!(status.render().contains("WARNING"), "{}", status.render());
    runs(&mut site, &Command::Reconcile);
    assert!(days(&site).iter().all(|&days| days >= 364));
    assert_eq!(site.status().certificates.severity, Severity::Ok);
}

#[test]
fn after_400_days_the_cluster_is_down_and_repair_recovers_it() {
    for count in [1, 3] {
        let mut site = replicas(count);
        after(&mut site, 400);
        let status = site.status();
        assert_eq!(status.certificates.severity, Severity::Error);
        assert!(!status.endpoint.ready);
        let text = status.render();
        assert!(text.contains("EXPIRED 35 days ago"), "{text}");
        runs(&mut site, &Command::Repair);
        let status = site.status();
        assert!(status.endpoint.ready);
        assert_eq!(status.drift, [""; 0]);
        assert_eq!(status.certificates.severity, Severity::Ok);
    }
}

#[test]
fn after_400_days_other_commands_renew_first() {
    let mut site = replicas(3);
    after(&mut site, 400);
    runs(&mut site, &Command::Replace("kubernetes-master".to_owned()));
    let status = site.status();
    assert!(status.endpoint.ready);
    assert_eq!(status.quorum.unwrap().healthy, 3);
    assert!(
        status
            .replicas
            .iter()
            .all(|replica| replica.name != "kubernetes-master")
    );
}

#[test]
fn a_dry_run_after_400_days_only_shows_the_renewal() {
    let mut site = replicas(1);
    after(&mut site, 400);
    let dry_run = Fate {
        dry_run: true,
        ..Fate::default()
    };
    let end = site.run(&Command::Repair, dry_run);
    end.result.unwrap().unwrap();
    let says = |event: &Event| format!("{event:?}").contains("renew the certificates of");
    assert!(end.events.iter().any(says), "{:#?}", end.events);
    assert_eq!(site.status().certificates.severity, Severity::Error);
}

#[test]
fn one_replica_can_be_renewed_alone() {
    let mut site = replicas(2);
    after(&mut site, 10);
    let renew = RenewRequest::Replica("kubernetes-master".to_owned());
    runs(&mut site, &Command::Renew(renew));
    let list = site.certificates().certificates;
    let days_of = |owner: &str| {
        let found = list.iter().find(|one| one.owner == owner);
        found.unwrap().days.unwrap()
    };
    let names: Vec<String> = site.status().replicas.into_iter().map(|r| r.name).collect();
    for name in names {
        let expected = if name == "kubernetes-master" {
            364..=365
        } else {
            354..=355
        };
        assert!(
            expected.contains(&days_of(&name)),
            "{name}: {}",
            days_of(&name)
        );
    }
    let end = site.run(
        &Command::Renew(RenewRequest::Replica("missing".to_owned())),
        Fate::default(),
    );
    let error = end.result.unwrap().unwrap_err();
    assert!(error.to_string().contains("no replica missing"), "{error}");
}

#[test]
fn renew_only_renews_due_certificates_by_default() {
    let mut site = replicas(1);
    let end = runs(&mut site, &Command::Renew(RenewRequest::Due));
    assert!(
        !end.calls.iter().any(|call| call.starts_with("put")),
        "{:#?}",
        end.calls
    );
    let end = runs(&mut site, &Command::Renew(RenewRequest::All));
    assert!(
        end.calls.iter().any(|call| call.starts_with("put")),
        "{:#?}",
        end.calls
    );
}

#[test]
fn a_missing_certificate_is_restored() {
    let mut site = replicas(1);
    let machine = site
        .world
        .cloud
        .machines
        .get_mut("kubernetes-master")
        .unwrap();
    machine
        .files
        .remove("/etc/kubernetes/pki/scheduler.crt")
        .unwrap();
    assert_eq!(site.status().certificates.severity, Severity::Error);
    runs(&mut site, &Command::Repair);
    assert_eq!(site.status().certificates.severity, Severity::Ok);
}

#[test]
fn the_token_in_a_groups_template_is_extended() {
    let mut site = Site::new(&[("NUM_NODES", "2")]);
    runs(&mut site, &Command::Up);
    let expires = |site: &Site| site.world.tokens[0].expires.unwrap();
    let first = expires(&site);
    assert_eq!(site.world.tokens[0].templates.len(), 1);
    runs(&mut site, &Command::Repair);
    assert_eq!(expires(&site), first, "it isn't due");
    // Extended before and after its expiry, by a limited time.
    for hours in [13, 13 + 48] {
        site.clock_ahead = SignedDuration::from_hours(hours);
        let is_named = site
            .status()
            .drift
            .iter()
            .any(|says| says.contains("token"));
        assert_eq!(is_named, hours > 24, "{:#?}", site.status().drift);
        runs(&mut site, &Command::Repair);
        let left = expires(&site).duration_since(jiff::Timestamp::now()) - site.clock_ahead;
        assert!(left.as_hours() >= 23 && left.as_hours() <= 24, "{left:?}");
    }
    assert_eq!(site.world.tokens.len(), 1);
}

/// Kubernetes deletes expired tokens, and machines that boot with them wait.
#[test]
fn a_deleted_token_is_recreated_with_the_same_id() {
    let mut site = Site::new(&[("NUM_NODES", "2")]);
    runs(&mut site, &Command::Up);
    let before = site.world.tokens[0].clone();
    site.world.tokens.clear();
    assert_eq!(site.status().drift.len(), 1);
    runs(&mut site, &Command::Repair);
    assert_eq!(site.world.tokens[0].id, before.id);
    assert_eq!(site.world.tokens[0].templates, before.templates);
    assert_eq!(site.status().drift, [""; 0]);
}

#[test]
fn clock_skew_is_reported() {
    let mut site = replicas(2);
    assert_eq!(site.status().clocks, []);
    let skew = SignedDuration::from_mins(-6);
    site.world
        .clocks
        .insert("kubernetes-master".to_owned(), skew);
    let status = site.status();
    assert_eq!(status.clocks.len(), 1);
    assert!((-361..=-359).contains(&status.clocks[0].ahead_seconds));
    assert_eq!(status.clocks[0].severity, Severity::Error);
    let text = status.render();
    assert!(
        text.contains("clock of kubernetes-master") || text.contains("6m"),
        "{text}"
    );
}
