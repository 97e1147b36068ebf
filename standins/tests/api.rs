//! The API server as its clients see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use support::{ControlPlane, Watch, brief, wait_for};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[test]
fn an_object_lives_through_its_verbs() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    let made = admin.post(
        MAPS,
        &json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"k": "v"}}),
    );
    assert_eq!(made.code, 201, "{made:?}");
    let made = made.json();
    assert!(
        made["metadata"]["uid"].is_string() && made["metadata"]["creationTimestamp"].is_string()
    );

    let again = admin.post(MAPS, &json!({"metadata": {"name": "a"}}));
    assert_eq!(
        (again.code, again.message().as_str()),
        (409, "configmaps \"a\" already exists")
    );

    let mut newer = made.clone();
    newer["data"]["k"] = "w".into();
    let replaced = admin.put(&format!("{MAPS}/a"), &newer).json();
    assert_ne!(
        replaced["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    assert_eq!(replaced["metadata"]["uid"], made["metadata"]["uid"]);

    newer["data"]["k"] = "stale".into();
    let stale = admin.put(&format!("{MAPS}/a"), &newer);
    assert_eq!(
        (
            stale.code,
            stale.reason().as_str(),
            stale.message().as_str()
        ),
        (
            409,
            "Conflict",
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please \
            apply your changes to the latest version and try again"
        )
    );
    assert_eq!(admin.fetch(&format!("{MAPS}/a")).json(), replaced);

    let patched = admin.patch(
        &format!("{MAPS}/a"),
        "merge-patch+json",
        &json!({"data": {"k": null, "l": "m"}}),
    );
    assert_eq!(patched.json()["data"], json!({"l": "m"}));

    let gone = admin.delete(&format!("{MAPS}/a"));
    assert_eq!(
        (gone.code, gone.json()["status"].clone()),
        (200, json!("Success"))
    );
    let missing = admin.fetch(&format!("{MAPS}/a"));
    assert_eq!(
        (missing.code, missing.message().as_str()),
        (404, "configmaps \"a\" not found")
    );
}

fn map(name: &str, zone: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"zone": zone}}})
}

fn names(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

#[test]
fn lists_are_selected_and_paged_at_one_revision() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    for (name, zone) in [("a", "x"), ("b", "y"), ("c", "x"), ("d", "y"), ("e", "x")] {
        assert_eq!(admin.post(MAPS, &map(name, zone)).code, 201);
    }
    let whole = admin
        .fetch(&format!("{MAPS}?labelSelector=zone%3Dx"))
        .json();
    assert_eq!(
        (names(&whole), whole["kind"].as_str()),
        (vec!["a", "c", "e"], Some("ConfigMapList"))
    );
    assert_eq!(
        names(
            &admin
                .fetch(&format!("{MAPS}?fieldSelector=metadata.name%3Db"))
                .json()
        ),
        ["b"]
    );

    let first = admin
        .fetch(&format!("{MAPS}?limit=2&labelSelector=zone%3Dx"))
        .json();
    assert_eq!(names(&first), ["a", "c"]);
    // What happens between two pages is not seen on the second.
    assert_eq!(admin.post(MAPS, &map("f", "x")).code, 201);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = admin
        .fetch(&format!(
            "{MAPS}?limit=2&labelSelector=zone%3Dx&continue={token}"
        ))
        .json();
    assert_eq!(names(&second), ["e"]);
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    assert!(second["metadata"]["continue"].is_null());

    // A token of one collection opens no other.
    let elsewhere = admin.fetch(&format!(
        "/api/v1/namespaces/kube-system/configmaps?continue={token}"
    ));
    assert_eq!(elsewhere.code, 400);
}

#[test]
fn a_watch_resumes_where_a_list_ended() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    admin.post(MAPS, &map("before", "x"));
    let version = admin.fetch(MAPS).json()["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    admin.post(MAPS, &map("a", "x"));
    let watch = Watch::start(
        &admin,
        &format!("{MAPS}?watch=true&labelSelector=zone%3Dx&resourceVersion={version}"),
    );
    watch.until(|events| events.len() == 1);
    admin.post(MAPS, &map("b", "y"));
    // It leaves the selection, and comes back.
    admin.patch(
        &format!("{MAPS}/a"),
        "merge-patch+json",
        &json!({"metadata": {"labels": {"zone": "y"}}}),
    );
    admin.patch(
        &format!("{MAPS}/a"),
        "merge-patch+json",
        &json!({"metadata": {"labels": {"zone": "x"}}}),
    );
    admin.patch(
        &format!("{MAPS}/a"),
        "merge-patch+json",
        &json!({"data": {"k": "v"}}),
    );
    admin.delete(&format!("{MAPS}/a"));
    let events = watch.until(|events| events.len() == 5);
    assert_eq!(
        brief(&events),
        ["ADDED a", "DELETED a", "ADDED a", "MODIFIED a", "DELETED a"]
    );
    let versions: Vec<u64> = events
        .iter()
        .map(|event| {
            event["object"]["metadata"]["resourceVersion"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

#[test]
fn a_watch_without_a_version_starts_with_what_exists_and_ends_in_time() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    admin.post(MAPS, &map("a", "x"));
    let answer = admin.fetch(&format!(
        "{MAPS}?watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    ));
    let events: Vec<Value> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(brief(&events), ["ADDED a", "BOOKMARK "]);
    assert_eq!(
        events[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
}

#[test]
fn compacted_history_is_gone_and_said_to_be() {
    let plane = ControlPlane::start_with(&["--etcd-compaction-interval=200ms"]);
    let admin = plane.machine.admin();
    let old = admin.post(MAPS, &map("a", "x")).json()["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut count = 0;
    let events = wait_for("compaction", || {
        count += 1;
        admin.patch(
            &format!("{MAPS}/a"),
            "merge-patch+json",
            &json!({"data": {"k": count.to_string()}}),
        );
        let answer = admin.fetch(&format!(
            "{MAPS}?watch=true&timeoutSeconds=1&resourceVersion={old}"
        ));
        let events: Vec<Value> = answer
            .text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        events
            .iter()
            .any(|event| event["type"] == "ERROR")
            .then_some(events)
    });
    assert_eq!(
        (&events[0]["object"]["code"], &events[0]["object"]["reason"]),
        (&json!(410), &json!("Expired"))
    );
    let listed = admin.fetch(&format!(
        "{MAPS}?resourceVersionMatch=Exact&resourceVersion={old}"
    ));
    assert_eq!((listed.code, listed.reason().as_str()), (410, "Expired"));
}

#[test]
fn namespaces_hold_things_and_take_them_along() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    let maps = "/api/v1/namespaces/team/configmaps";
    let early = admin.post(maps, &map("a", "x"));
    assert_eq!(
        (early.code, early.message().as_str()),
        (404, "namespaces \"team\" not found")
    );
    assert_eq!(
        admin
            .post("/api/v1/namespaces", &json!({"metadata": {"name": "team"}}))
            .json()["status"]["phase"],
        "Active"
    );
    assert_eq!(admin.post(maps, &map("a", "x")).code, 201);
    assert_eq!(
        admin
            .post(
                maps,
                &json!({"metadata": {"name": "a", "namespace": "other"}})
            )
            .code,
        400
    );
    assert_eq!(admin.delete("/api/v1/namespaces/team").code, 200);
    assert_eq!(
        admin
            .post("/api/v1/namespaces", &json!({"metadata": {"name": "team"}}))
            .code,
        201
    );
    assert_eq!(names(&admin.fetch(maps).json()), [""; 0]);

    let built_in = admin.fetch("/api/v1/namespaces").json();
    assert_eq!(
        names(&built_in),
        [
            "default",
            "kube-node-lease",
            "kube-public",
            "kube-system",
            "team"
        ]
    );
    assert_eq!(admin.delete("/api/v1/namespaces/kube-system").code, 403);
}

#[test]
fn deletion_respects_preconditions_and_finalizers() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    admin.post(
        MAPS,
        &json!({"metadata": {"name": "a", "finalizers": ["example.com/wait"]}}),
    );
    let other = json!({"preconditions": {"uid": "another"}});
    assert_eq!(
        admin
            .request("DELETE", &format!("{MAPS}/a"), &[], Some(&other))
            .reason(),
        "Conflict"
    );
    let waiting = admin.delete(&format!("{MAPS}/a")).json();
    assert!(waiting["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(admin.fetch(&format!("{MAPS}/a")).code, 200);
    admin.patch(
        &format!("{MAPS}/a"),
        "merge-patch+json",
        &json!({"metadata": {"finalizers": null}}),
    );
    assert_eq!(admin.fetch(&format!("{MAPS}/a")).code, 404);

    for name in ["b", "c", "d"] {
        admin.post(MAPS, &map(name, if name == "d" { "y" } else { "x" }));
    }
    assert_eq!(
        admin.delete(&format!("{MAPS}?labelSelector=zone%3Dx")).code,
        200
    );
    assert_eq!(names(&admin.fetch(MAPS).json()), ["d"]);
}

#[test]
fn bad_objects_are_refused_with_the_field_named() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    let name = admin.post(MAPS, &map("Bad_Name", "x"));
    assert_eq!(name.code, 422);
    assert!(
        name.message()
            .starts_with("ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value"),
        "{name:?}"
    );
    assert_eq!(
        admin
            .post(MAPS, &json!({"kind": "Secret", "metadata": {"name": "a"}}))
            .code,
        400
    );
    assert_eq!(admin.post(MAPS, &json!([])).code, 400);
    assert_eq!(admin.fetch("/api/v1/pods").code, 404);
    // Nothing that is one segment on the wire becomes two in etcd.
    assert_eq!(
        admin
            .fetch("/api/v1/namespaces/default%2Fx/configmaps/a")
            .code,
        400
    );

    let generated = admin
        .post(MAPS, &json!({"metadata": {"generateName": "gen-"}}))
        .json();
    assert!(
        generated["metadata"]["name"]
            .as_str()
            .unwrap()
            .starts_with("gen-")
    );
    let dry = admin.post(&format!("{MAPS}?dryRun=All"), &map("dry", "x"));
    assert_eq!(
        (dry.code, admin.fetch(&format!("{MAPS}/dry")).code),
        (201, 404)
    );
}

#[test]
fn concurrent_writers_lose_no_update() {
    let plane = ControlPlane::start();
    let admin = plane.machine.admin();
    admin.post(MAPS, &map("shared", "x"));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let admin = plane.machine.admin();
            scope.spawn(move || {
                for key in 0..5 {
                    let patch = json!({"data": {format!("{writer}-{key}"): "x"}});
                    assert_eq!(
                        admin
                            .patch(&format!("{MAPS}/shared"), "merge-patch+json", &patch)
                            .code,
                        200
                    );
                }
            });
        }
    });
    let data = admin.fetch(&format!("{MAPS}/shared")).json()["data"].clone();
    assert_eq!(data.as_object().unwrap().len(), 20);
}
