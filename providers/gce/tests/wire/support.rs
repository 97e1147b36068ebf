//! A mock of Compute Engine, whose responses each test sets.

use hakube_gce::{Auth, Gce, GceConfig, Patience, PollPace};
use hakube_provider::{DiskSpec, ExternalAddress, MachineSpec, OperationKey, Result};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tempfile::TempDir;
use wiremock::matchers::{any, method, path, path_regex};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

pub const CLUSTER: &str = "kubernetes";
pub const MARK: &str = "hakube-cluster=kubernetes";
pub const PROJECT: &str = "/compute/v1/projects/p";
pub const ZONE: &str = "/compute/v1/projects/p/zones/europe-west1-b";
pub const REGION: &str = "/compute/v1/projects/p/regions/europe-west1";
pub const GLOBAL: &str = "/compute/v1/projects/p/global";

pub struct Cloud {
    pub server: MockServer,
    pub gce: Gce,
    pub token: Auth,
    _home: TempDir,
}

impl Cloud {
    /// An empty project: lists are empty, reads find nothing, and every change is done at once.
    pub async fn start() -> Self {
        Self::with(Patience::default()).await
    }

    /// Does the same with these timeouts.
    pub async fn with(patience: Patience) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let home = tempfile::tempdir().unwrap();
        let token = home.path().join("token");
        std::fs::write(&token, "secret\n").unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
        let server = MockServer::start().await;
        let token = Auth::TokenFile(token);
        let gce = connect(&server.uri(), token.clone(), patience)
            .await
            .unwrap();
        let cloud = Self {
            server,
            gce,
            token,
            _home: home,
        };
        cloud
            .mount(200, Mock::given(method("GET")), missing())
            .await;
        let lists = Mock::given(method("GET")).and(path_regex(
            "/(aggregated|regions/[^/]+|global|zones/[^/]+)/[a-zA-Z]+$",
        ));
        cloud.mount(100, lists, ok(json!({}))).await;
        cloud.mount(200, Mock::given(any()), done()).await;
        cloud
    }

    /// Another provider of the same project, with other credentials.
    pub async fn connect(&self, auth: Auth) -> Result<Gce> {
        connect(&self.server.uri(), auth, Patience::default()).await
    }

    /// The provider of a process that continues the first one's operation.
    pub async fn resumed(&self) -> Gce {
        let mut config = config(&self.server.uri(), self.token.clone(), Patience::default());
        config.operation.resumed = true;
        Gce::connect(config).await.unwrap()
    }

    /// Another provider of the same project that queries Cloud Resource Manager.
    pub async fn with_permissions(&self) -> Gce {
        let mut config = config(&self.server.uri(), self.token.clone(), Patience::default());
        config.resource_manager = Some(self.server.uri());
        Gce::connect(config).await.unwrap()
    }

    /// Another provider of the same project, on a network of the project `host`.
    pub async fn on_shared_network(&self) -> Gce {
        self.shared(None).await
    }

    /// The same, querying Cloud Resource Manager.
    pub async fn on_shared_network_with_permissions(&self) -> Gce {
        self.shared(Some(self.server.uri())).await
    }

    /// A provider on that network that doesn't manage firewall rules.
    pub async fn without_rules(&self) -> Gce {
        let own = config(&self.server.uri(), self.token.clone(), Patience::default());
        let config = GceConfig {
            network_project: "host".into(),
            firewalls: false,
            ..own
        };
        Gce::connect(config).await.unwrap()
    }

    async fn shared(&self, resource_manager: Option<String>) -> Gce {
        let own = config(&self.server.uri(), self.token.clone(), Patience::default());
        let config = GceConfig {
            network_project: "host".into(),
            resource_manager,
            ..own
        };
        Gce::connect(config).await.unwrap()
    }

    async fn mount(&self, priority: u8, mock: wiremock::MockBuilder, answer: ResponseTemplate) {
        mock.respond_with(answer)
            .with_priority(priority)
            .mount(&self.server)
            .await;
    }

    /// Sets the response to reads of a path.
    pub async fn has(&self, at: impl Into<String>, resource: Value) {
        let mock = Mock::given(method("GET")).and(path(at.into()));
        self.mount(10, mock, ok(resource)).await;
    }

    /// Sets the response to the next calls of a path.
    pub async fn answers(
        &self,
        verb: &str,
        at: impl Into<String>,
        answer: ResponseTemplate,
        times: u64,
    ) {
        Mock::given(method(verb))
            .and(path(at.into()))
            .respond_with(answer)
            .up_to_n_times(times)
            .with_priority(1)
            .mount(&self.server)
            .await;
    }

    pub async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    /// The changes made, as `POST /path`, without the project. Waits don't count.
    pub async fn changes(&self) -> Vec<String> {
        self.changing()
            .await
            .iter()
            .map(|request| {
                let path = request.url.path();
                let short = path.strip_prefix(PROJECT).unwrap_or(path);
                format!("{} {short}", request.method)
            })
            .collect()
    }

    /// Asserts that nothing was changed so far.
    pub async fn is_untouched(&self) {
        assert_eq!(self.changes().await, Vec::<String>::new());
    }

    /// The body of the only change at a path.
    pub async fn body(&self, at: &str) -> Value {
        let requests = self.changing().await;
        let mut at = requests
            .iter()
            .filter(|request| request.url.path().ends_with(at));
        let request = at.next().expect("a change at that path");
        assert!(at.next().is_none(), "more than one change at that path");
        request.body_json().unwrap()
    }

    pub async fn changing(&self) -> Vec<Request> {
        let mut requests = self.requests().await;
        requests.retain(|request| {
            let path = request.url.path();
            request.method != "GET" && !path.ends_with("/wait") && !path.ends_with("/listInstances")
        });
        requests
    }
}

pub async fn connect(endpoint: &str, auth: Auth, patience: Patience) -> Result<Gce> {
    Gce::connect(config(endpoint, auth, patience)).await
}

fn config(endpoint: &str, auth: Auth, patience: Patience) -> GceConfig {
    GceConfig {
        project: "p".into(),
        network_project: "p".into(),
        firewalls: true,
        region: "europe-west1".into(),
        endpoint: Some(endpoint.to_owned()),
        resource_manager: None,
        auth,
        poll: PollPace {
            first: Duration::from_millis(1),
            max: Duration::from_millis(4),
        },
        patience,
        operation: OperationKey {
            id: "1f2e3d4c".into(),
            resumed: false,
        },
    }
}

pub fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

pub fn done() -> ResponseTemplate {
    ok(json!({"name": "operation-1", "status": "DONE"}))
}

pub fn failure(status: u16, reason: &str, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"error": {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
    }}))
}

pub fn missing() -> ResponseTemplate {
    failure(404, "notFound", "The resource 'x' was not found")
}

/// A parameter of a request's query.
pub fn query(request: &Request, key: &str) -> Option<String> {
    request
        .url
        .query_pairs()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value.into_owned())
}

/// An instance of the cluster.
pub fn instance(name: &str, nat: Option<&str>) -> Value {
    let configs: Vec<Value> = nat
        .map(|nat| json!({"name": "external-nat", "type": "ONE_TO_ONE_NAT", "natIP": nat}))
        .into_iter()
        .collect();
    json!({
        "name": name,
        "zone": format!("https://www.googleapis.com{ZONE}"),
        "status": "RUNNING",
        "labels": {"hakube-cluster": CLUSTER},
        "networkInterfaces": [{"name": "nic0", "networkIP": "10.0.0.2", "accessConfigs": configs}],
    })
}

/// An aggregated list with these items in one zone, and an empty second zone.
pub fn aggregated(collection: &str, items: Value) -> Value {
    json!({"items": {
        "zones/europe-west1-b": {collection: items},
        "zones/europe-west1-c": {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": "There are no results."}},
    }})
}

/// A replica's machine with a data disk and a reserved address.
pub fn machine_spec() -> MachineSpec {
    MachineSpec {
        machine_type: "e2-standard-2".into(),
        image: "projects/debian-cloud/global/images/family/debian-12".into(),
        boot_disk_kind: "pd-standard".into(),
        data_disk: Some(DiskSpec {
            name: "m-1-pd".into(),
            device: "master-pd".into(),
            size_gb: 20,
            kind: "pd-ssd".into(),
        }),
        subnetwork: Some("sub".into()),
        external: ExternalAddress::Reserved("ip".into()),
        tags: vec!["kubernetes-master".into()],
        scopes: vec![
            "storage-ro".into(),
            "logging-write".into(),
            "monitoring.write".into(),
        ],
        user_data: "#cloud-config\n".into(),
        ..hakube_contract::machine_spec(CLUSTER, "m-1", "europe-west1-b")
    }
}
