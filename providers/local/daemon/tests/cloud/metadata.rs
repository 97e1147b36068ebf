//! The metadata server, queried by a machine's own processes and from a machine's address.

use serde_json::{Value, json};

use crate::support::{PROJECT, TestCloud, ZONE, instance, until};

const ROOT: &str = "computeMetadata/v1";

/// Queries with Python's http.client, from 127.0.0.1 as any library does, and stores the response in a file.
const ASKS: &str = "#cloud-config
write_files:
- path: /srv/ask.py
  content: |
    import http.client, os
    server = http.client.HTTPConnection(os.environ['GCE_METADATA_HOST'])
    server.request('GET', '/computeMetadata/v1/instance/name', headers={'Metadata-Flavor': 'Google'})
    print('I am', server.getresponse().read().decode(), flush=True)
- path: /etc/systemd/system/asks.service
  content: |
    [Service]
    Type=oneshot
    ExecStart=/usr/bin/python3 /srv/ask.py
runcmd:
- systemctl daemon-reload
- systemctl start asks.service
";

/// An HTTP client whose connections come from this address.
fn client(from: &str) -> reqwest::Client {
    let address = from.parse::<std::net::IpAddr>().unwrap();
    let client = reqwest::Client::builder().local_address(address);
    let client = client.redirect(reqwest::redirect::Policy::none());
    client.build().unwrap()
}

struct Machine {
    server: String,
    http: reqwest::Client,
}

impl Machine {
    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}/{ROOT}/{path}", self.server);
        self.http.get(url).header("Metadata-Flavor", "Google")
    }

    async fn text(&self, path: &str) -> String {
        let answer = self.get(path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["metadata-flavor"], "Google");
        answer.text().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }

    async fn status(&self, request: reqwest::RequestBuilder) -> u16 {
        request.send().await.unwrap().status().as_u16()
    }
}

/// Creates an instance with this metadata, and returns a client for it.
async fn machine(cloud: &TestCloud, name: &str, metadata: Value) -> Machine {
    let mut body = instance(name);
    body["metadata"] = json!({"items": metadata});
    body["tags"] = json!({"items": ["web"]});
    body["serviceAccounts"] = json!([{"email": "default", "scopes": ["one", "two"]}]);
    body["networkInterfaces"][0]["accessConfigs"] = json!([{}]);
    cloud.make(&format!("{ZONE}/instances"), body).await;
    let instance = cloud
        .get(&format!("{ZONE}/instances/{name}"))
        .await
        .unwrap();
    let own = instance["networkInterfaces"][0]["networkIP"]
        .as_str()
        .unwrap();
    let block = own.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    Machine {
        server: format!("{block}.0.254:8780"),
        http: client(own),
    }
}

#[tokio::test]
async fn a_machine_can_read_its_metadata() {
    let cloud = TestCloud::start().await;
    let items =
        json!([{"key": "user-data", "value": ""}, {"key": "greeting", "value": "hello\nthere"}]);
    let machine = machine(&cloud, "m1", items).await;
    let instance = cloud.get(&format!("{ZONE}/instances/m1")).await.unwrap();
    let nic = &instance["networkInterfaces"][0];

    assert_eq!(machine.text("instance/name").await, "m1");
    assert_eq!(
        machine.text("instance/id").await,
        instance["id"].as_str().unwrap()
    );
    assert_eq!(machine.text("project/project-id").await, PROJECT);
    assert_eq!(
        machine.text("instance/attributes/greeting").await,
        "hello\nthere"
    );
    assert_eq!(
        machine.text("instance/attributes/").await,
        "user-data\ngreeting\n"
    );
    assert_eq!(
        machine.text("instance/network-interfaces/0/ip").await,
        nic["networkIP"].as_str().unwrap()
    );
    assert_eq!(
        machine
            .text("instance/network-interfaces/0/access-configs/0/external-ip")
            .await,
        nic["accessConfigs"][0]["natIP"].as_str().unwrap()
    );
    assert!(
        machine
            .text("instance/zone")
            .await
            .ends_with("/zones/europe-west1-b")
    );
    assert!(
        machine
            .text("instance/machine-type")
            .await
            .ends_with("/machineTypes/e2-small")
    );
    assert_eq!(
        machine.text("instance/hostname").await,
        format!("m1.europe-west1-b.c.{PROJECT}.internal")
    );
    assert_eq!(
        machine
            .text("instance/service-accounts/default/scopes")
            .await,
        "one\ntwo"
    );

    let all = machine.json("?recursive=true").await;
    assert_eq!(all["instance"]["tags"], json!(["web"]));
    assert_eq!(
        all["instance"]["networkInterfaces"][0]["ip"],
        nic["networkIP"]
    );
    assert_eq!(all["project"]["projectId"], PROJECT);
    let account = &all["instance"]["serviceAccounts"]["default"];
    assert_eq!(account["scopes"], json!(["one", "two"]));
    assert_eq!(account["token"], Value::Null);
    let token = machine
        .json("instance/service-accounts/default/token")
        .await;
    assert!(token["access_token"].as_str().unwrap().contains("emulated"));
    let lines = machine.text("instance/?recursive=true&alt=text").await;
    assert!(lines.contains("\nname m1\n"), "{lines}");

    assert_eq!(machine.status(machine.get("instance/nothing")).await, 404);
    let redirect = machine.get("instance/attributes").send().await.unwrap();
    assert_eq!(redirect.status(), 301);
    assert_eq!(
        redirect.headers()["location"],
        format!("/{ROOT}/instance/attributes/")
    );
}

#[tokio::test]
async fn requests_need_the_header_and_come_from_a_machine() {
    let cloud = TestCloud::start().await;
    let machine = machine(&cloud, "m1", json!([])).await;
    let name = format!("http://{}/{ROOT}/instance/name", machine.server);
    assert_eq!(machine.status(machine.http.get(&name)).await, 403);
    let relayed = machine
        .get("instance/name")
        .header("X-Forwarded-For", "10.0.0.1");
    assert_eq!(machine.status(relayed).await, 403);
    let root = machine.http.get(format!("http://{}/", machine.server));
    let root = root.send().await.unwrap();
    assert_eq!(
        (root.status().as_u16(), &root.headers()["metadata-flavor"]),
        (200, &"Google".parse().unwrap())
    );
    // This test's own process belongs to no machine.
    let outsider = client("127.0.0.1")
        .get(&name)
        .header("Metadata-Flavor", "Google");
    assert_eq!(outsider.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_machines_process_is_identified_without_the_machines_address() {
    let cloud = TestCloud::start().await;
    let items = json!([{"key": "user-data", "value": ASKS}]);
    for name in ["m1", "m2"] {
        machine(&cloud, name, items.clone()).await;
    }
    for name in ["m1", "m2"] {
        until("the machine knows its name", async || {
            let log = cloud
                .local
                .logs(name, Some("asks"))
                .await
                .unwrap_or_default();
            String::from_utf8_lossy(&log).contains(&format!("I am {name}"))
        })
        .await;
    }
}

#[tokio::test]
async fn a_machine_writes_guest_attributes() {
    let cloud = TestCloud::start().await;
    let mute = machine(&cloud, "m0", json!([])).await;
    let attribute = |machine: &Machine, method: reqwest::Method| {
        let url = format!(
            "http://{}/{ROOT}/instance/guest-attributes/app/state",
            machine.server
        );
        machine
            .http
            .request(method, url)
            .header("Metadata-Flavor", "Google")
    };
    let refused = attribute(&mute, reqwest::Method::PUT).body("up");
    assert_eq!(mute.status(refused).await, 403);

    let items = json!([{"key": "enable-guest-attributes", "value": "TRUE"}]);
    let machine = machine(&cloud, "m1", items).await;
    let put = attribute(&machine, reqwest::Method::PUT).body("up");
    assert_eq!(machine.status(put).await, 200);
    assert_eq!(
        machine.text("instance/guest-attributes/app/state").await,
        "up"
    );
    let path = format!("{ZONE}/instances/m1/getGuestAttributes?queryPath=app/");
    let seen = cloud.get(&path).await.unwrap();
    assert_eq!(seen["queryValue"]["items"][0]["value"], "up");
    assert_eq!(
        machine
            .status(attribute(&machine, reqwest::Method::DELETE))
            .await,
        200
    );
    assert_eq!(
        machine
            .status(attribute(&machine, reqwest::Method::GET))
            .await,
        404
    );
    let other = machine.get("instance/name").body("x");
    let other = other.build().unwrap();
    let other = machine
        .http
        .put(other.url().clone())
        .header("Metadata-Flavor", "Google");
    assert_eq!(machine.status(other).await, 405);
}

#[tokio::test]
async fn a_client_that_waits_for_a_change_gets_it() {
    let cloud = TestCloud::start().await;
    let machine = machine(&cloud, "m1", json!([{"key": "word", "value": "old"}])).await;
    let first = machine
        .get("instance/attributes/word")
        .send()
        .await
        .unwrap();
    let etag = first.headers()["etag"].to_str().unwrap().to_owned();
    let path = format!("instance/attributes/word?wait_for_change=true&last_etag={etag}");
    let waiting = tokio::spawn(machine.get(&path).send());
    let now = cloud.get(&format!("{ZONE}/instances/m1")).await.unwrap();
    let fingerprint = &now["metadata"]["fingerprint"];
    let new = json!({"fingerprint": fingerprint, "items": [{"key": "word", "value": "new"}]});
    cloud
        .make(&format!("{ZONE}/instances/m1/setMetadata"), new)
        .await;
    assert_eq!(waiting.await.unwrap().unwrap().text().await.unwrap(), "new");
    // The client's ETag is already stale.
    assert_eq!(machine.text(&path).await, "new");
    let unchanged = "instance/attributes/word?wait_for_change=true&timeout_sec=1";
    assert_eq!(machine.text(unchanged).await, "new");
}
