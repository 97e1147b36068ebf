//! Which certificates are renewed, and in which order.

use super::is_before;
use super::world::World;
use crate::{Action, RenewRequest, plan, renewal};
use hakube_model::{Certificate, EtcdView, Intent, Life, Observed, ReplicaCertificates, TokenView};
use hakube_testing::fixtures;
use jiff::{SignedDuration, Timestamp};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// A certificate with this many of 365 days left.
fn certificate(left: i32) -> Certificate {
    let expires = now() + DAY * left;
    Certificate {
        file: "/etc/kubernetes/pki/apiserver.crt".to_owned(),
        purpose: "API server, for its clients".to_owned(),
        authority: "kubernetes-ca".to_owned(),
        life: Some(Life {
            begins: expires - DAY * 365,
            expires,
        }),
        renewable_until: now() + DAY * 365,
    }
}

/// A healthy cluster of three, whose certificates have this many days left.
fn three(left: [i32; 3]) -> (Intent, Observed) {
    let mut intent = fixtures::replicas(&["", "two", "three"]);
    intent.formed = true;
    let world = World::settled(intent);
    let mut observed = world.observed.clone();
    observed.certificates.at = now();
    for (replica, left) in world.intent.replicas.iter().zip(left) {
        let known = ReplicaCertificates::Known(vec![certificate(left)]);
        observed
            .certificates
            .replicas
            .insert(replica.name.clone(), known);
    }
    (world.intent, observed)
}

fn keys(intent: &Intent, observed: &Observed) -> Vec<String> {
    let plan = plan(intent, observed).unwrap();
    plan.steps
        .into_iter()
        .map(|step| step.key.to_string())
        .collect()
}

#[test]
fn nothing_is_renewed_before_it_is_due() {
    let (intent, observed) = three([200, 300, 122]);
    assert_eq!(keys(&intent, &observed), [""; 0]);
}

#[test]
fn due_certificates_are_renewed_replica_by_replica() {
    let (intent, observed) = three([100, 300, 1]);
    let plan = plan(&intent, &observed).unwrap();
    let keys: Vec<String> = plan.steps.iter().map(|step| step.key.to_string()).collect();
    let (first, third) = ("kubernetes-master", "kubernetes-master-three");
    assert_eq!(
        keys,
        [
            format!("renew/{first}"),
            format!("await-renewed/{first}"),
            format!("renew/{third}"),
            format!("await-renewed/{third}"),
        ]
    );
    let pairs = keys.windows(2);
    assert!(
        pairs
            .into_iter()
            .all(|two| is_before(&plan, &two[0], &two[1]))
    );
    assert!(plan.steps.iter().all(|step| step.quorum.is_none()));
}

#[test]
fn a_replica_that_gets_new_files_anyway_is_skipped() {
    let (intent, mut observed) = three([100, 300, 300]);
    observed.apis.remove("kubernetes-master");
    let keys = keys(&intent, &observed);
    assert!(
        keys.contains(&"secrets/kubernetes-master".to_owned()),
        "{keys:?}"
    );
    assert!(
        !keys.contains(&"renew/kubernetes-master".to_owned()),
        "{keys:?}"
    );
}

/// With expired certificates all requests fail, but that doesn't make etcd's state unknown.
#[test]
fn expired_certificates_are_renewed_alone_and_awaited_together() {
    let (intent, mut observed) = three([-1, -1, 300]);
    observed.etcd = EtcdView::Unknown {
        why: "certificate expired".to_owned(),
    };
    observed.endpoint_ready = false;
    assert_eq!(
        keys(&intent, &observed),
        [
            "renew/kubernetes-master",
            "renew/kubernetes-master-two",
            "await-renewed"
        ]
    );
    // With valid certificates, the same state is refused.
    let (_, fresh) = three([300; 3]);
    observed.certificates = fresh.certificates;
    plan(&intent, &observed).unwrap_err();
}

#[test]
fn unreadable_certificates_are_left_alone() {
    let (intent, mut observed) = three([300; 3]);
    let why = "ssh: permission denied".to_owned();
    let unknown = ReplicaCertificates::Unknown { why };
    let name = "kubernetes-master-two".to_owned();
    observed.certificates.replicas.insert(name.clone(), unknown);
    assert_eq!(keys(&intent, &observed), [""; 0]);
    let error = renewal(&intent, &observed, &RenewRequest::Replica(name)).unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
}

#[test]
fn on_request_all_are_renewed_including_the_kubeconfigs() {
    let (intent, observed) = three([300; 3]);
    let plan = renewal(&intent, &observed, &RenewRequest::All).unwrap();
    let is_renewed = |action: &Action| matches!(action, Action::RenewCertificates(_));
    let renewed = plan.steps.iter().filter(|step| is_renewed(&step.action));
    assert_eq!(renewed.count(), 3);
    let last = plan.steps.last().unwrap();
    assert_eq!(last.action, Action::WriteKubeconfig);
}

fn token(template: &str, hours: i64) -> TokenView {
    TokenView {
        id: template.to_owned(),
        templates: [template.to_owned()].into(),
        expires: Some(now() + SignedDuration::from_hours(hours)),
    }
}

/// A cluster with nodes, and these tokens.
fn nodes(intent: Intent, tokens: Vec<TokenView>) -> (Intent, Observed) {
    let world = World::settled(intent);
    let mut observed = world.observed.clone();
    observed.certificates.at = now();
    observed.tokens = Some(tokens);
    (world.intent, observed)
}

#[test]
fn a_token_in_a_groups_template_is_extended_and_others_expire() {
    let mut intent = fixtures::intent(&[("NUM_NODES", "3")]);
    intent.spec.programs.pods = Some(fixtures::pods());
    let used = "kubernetes-minion-template-0";
    for (hours, extended) in [(20, false), (11, true), (-48, true)] {
        let tokens = vec![token(used, hours), token("kubernetes-minion-template-7", 1)];
        let (intent, observed) = nodes(intent.clone(), tokens);
        let due = observed.tokens_due(&intent);
        assert_eq!(due, if extended { vec![used] } else { vec![] }, "{hours} h");
    }
}

/// Its token is the only credential it has.
#[test]
fn hollow_nodes_keep_their_first_token() {
    let intent = fixtures::intent(&[("NUM_NODES", "3")]);
    let tokens = vec![
        token("kubernetes-minion-template-0", 20),
        token("a-replaced-template", 1),
    ];
    let (intent, observed) = nodes(intent, tokens);
    let keys = keys(&intent, &observed);
    assert_eq!(keys, ["extend-tokens"]);
    assert_eq!(observed.tokens_due(&intent), ["a-replaced-template"]);
}

#[test]
fn a_templates_missing_token_is_restored() {
    let intent = fixtures::intent(&[("NUM_NODES", "3")]);
    let (intent, mut observed) = nodes(intent, Vec::new());
    assert_eq!(keys(&intent, &observed), ["restore-tokens"]);
    // Unknown isn't missing.
    observed.tokens = None;
    assert_eq!(keys(&intent, &observed), [""; 0]);
}
