//! The API server as its clients see it: objects, credentials, readiness.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{ControlPlane, Machine, wait_for};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";

#[test]
fn an_object_is_created_read_updated_and_deleted() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    let path = format!("{MAPS}/a");
    let made = admin.post(
        MAPS,
        &json!({"metadata": {"name": "a"}, "data": {"k": "v"}}),
    );
    assert_eq!(made.code, 201, "{made:?}");
    let made = made.json();
    let metadata = &made["metadata"];
    assert!(metadata["uid"].is_string() && metadata["creationTimestamp"].is_string());

    let again = admin.post(MAPS, &json!({"metadata": {"name": "a"}}));
    assert_eq!(
        (again.code, again.said("message").as_str()),
        (409, "configmaps \"a\" already exists")
    );

    let mut newer = made.clone();
    newer["data"]["k"] = "w".into();
    let replaced = admin.put(&path, &newer).json();
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    assert_ne!(version(&replaced), version(&made));
    assert_eq!(replaced["metadata"]["uid"], made["metadata"]["uid"]);

    newer["data"]["k"] = "stale".into();
    let stale = admin.put(&path, &newer);
    assert_eq!(
        (stale.code, stale.said("reason").as_str()),
        (409, "Conflict")
    );
    assert_eq!(admin.get(&path).json(), replaced);

    let patched = admin.patch(&path, &json!({"data": {"k": null, "l": "m"}}));
    assert_eq!(patched.json()["data"], json!({"l": "m"}));
    let another = admin.patch(&path, &json!({"metadata": {"uid": "another"}}));
    assert_eq!(another.said("reason"), "Conflict");
    let unchanged = admin.patch(&path, &json!({"data": {"l": "m"}})).json();
    assert_eq!(version(&unchanged), version(&patched.json()));

    let gone = admin.delete(&path);
    assert_eq!((gone.code, gone.said("status").as_str()), (200, "Success"));
    let missing = admin.get(&path);
    assert_eq!(
        (missing.code, missing.said("message").as_str()),
        (404, "configmaps \"a\" not found")
    );
    assert_eq!(admin.get("/api/v1/pods").code, 404);
    assert_eq!(admin.post(MAPS, &json!([])).code, 400);
}

#[test]
fn lists_are_of_one_namespace_or_all_and_of_the_selected() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    for (name, zone) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let map = json!({"metadata": {"name": name, "labels": {"zone": zone}}});
        assert_eq!(admin.post(MAPS, &map).code, 201);
    }
    let elsewhere = MAPS.replace("default", "kube-system");
    admin.post(&elsewhere, &json!({"metadata": {"name": "d"}}));
    for (path, expected) in [
        (MAPS.to_owned(), "a b c"),
        ("/api/v1/configmaps".to_owned(), "a b c d"),
        (format!("{MAPS}?labelSelector=zone%3Dx&limit=1"), "a c"),
        (format!("{MAPS}?fieldSelector=metadata.name%3Db"), "b"),
    ] {
        let list = admin.get(&path).json();
        assert_eq!(list["kind"], "ConfigMapList");
        let items = list["items"].as_array().unwrap().iter();
        let names: Vec<&str> = items
            .map(|item| item["metadata"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names.join(" "), expected, "{path}");
    }
}

#[test]
fn concurrent_writers_lose_no_update() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    admin.post(MAPS, &json!({"metadata": {"name": "shared"}}));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let admin = plane.machine.admin();
            scope.spawn(move || {
                for key in 0..5 {
                    let patch = json!({"data": {format!("{writer}-{key}"): "x"}});
                    let answer = admin.patch(&format!("{MAPS}/shared"), &patch);
                    assert_eq!(answer.code, 200);
                }
            });
        }
    });
    let shared = admin.get(&format!("{MAPS}/shared")).json();
    assert_eq!(shared["data"].as_object().unwrap().len(), 20);
}

#[test]
fn the_history_is_compacted() {
    let plane = ControlPlane::start_with(&["--etcd-compaction-interval=200ms"]);
    let admin = plane.machine.admin();
    admin.post(MAPS, &json!({"metadata": {"name": "a"}}));
    let mut count = 0;
    wait_for("a compaction", || {
        count += 1;
        let patch = json!({"data": {"k": count.to_string()}});
        assert_eq!(admin.patch(&format!("{MAPS}/a"), &patch).code, 200);
        plane
            .etcd
            .log()
            .contains("finished scheduled compaction")
            .then_some(())
    });
}

#[test]
fn certificates_are_verified_and_judged() {
    let plane = ControlPlane::start();
    let machine = &plane.machine;
    assert_eq!(machine.admin().get("/api/v1/nodes").code, 200);

    // The same subject, from a CA with the same name but another key.
    let intruder = machine.http(Some("intruder"));
    let refused = intruder.get("/api/v1/nodes");
    assert_eq!(
        (refused.code, refused.said("reason").as_str()),
        (401, "Unauthorized")
    );
    assert_eq!(intruder.get("/readyz").code, 401);

    machine.pki.client("jane", "jane", &["developers"]);
    let jane = machine.http(Some("jane"));
    assert_eq!(jane.get("/api/v1/nodes").code, 403);
    assert_eq!(jane.get("/api").code, 200);

    let anonymous = machine.http(None);
    for (path, code) in [
        ("/readyz", 200),
        ("/version", 200),
        ("/api", 403),
        ("/api/v1/nodes", 403),
    ] {
        assert_eq!(anonymous.get(path).code, code, "{path}");
    }
    let impersonates = ["Impersonate-User: jane"];
    let admin = machine.admin();
    let answer = admin.request("GET", "/api/v1/nodes", &impersonates, None);
    assert_eq!(
        answer.code, 403,
        "ignoring the header would grant more than requested"
    );

    // A server that another CA signed isn't trusted.
    let trusting_another = Machine::new();
    std::fs::copy(trusting_another.file("ca.crt"), machine.file("ca.crt")).unwrap();
    assert!(anonymous.try_request("GET", "/readyz", &[], None).is_none());
}

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

#[test]
fn bootstrap_tokens_admit_nodes_until_they_expire() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    for (id, end) in [("abcdef", "2999"), ("expire", "2020")] {
        let secret = token_secret(id, &format!("{end}-01-01T00:00:00Z"));
        assert_eq!(admin.post(SECRETS, &secret).code, 201);
    }
    let of_type = format!("{SECRETS}?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken");
    let tokens = admin.get(&of_type).json()["items"].clone();
    assert_eq!(tokens.as_array().unwrap().len(), 2);

    let anonymous = plane.machine.http(None);
    let good = "abcdef.0123456789abcdef";
    assert_eq!(anonymous.get_as(good, "/api/v1/nodes"), 200);
    assert_eq!(anonymous.get_as(good, SECRETS), 403);
    for wrong in [
        "expire.0123456789abcdef",
        "abcdef.0123456789abcdee",
        "absent.0123456789abcdef",
        "nonsense",
    ] {
        assert_eq!(anonymous.get_as(wrong, "/api/v1/nodes"), 401, "{wrong}");
    }
    admin.delete(&format!("{SECRETS}/bootstrap-token-abcdef"));
    assert_eq!(anonymous.get_as(good, "/api/v1/nodes"), 401);
}

#[test]
fn without_the_flag_a_token_does_not_authenticate() {
    let plane = ControlPlane::start_with(&["--enable-bootstrap-token-auth=false"]);
    let secret = token_secret("abcdef", "2999-01-01T00:00:00Z");
    plane.machine.admin().post(SECRETS, &secret);
    let anonymous = plane.machine.http(None);
    assert_eq!(anonymous.get_as("abcdef.0123456789abcdef", "/api"), 401);
}

#[test]
fn ready_means_that_etcd_responds() {
    let machine = Machine::new();
    let api = machine.api_server(&[]);
    let anonymous = machine.http(None);
    // Without etcd, it is alive but not ready.
    let early = wait_for("a response without etcd", || {
        anonymous.try_request("GET", "/readyz", &[], None)
    });
    assert_eq!(early.code, 500);
    assert!(early.text.starts_with("[-]etcd failed: "), "{early:?}");
    assert_eq!(anonymous.get("/livez").code, 200);

    let etcd = machine.etcd();
    machine.wait_ready();
    drop(etcd);
    wait_for("not ready", || {
        (anonymous.get("/readyz").code == 500).then_some(())
    });
    let _etcd = machine.etcd();
    machine.wait_ready();
    assert!(
        api.log()
            .starts_with("this is hakube's stand-in for kube-apiserver v1.36.0, not Kubernetes: ")
    );
}

fn add_learner(machine: &Machine, peer_url: &str) {
    let read = |name: &str| std::fs::read(machine.file(name)).unwrap();
    let identity =
        etcd_client::Identity::from_pem(read("etcd-client.crt"), read("etcd-client.key"));
    let tls = etcd_client::TlsOptions::new()
        .ca_certificate(etcd_client::Certificate::from_pem(read("etcd-ca.crt")))
        .identity(identity);
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
            let client = etcd_client::Client::connect([endpoint], Some(options)).await;
            let learner = etcd_client::MemberAddOptions::new().with_is_learner();
            let added = client.unwrap().member_add([peer_url], Some(learner)).await;
            added.unwrap();
        });
}

#[test]
fn in_front_of_a_learner_the_server_is_alive_and_not_ready() {
    let first = ControlPlane::start();
    let second = Machine::new();
    add_learner(&first.machine, &second.peer_url());
    let members = format!("a={},b={}", first.machine.peer_url(), second.peer_url());
    let _learner = second.etcd_member("b", &members, "existing");
    let _api = second.api_server(&[]);
    let anonymous = second.http(None);
    wait_for("a response of the learner", || {
        let answer = anonymous.try_request("GET", "/readyz", &[], None)?;
        assert_eq!(answer.code, 500);
        answer
            .text
            .contains("not supported for learner")
            .then_some(())
    });
    assert_eq!(anonymous.get("/livez").code, 200);
}

/// Load balancers have the time to notice before connections are refused.
#[test]
fn a_server_that_stops_fails_readyz_and_serves_for_a_while() {
    let mut plane = ControlPlane::start_with(&["--shutdown-delay-duration=8s"]);
    let admin = plane.machine.admin();
    let stopped = std::thread::spawn(move || plane.api.terminate());
    let answer = wait_for("not ready", || {
        let answer = admin.get("/readyz");
        (answer.code != 200).then_some(answer)
    });
    assert!(answer.text.contains("shutdown"), "{answer:?}");
    assert_eq!(admin.get("/api/v1/nodes").code, 200);
    assert_eq!(stopped.join().unwrap(), Some(0));
    assert!(admin.try_request("GET", "/readyz", &[], None).is_none());
}
