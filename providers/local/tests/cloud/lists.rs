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
