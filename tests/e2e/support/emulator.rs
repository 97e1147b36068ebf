//! The local cloud's REST API, as for any Compute Engine client.

use super::Home;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// Names of resources by collection.
pub type Inventory = BTreeMap<&'static str, BTreeSet<String>>;

const AGGREGATED: [&str; 9] = [
    "instances",
    "disks",
    "addresses",
    "forwardingRules",
    "backendServices",
    "healthChecks",
    "instanceGroups",
    "instanceGroupManagers",
    "subnetworks",
];
const GLOBAL: [&str; 3] = ["networks", "firewalls", "instanceTemplates"];

pub struct Emulator {
    http: reqwest::Client,
    project: String,
    token: String,
}

impl Emulator {
    /// For a home whose local cloud runs.
    pub async fn of(home: &Home) -> Self {
        let status = home.run("local status -o json").await.succeeded().json();
        let text = |field: &str| {
            status[field]
                .as_str()
                .unwrap_or_else(|| panic!("{field}: {status}"))
                .to_owned()
        };
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            project: format!("{}/compute/v1/projects/{}", text("url"), text("project")),
            token: std::fs::read_to_string(text("token_file"))
                .unwrap()
                .trim()
                .to_owned(),
        }
    }

    /// The same for another project of the cloud.
    pub fn of_project(&self, id: &str) -> Self {
        let (before, _) = self.project.rsplit_once('/').unwrap();
        Self {
            http: self.http.clone(),
            project: format!("{before}/{id}"),
            token: self.token.clone(),
        }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// The status of a GET with this token, or without one.
    pub async fn status_with(&self, path: &str, token: Option<&str>) -> StatusCode {
        let request = self.http.get(format!("{}/{path}", self.project));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.unwrap().status()
    }

    /// GET of a path below the project.
    pub async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, None).await
    }

    /// Sets quotas by scope and metric: `{"regions/europe-west1": {"CPUS": 4}}`.
    pub async fn limit(&self, quotas: &Value) {
        let (base, _) = self.project.split_once("/compute/").unwrap();
        let request = self.http.put(format!("{base}/local/v1/quotas"));
        let answer = request.bearer_auth(&self.token).json(quotas).send().await;
        answer.unwrap().error_for_status().unwrap();
    }

    pub async fn make(&self, path: &str, body: Value) {
        let operation = self.send(Method::POST, path, Some(body)).await;
        self.await_done(&operation).await;
    }

    /// Requests a resource and disconnects, like a killed client.
    pub async fn ask_and_hang_up(&self, path: &str, body: Value) {
        let url: reqwest::Url = format!("{}/{path}", self.project).parse().unwrap();
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let (token, body, path) = (&self.token, body.to_string(), url.path());
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
    }

    pub async fn delete(&self, path: &str) {
        let operation = self.send(Method::DELETE, path, None).await;
        self.await_done(&operation).await;
    }

    pub async fn release_address(&self, zone: &str, machine: &str) {
        let path = format!("zones/{zone}/instances/{machine}");
        let interface = self.get(&path).await["networkInterfaces"][0].clone();
        let (nic, config) = (&interface["name"], &interface["accessConfigs"][0]["name"]);
        let (nic, config) = (nic.as_str().unwrap(), config.as_str().unwrap());
        let config = config.replace(' ', "%20");
        let call =
            format!("{path}/deleteAccessConfig?accessConfig={config}&networkInterface={nic}");
        let operation = self.send(Method::POST, &call, None).await;
        self.await_done(&operation).await;
    }

    /// Deletes a resource that may not exist or be in use, without waiting. Returns whether it was accepted.
    pub async fn try_delete(&self, path: &str) -> bool {
        let request = self.http.delete(format!("{}/{path}", self.project));
        let answer = request.bearer_auth(&self.token).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn await_done(&self, operation: &Value) {
        let path = self.path_of(operation);
        let done = self.send(Method::POST, &format!("{path}/wait"), None).await;
        assert_eq!(
            (&done["status"], &done["error"]),
            (&json!("DONE"), &Value::Null),
            "{done}"
        );
    }

    fn path_of(&self, resource: &Value) -> String {
        let link = resource["selfLink"].as_str().unwrap();
        link.strip_prefix(&format!("{}/", self.project))
            .unwrap()
            .to_owned()
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}/{path}", self.project);
        let mut request = self
            .http
            .request(method.clone(), &url)
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{method} {url}: {status}: {body}");
        body
    }

    /// All of a zonal or regional collection.
    pub async fn all(&self, collection: &str) -> Vec<Value> {
        let list = self.get(&format!("aggregated/{collection}")).await;
        let scopes = list["items"].as_object().unwrap().values();
        scopes
            .filter_map(|scope| scope[collection].as_array())
            .flatten()
            .cloned()
            .collect()
    }

    pub async fn inventory(&self) -> Inventory {
        let mut inventory = Inventory::new();
        for collection in AGGREGATED {
            inventory.insert(collection, names(&self.all(collection).await));
        }
        for collection in GLOBAL {
            let list = self.get(&format!("global/{collection}")).await;
            let items = list["items"].as_array().cloned().unwrap_or_default();
            inventory.insert(collection, names(&items));
        }
        inventory
    }

    pub async fn group_members(&self, group: &Value) -> BTreeSet<String> {
        let path = self.path_of(group);
        let list = self
            .send(
                Method::POST,
                &format!("{path}/listInstances"),
                Some(json!({})),
            )
            .await;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .map(|item| last_part(&item["instance"]))
            .collect()
    }
}

fn names(items: &[Value]) -> BTreeSet<String> {
    items
        .iter()
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The last segment of a resource's URL.
pub fn last_part(url: &Value) -> String {
    url.as_str()
        .and_then(|url| url.rsplit('/').next())
        .unwrap_or_default()
        .to_owned()
}
