//! Who gets in, and when the server is ready.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{ControlPlane, Http, Machine, wait_for};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces";

fn token_secret(id: &str, expiration: &str) -> Value {
    json!({
        "metadata": {"name": format!("bootstrap-token-{id}")},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": id,
            "token-secret": "0123456789abcdef",
            "expiration": expiration,
            "usage-bootstrap-authentication": "true",
        },
    })
}

fn code(client: &Http, path: &str, token: Option<&str>) -> u16 {
    client.get(path, token).unwrap().code
}

#[test]
fn certificates_are_verified_and_judged() {
    let plane = ControlPlane::start();
    let machine = &plane.machine;
    assert_eq!(machine.admin().fetch("/api/v1/nodes").code, 200);

    // The same subject, of a CA of the same name, with another key.
    let intruder = machine.http(Some("intruder")).fetch("/api/v1/nodes");
    assert_eq!(
        (intruder.code, intruder.reason().as_str()),
        (401, "Unauthorized")
    );
    assert_eq!(code(&machine.http(Some("intruder")), "/readyz", None), 401);

    machine.pki.client("jane", "jane", &["developers"]);
    let jane = machine.http(Some("jane")).fetch("/api/v1/nodes");
    assert_eq!(jane.code, 403);
    assert_eq!(
        jane.message(),
        "nodes is forbidden: User \"jane\" cannot list resource \"nodes\" in API group \"\" at the cluster scope"
    );
    assert_eq!(machine.http(Some("jane")).fetch("/api").code, 200);

    let nobody = machine.http(None);
    assert_eq!(
        (
            code(&nobody, "/readyz?verbose", None),
            code(&nobody, "/version", None)
        ),
        (200, 200)
    );
    assert_eq!(
        (
            code(&nobody, "/api", None),
            code(&nobody, "/api/v1/nodes", None)
        ),
        (403, 403)
    );

    let impersonating =
        machine
            .admin()
            .request("GET", "/api/v1/nodes", &["Impersonate-User: jane"], None);
    assert_eq!(
        impersonating.code, 403,
        "as if the header weren't there would be more than was asked for"
    );
}

#[test]
fn a_server_that_another_ca_signed_is_not_trusted() {
    let plane = ControlPlane::start();
    let machine = &plane.machine;
    let trusting_another = Machine::new();
    std::fs::copy(trusting_another.file("ca.crt"), machine.file("ca.crt")).unwrap();
    assert!(machine.http(None).get("/readyz", None).is_none());
}

#[test]
fn bootstrap_tokens_admit_nodes_until_they_expire() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    let secrets = "/api/v1/namespaces/kube-system/secrets";
    assert_eq!(
        admin
            .post(secrets, &token_secret("abcdef", "2999-01-01T00:00:00Z"))
            .code,
        201
    );
    assert_eq!(
        admin
            .post(secrets, &token_secret("expire", "2020-01-01T00:00:00Z"))
            .code,
        201
    );

    let nobody = plane.machine.http(None);
    let good = "abcdef.0123456789abcdef";
    assert_eq!(code(&nobody, "/api/v1/nodes", Some(good)), 200);
    assert_eq!(code(&nobody, secrets, Some(good)), 403);
    for wrong in [
        "expire.0123456789abcdef",
        "abcdef.0123456789abcdee",
        "nobody.0123456789abcdef",
        "nonsense",
    ] {
        assert_eq!(code(&nobody, "/api/v1/nodes", Some(wrong)), 401, "{wrong}");
    }
    admin.delete(&format!("{secrets}/bootstrap-token-abcdef"));
    assert_eq!(code(&nobody, "/api/v1/nodes", Some(good)), 401);
}

#[test]
fn without_the_flag_a_token_is_nothing() {
    let plane = ControlPlane::start_with(&["--enable-bootstrap-token-auth=false"]);
    let secret = token_secret("abcdef", "2999-01-01T00:00:00Z");
    plane
        .machine
        .admin()
        .post("/api/v1/namespaces/kube-system/secrets", &secret);
    assert_eq!(
        code(
            &plane.machine.http(None),
            "/api",
            Some("abcdef.0123456789abcdef")
        ),
        401
    );
}

#[test]
fn a_node_writes_its_own_node_and_lease_only() {
    let plane = ControlPlane::start();
    plane
        .machine
        .pki
        .client("node-a", "system:node:a", &["system:nodes"]);
    let node = plane.machine.http(Some("node-a"));
    let named = |name: &str| json!({"metadata": {"name": name}});
    assert_eq!(node.post("/api/v1/nodes", &named("a")).code, 201);
    assert_eq!(node.post("/api/v1/nodes", &named("b")).code, 403);
    assert_eq!(
        node.post(&format!("{LEASES}/kube-node-lease/leases"), &named("a"))
            .code,
        201
    );
    assert_eq!(
        node.post(&format!("{LEASES}/kube-node-lease/leases"), &named("b"))
            .code,
        403
    );
    assert_eq!(
        node.post(&format!("{LEASES}/kube-system/leases"), &named("a"))
            .code,
        403
    );
}

#[test]
fn ready_means_that_etcd_answers() {
    let machine = Machine::new();
    let api = machine.api_server(&[]);
    let nobody = machine.http(None);
    // Alive before there is an etcd, and not ready.
    let early = wait_for("an answer without etcd", || {
        nobody.get("/readyz?verbose", None)
    });
    assert_eq!(early.code, 500);
    assert!(
        early.text.contains("[-]etcd failed: reason withheld"),
        "{early:?}"
    );
    assert_eq!(code(&nobody, "/livez", None), 200);

    let etcd = machine.etcd();
    machine.wait_ready();
    let verbose = nobody.fetch("/readyz?verbose");
    assert!(
        verbose.text.contains("[+]etcd ok\n") && verbose.text.ends_with("readyz check passed\n"),
        "{verbose:?}"
    );

    drop(etcd);
    wait_for("not ready", || {
        nobody
            .get("/readyz", None)
            .filter(|answer| answer.code == 500)
    });
    let _etcd = machine.etcd();
    machine.wait_ready();
    assert!(
        api.log()
            .starts_with("this is hakube's stand-in for kube-apiserver v1.36.0, not Kubernetes: ")
    );
}

/// Adds a learner through `machine`'s etcd.
fn add_learner(machine: &Machine, peer_url: &str) {
    let read = |name: &str| std::fs::read(machine.file(name)).unwrap();
    let tls = etcd_client::TlsOptions::new()
        .ca_certificate(etcd_client::Certificate::from_pem(read("etcd-ca.crt")))
        .identity(etcd_client::Identity::from_pem(
            read("etcd-client.crt"),
            read("etcd-client.key"),
        ));
    let options = etcd_client::ConnectOptions::new().with_tls(tls);
    let endpoint = format!("https://{}:2379", machine.ip);
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let mut client = etcd_client::Client::connect([endpoint], Some(options))
                .await
                .unwrap();
            let learner = etcd_client::MemberAddOptions::new().with_is_learner();
            client.member_add([peer_url], Some(learner)).await.unwrap();
        });
}

#[test]
fn in_front_of_a_learner_the_server_is_alive_and_not_ready() {
    let first = ControlPlane::start();
    let second = Machine::new();
    add_learner(&first.machine, &second.peer_url());
    let members = format!("a={},b={}", first.machine.peer_url(), second.peer_url());
    let _learner = second.etcd_member("b", &members, "existing");
    let api = second.api_server(&[]);
    let nobody = second.http(None);
    wait_for("an answer of the learner", || {
        nobody
            .get("/readyz", None)
            .filter(|answer| answer.code == 500)?;
        api.log()
            .contains("rpc not supported for learner")
            .then_some(())
    });
    assert_eq!(code(&nobody, "/livez", None), 200);
}
