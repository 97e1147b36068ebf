//! Lists: pages, filters, and the aggregated form.

use serde_json::{Value, json};

use crate::support::{PROJECT, REGION, TestCloud};

#[tokio::test]
async fn pages_filters_and_scopes() {
    let cloud = TestCloud::start().await;
    let addresses = format!("{REGION}/addresses");
    for name in ["a", "b", "c"] {
        let body = json!({"name": name, "description": format!("mark {name}")});
        cloud.make(&addresses, body).await;
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().into_iter().flatten();
        items
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = cloud
        .get(&format!("{addresses}?maxResults=2"))
        .await
        .unwrap();
    assert_eq!(names(&first), ["a", "b"]);
    let token = first["nextPageToken"].as_str().unwrap();
    let second = cloud
        .get(&format!("{addresses}?maxResults=2&pageToken={token}"))
        .await
        .unwrap();
    assert_eq!(names(&second), ["c"]);
    assert_eq!(second["nextPageToken"], Value::Null);

    let filter = "description%3D%22mark%20b%22";
    let filtered = cloud
        .get(&format!("{addresses}?filter={filter}"))
        .await
        .unwrap();
    assert_eq!(names(&filtered), ["b"]);
    let either = "(name%20%3D%20a%20OR%20name:c)%20AND%20NOT%20description:b";
    let filtered = cloud
        .get(&format!("{addresses}?filter={either}"))
        .await
        .unwrap();
    assert_eq!(names(&filtered), ["a", "c"]);
    let bad = cloud
        .get(&format!("{addresses}?filter=name~b"))
        .await
        .unwrap_err();
    assert_eq!((bad.status, bad.reason.as_str()), (400, "invalid"));
    let mixed = "(name%20eq%20a)%20(description%20=%20b)";
    let mixed = cloud.get(&format!("{addresses}?filter={mixed}")).await;
    assert_eq!(mixed.unwrap_err().status, 400);

    let all = cloud
        .get(&format!("aggregated/addresses?filter={filter}"))
        .await
        .unwrap();
    assert_eq!(all["items"][REGION]["addresses"][0]["name"], "b");
    let empty = &all["items"]["regions/us-central1"]["warning"];
    assert_eq!(empty["code"], "NO_RESULTS_ON_PAGE");
}

#[tokio::test]
async fn the_catalog_is_there() {
    let cloud = TestCloud::start().await;
    let zone = cloud.get("zones/europe-west1-d").await.unwrap();
    assert_eq!(zone["status"], "UP");
    assert!(
        zone["region"]
            .as_str()
            .unwrap()
            .ends_with("/regions/europe-west1")
    );
    let machine = cloud
        .get("zones/europe-west1-d/machineTypes/n1-standard-1")
        .await
        .unwrap();
    assert_eq!(machine["guestCpus"], 1);
    assert_eq!(
        cloud
            .get("zones/europe-west1-d/machineTypes/z9")
            .await
            .unwrap_err()
            .status,
        404
    );
    let family = format!(
        "{}/compute/v1/projects/debian-cloud/global/images/family/debian-12",
        cloud.status.url
    );
    let image = cloud
        .send(cloud.http.get(family).bearer_auth(cloud.token()))
        .await
        .unwrap();
    assert_eq!(image["family"], "debian-12");
    let project = format!("{}/compute/v1/projects/{PROJECT}", cloud.status.url);
    let project = cloud
        .send(cloud.http.get(project).bearer_auth(cloud.token()))
        .await
        .unwrap();
    assert_eq!(project["name"], PROJECT);
}

#[tokio::test]
async fn gcloud_filters_find_resources_of_one_scope() {
    let cloud = TestCloud::start().await;
    for (path, filter) in [
        ("global/networks", r#"name eq ".*\bdefault\b.*""#),
        ("global/firewalls", r#"network eq ".*\bdefault\b.*""#),
        (
            "global/routes",
            r#"(network eq ".*\bdefault\b.*")(priority eq 1000)"#,
        ),
        ("zones", r#"region eq ".*\beurope\-west1\b.*""#),
        ("regions", r#"name eq ".*(\beurope-west1\b).*""#),
        (
            "projects/debian-cloud/global/images",
            r#"(family eq ".*\bdebian\-12\b.*")(architecture eq X86_64)"#,
        ),
        (
            "projects/cos-cloud/global/images",
            r#"(family eq ".*\bcos\-121\-lts\b.*")(architecture eq X86_64)"#,
        ),
    ] {
        let request = cloud.request(reqwest::Method::GET, path);
        let found = cloud.send(request.query(&[("filter", filter)])).await;
        let found = found.unwrap();
        let items = found["items"].as_array().map_or(0, Vec::len);
        assert!(items > 0, "{path}: {filter}");
        if path.ends_with("/images") {
            assert_eq!(items, 1, "{filter}");
        }
    }
}

#[tokio::test]
async fn custom_machine_types_have_compute_engines_limits() {
    let cloud = TestCloud::start().await;
    let path = |name: &str| format!("zones/europe-west1-b/machineTypes/{name}");
    for (name, cpus, memory) in [
        ("custom-2-4096", 2, 4096),
        ("n1-custom-1-1024", 1, 1024),
        ("custom-2-20480-ext", 2, 20480),
        ("e2-custom-4-8192", 4, 8192),
        ("e2-custom-micro-1024", 2, 1024),
    ] {
        let found = cloud.get(&path(name)).await.unwrap();
        assert_eq!(found["guestCpus"], cpus, "{name}");
        assert_eq!(found["memoryMb"], memory, "{name}");
    }
    for name in [
        "custom-3-4096",
        "custom-2-4000",
        "custom-2-512",
        "custom-2-20480",
        "custom-98-98304",
        "custom-2",
        "e2-custom-1-1024",
        "e2-custom-2-32768",
        "e2-custom-micro-4096",
        "e2-custom-2-4096-ext",
        "z9-custom-2-4096",
    ] {
        assert_eq!(
            cloud.get(&path(name)).await.unwrap_err().status,
            404,
            "{name}"
        );
    }
    let mut body = crate::support::instance("m");
    body["machineType"] = json!(path("custom-2-4096"));
    cloud.make("zones/europe-west1-b/instances", body).await;
}

#[tokio::test]
async fn kube_up_finds_its_images_and_machines_need_one_that_can_run() {
    let cloud = TestCloud::start().await;
    for image in [
        "cos-cloud/global/images/family/cos-stable",
        "cos-cloud/global/images/family/cos-97-lts",
        "cos-cloud/global/images/cos-beta-73-11647-64-0",
        "windows-cloud/global/images/windows-server-2019-dc-core-v20210914",
        "windows-cloud/global/images/windows-server-2022-dc-core-v20220513",
    ] {
        let image = cloud.get(&format!("projects/{image}")).await.unwrap();
        assert_eq!(image["status"], "READY");
        assert!(image["guestOsFeatures"].is_array());
    }
    let none = cloud.get("projects/cos-cloud/global/images/family/").await;
    assert!(none.is_err());
    let disks = "zones/europe-west1-b/disks";
    for image in [
        "projects/windows-cloud/global/images/windows-server-2019-dc-core-v20210914",
        "projects/debian-cloud/global/images/family/debian-12-arm64",
    ] {
        let refused = cloud.post(disks, json!({"name": "d", "sourceImage": image}));
        assert_eq!(
            refused.await.unwrap_err().reason,
            "notImplemented",
            "{image}"
        );
    }
}
