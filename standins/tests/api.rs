//! The API server as its clients see it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::json;
use support::ControlPlane;

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
