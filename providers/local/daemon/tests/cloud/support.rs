//! A separate cloud for each test, and helpers for its API.

use std::path::PathBuf;
use std::time::Duration;

use hakube_local_client::{LocalCloud, NewFile, StartOptions, Status};
use hakube_local_machine::Guest;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

pub const REGION: &str = "regions/europe-west1";
pub const ZONE: &str = "zones/europe-west1-b";
pub const PROJECT: &str = "test-project";
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon in a temporary directory; everything is removed on drop.
pub struct TestCloud {
    pub local: LocalCloud,
    pub status: Status,
    pub http: reqwest::Client,
    home: TempDir,
}

#[derive(Debug, PartialEq)]
pub struct Refusal {
    pub status: u16,
    pub reason: String,
    pub message: String,
}

/// The example with this name, next to the test's own binary.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().unwrap().parent().unwrap();
    target.join("examples").join(name)
}

pub fn options(home: &std::path::Path, time_scale: &str) -> StartOptions {
    StartOptions::new(vec![
        example("local-cloud").into(),
        "serve".into(),
        home.into(),
        PROJECT.into(),
        time_scale.into(),
    ])
}

impl TestCloud {
    pub async fn start() -> Self {
        Self::at_scale("0").await
    }

    pub async fn at_scale(time_scale: &str) -> Self {
        Self::with(time_scale, &[]).await
    }

    /// A cloud with these other projects in addition to its own.
    pub async fn beside(network_projects: &[&str]) -> Self {
        Self::with("0", network_projects).await
    }

    async fn with(time_scale: &str, network_projects: &[&str]) -> Self {
        // Fails if another test has installed it already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let home = tempfile::tempdir().unwrap();
        let local = LocalCloud::at(home.path());
        let mut options = options(home.path(), time_scale);
        let others = network_projects.iter().map(Into::into);
        options.command.extend(others);
        let status = local.ensure_started(&options).await.unwrap();
        Self {
            local,
            status,
            http: reqwest::Client::new(),
            home,
        }
    }

    pub fn home(&self) -> &std::path::Path {
        self.home.path()
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(&self.status.token_file).unwrap()
    }

    /// `path` is below the project, or starts with `projects/`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let path = match path.starts_with("projects/") {
            true => path.to_owned(),
            false => format!("projects/{PROJECT}/{path}"),
        };
        let url = format!("{}/compute/v1/{path}", self.status.url);
        self.http.request(method, url).bearer_auth(self.token())
    }

    pub async fn send(&self, request: RequestBuilder) -> Result<Value, Refusal> {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        let body: Value = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
        };
        if status.is_success() {
            return Ok(body);
        }
        let error = &body["error"];
        assert_eq!(error["code"], status.as_u16(), "{body}");
        assert_eq!(error["errors"][0]["message"], error["message"], "{body}");
        Err(Refusal {
            status: status.as_u16(),
            reason: error["errors"][0]["reason"].as_str().unwrap().to_owned(),
            message: error["message"].as_str().unwrap().to_owned(),
        })
    }

    pub async fn get(&self, path: &str) -> Result<Value, Refusal> {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Value, Refusal> {
        self.send(self.request(Method::POST, path).json(&body))
            .await
    }

    pub async fn delete(&self, path: &str) -> Result<Value, Refusal> {
        let operation = self.send(self.request(Method::DELETE, path)).await?;
        Ok(self.done(operation).await)
    }

    /// Inserts, or calls a method, and waits until the operation has succeeded.
    pub async fn make(&self, path: &str, body: Value) -> Value {
        let operation = self
            .post(path, body)
            .await
            .unwrap_or_else(|refusal| panic!("{path}: {refusal:?}"));
        let operation = self.done(operation).await;
        assert_eq!(operation["error"], Value::Null, "{path}");
        operation
    }

    pub async fn done(&self, mut operation: Value) -> Value {
        let link = operation["selfLink"].as_str().unwrap().to_owned();
        while operation["status"] != "DONE" {
            let wait = self
                .http
                .post(format!("{link}/wait"))
                .bearer_auth(self.token());
            operation = self.send(wait).await.unwrap();
        }
        operation
    }

    pub async fn reserve(&self, name: &str) -> String {
        self.make(&format!("{REGION}/addresses"), json!({"name": name}))
            .await;
        let address = self
            .get(&format!("{REGION}/addresses/{name}"))
            .await
            .unwrap();
        address["address"].as_str().unwrap().to_owned()
    }

    /// Allows all clients on a port.
    pub async fn open_port(&self, port: u16) {
        let body = json!({
            "name": format!("allow-{port}"),
            "allowed": [{"IPProtocol": "tcp", "ports": [port.to_string()]}],
        });
        self.make("global/firewalls", body).await;
    }

    /// Creates a machine with a web server on this port, which responds with the machine's name. Returns its
    /// internal address.
    pub async fn web_machine(&self, zone: &str, name: &str, port: u16, config: Value) -> String {
        let mut body = instance(name);
        body["machineType"] = json!(format!("{zone}/machineTypes/e2-small"));
        body["networkInterfaces"][0]["accessConfigs"] = config;
        body["metadata"] = json!({"items": [{"key": "user-data", "value": WEB_SERVER}]});
        self.make(&format!("{zone}/instances"), body).await;
        let instance = self.get(&format!("{zone}/instances/{name}")).await.unwrap();
        let nic = &instance["networkInterfaces"][0];
        let internal = nic["networkIP"].as_str().unwrap().to_owned();
        let zone = zone.trim_start_matches("zones/");
        let env = format!("ADDRESS={internal}\nPORT={port}\n");
        let files = [
            NewFile::new("/srv/name", 0o644, name.as_bytes()),
            NewFile::new("/etc/web.env", 0o600, env.as_bytes()),
        ];
        self.local.put_files(zone, name, &files).await.unwrap();
        let address = format!("{internal}:{port}");
        until("the web server answers", async || {
            fetch(&address).await.is_some()
        })
        .await;
        internal
    }
}

impl Drop for TestCloud {
    fn drop(&mut self) {
        let home = self.home.path().to_owned();
        let local = self.local.clone();
        // A runtime can't be entered from within another one, so this uses a thread.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let _ = local.stop().await;
                for zone in std::fs::read_dir(home.join("machines"))
                    .into_iter()
                    .flatten()
                    .flatten()
                {
                    for machine in std::fs::read_dir(zone.path())
                        .into_iter()
                        .flatten()
                        .flatten()
                    {
                        let _ = Guest::at(machine.path()).kill().await;
                    }
                }
            });
        });
        let _ = cleaning.join();
    }
}

const WEB_SERVER: &str = "#cloud-config
write_files:
- path: /etc/systemd/system/web.service
  content: |
    [Service]
    EnvironmentFile=/etc/web.env
    ExecStart=/usr/bin/python3 -m http.server ${PORT} --bind ${ADDRESS} --directory /srv
    Restart=always
- path: /etc/systemd/system/web.path
  content: |
    [Path]
    PathExists=/etc/web.env
    [Install]
    WantedBy=multi-user.target
runcmd:
- systemctl daemon-reload
- systemctl enable --now web.path
";

pub fn instance(name: &str) -> Value {
    json!({
        "name": name,
        "machineType": "zones/europe-west1-b/machineTypes/e2-small",
        "disks": [{
            "boot": true,
            "autoDelete": true,
            "initializeParams": {
                "sourceImage": "projects/debian-cloud/global/images/family/debian-12",
            },
        }],
        "networkInterfaces": [{"network": "global/networks/default"}],
    })
}

/// The response to `GET /name`; `None` without one.
pub async fn fetch(address: &str) -> Option<String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"GET /name HTTP/1.0\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    };
    tokio::time::timeout(Duration::from_secs(2), exchange)
        .await
        .ok()?
}

pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        sleep(Duration::from_millis(10)).await;
    }
}
