//! The client: reqwest for probes, kube for objects.

use super::call::{Problem, in_time};
use super::labels;
use super::objects::Objects;
use super::{BootstrapToken, Kubernetes, ServingRequest, addons, csr, drain, tokens, upgrade};
use super::{Cordon, DeadWebhook, DeprecatedApi, Evicted, Eviction, PodOnNode};
use async_trait::async_trait;
use base64::Engine as _;
use hakube_addons::{Addon, node_bindings};
use hakube_channel::Door;
use hakube_error::{Error, Result};
use hakube_model::{AddonState, ApiView, CONTROL_PLANE_LABEL, NodeView, TokenView};
use hakube_pki::{Authorities, ClientIdentity};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use k8s_openapi::api::core::v1::{Node, Secret};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::AuthInfo;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// An API server that doesn't respond within this time isn't ready: the checks of passthrough load
/// balancers and of the kubelet give up sooner.
const PROBE: Duration = Duration::from_secs(2);
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// A client that trusts the cluster's CA and uses the administrator's certificate.
pub struct KubeClient {
    /// Two during a CA rotation.
    ca: Vec<reqwest::Certificate>,
    endpoint: reqwest::Client,
    admin: ClientIdentity,
}

impl KubeClient {
    /// A client for a cluster's CAs, as its administrator.
    ///
    /// # Errors
    /// The CA can't be parsed.
    pub fn new(authorities: &Authorities, admin: ClientIdentity) -> Result<Self> {
        let ca = reqwest::Certificate::from_pem_bundle(authorities.kubernetes_ca().as_bytes())
            .map_err(|error| broken(&error))?;
        let endpoint = prober(&ca).build().map_err(|error| broken(&error))?;
        Ok(Self {
            ca,
            endpoint,
            admin,
        })
    }

    /// The response to a GET of an API server behind a tunnel.
    async fn ask(&self, door: &Door, path: &str) -> reqwest::Result<reqwest::Response> {
        let Door { at, machine } = door;
        // By its name, so that its certificate is verified against that.
        let client = prober(&self.ca).resolve(machine, *at).build()?;
        let port = at.port();
        client
            .get(format!("https://{machine}:{port}{path}"))
            .send()
            .await
    }

    /// Whether a stand-in runs instead of Kubernetes' API server: a machine's image may have it
    /// under that name.
    async fn is_stand_in(&self, endpoint: SocketAddr) -> bool {
        let url = format!("https://{endpoint}/version");
        match self.endpoint.get(url).send().await {
            Ok(answer) => answer
                .text()
                .await
                .is_ok_and(|text| text.contains(hakube_standins::VERSION_MARK)),
            Err(_) => false,
        }
    }

    fn kube(&self, endpoint: SocketAddr) -> Result<kube::Client> {
        self.kube_at(endpoint, None)
    }

    /// A client of the API server at this address. Its certificate is for the machine's name, or else for the address.
    fn kube_at(&self, endpoint: SocketAddr, machine: Option<&str>) -> Result<kube::Client> {
        let encode = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
        let broken = |error: &dyn std::fmt::Display| {
            Error::failed(format!("could not connect to the API at {endpoint}")).because(error)
        };
        let url = format!("https://{endpoint}")
            .parse()
            .map_err(|error| broken(&error))?;
        let mut config = kube::Config::new(url);
        let ca = pem_to_der(&self.admin.ca).map_err(|error| broken(&error))?;
        config.root_cert = Some(ca);
        config.connect_timeout = Some(PROBE);
        config.tls_server_name = machine.map(str::to_owned);
        config.proxy_url = None;
        // An eviction that a budget doesn't allow gets 429, which must be returned. The caller does
        // its own retries.
        config.default_retry = false;
        config.auth_info = AuthInfo {
            client_certificate_data: Some(encode(&self.admin.certificate)),
            client_key_data: Some(encode(self.admin.key.expose()).into()),
            ..AuthInfo::default()
        };
        kube::Client::try_from(config).map_err(|error| broken(&error))
    }
}

fn broken(error: &reqwest::Error) -> Error {
    Error::failed("could not use the cluster's CA").because(error)
}

/// A client without retries.
fn prober(ca: &[reqwest::Certificate]) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_certs_only(ca.iter().cloned())
        // Every probe uses a new connection, since an old one may lead to the address's previous holder.
        .pool_max_idle_per_host(0)
        .no_proxy()
        .timeout(PROBE)
}

fn pem_to_der(pem: &str) -> Result<Vec<Vec<u8>>, rustls::pki_types::pem::Error> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|cert| cert.map(|cert| cert.to_vec()))
        .collect()
}

#[async_trait]
impl Kubernetes for KubeClient {
    async fn probe(&self, at: &Door) -> ApiView {
        let (ready, version) = tokio::join!(self.ask(at, "/readyz"), async {
            self.ask(at, "/version").await?.text().await
        });
        let says: Option<serde_json::Value> = version
            .as_ref()
            .ok()
            .and_then(|text| serde_json::from_str(text).ok());
        ApiView {
            version: says.and_then(|says| says["gitVersion"].as_str().map(str::to_owned)),
            ready: ready.is_ok_and(|answer| answer.status().is_success()),
            stand_in: version
                .ok()
                .map(|version| version.contains(hakube_standins::VERSION_MARK)),
        }
    }

    async fn is_ready(&self, endpoint: SocketAddr) -> bool {
        let url = format!("https://{endpoint}/readyz");
        let answer = self.endpoint.get(url).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn date(&self, at: &Door) -> Option<Timestamp> {
        let answer = self.ask(at, "/version").await.ok()?;
        let date = answer.headers().get(reqwest::header::DATE)?.to_str().ok()?;
        rfc2822::DateTimeParser::new().parse_timestamp(date).ok()
    }

    async fn nodes(&self, endpoint: SocketAddr) -> Result<Vec<NodeView>> {
        let nodes: Api<Node> = Api::all(self.kube(endpoint)?);
        let list = in_time(async { nodes.list(&ListParams::default()).await }).await;
        let list = list.map_err(|error| {
            Error::failed("could not list the cluster's nodes")
                .because(error)
                .transient()
        })?;
        Ok(list.items.into_iter().map(node_view).collect())
    }

    async fn label_replica(&self, endpoint: SocketAddr, name: &str) -> Result<bool> {
        let nodes: Api<Node> = Api::all(self.kube(endpoint)?);
        let label = serde_json::json!({"metadata": {"labels": {CONTROL_PLANE_LABEL: ""}}});
        let labelled = in_time(async {
            let params = PatchParams::default();
            match nodes.patch(name, &params, &Patch::Merge(&label)).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
                answer => answer.map(|_| true),
            }
        });
        labelled.await.map_err(|error| {
            Error::failed(format!("could not label the node {name}"))
                .because(error)
                .transient()
        })
    }

    async fn label_node(
        &self,
        endpoint: SocketAddr,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<bool> {
        let nodes: Api<Node> = Api::all(self.kube(endpoint)?);
        let labelled = in_time(labels::apply(&nodes, name, labels)).await;
        labelled.map_err(|error| {
            Error::failed(format!("could not label the node {name}"))
                .because(error)
                .transient()
        })
    }

    async fn forget_node(&self, endpoint: SocketAddr, name: &str) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.kube(endpoint)?);
        let deleted = in_time(async {
            match nodes.delete(name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                answer => answer.map(drop),
            }
        });
        deleted.await.map_err(|error| {
            Error::failed(format!("could not delete node {name}"))
                .because(error)
                .transient()
        })
    }

    async fn cordon(&self, endpoint: SocketAddr, node: &str, cordon: Cordon) -> Result<()> {
        drain::cordon(self.kube(endpoint)?, node, cordon).await
    }

    async fn pods_to_move(&self, endpoint: SocketAddr, node: &str) -> Result<Vec<PodOnNode>> {
        drain::pods(self.kube(endpoint)?, node).await
    }

    async fn evict(&self, endpoint: SocketAddr, pod: &PodOnNode, how: Eviction) -> Result<Evicted> {
        drain::evict(self.kube(endpoint)?, pod, how).await
    }

    async fn admit_nodes(&self, endpoint: SocketAddr, token: &BootstrapToken) -> Result<()> {
        let client = self.kube(endpoint)?;
        let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
        for binding in node_bindings() {
            let binding = serde_json::from_value(binding).map_err(|error| {
                Error::failed("could not create the bootstrap token and its bindings")
                    .because(error)
            })?;
            create(&bindings, &binding).await?;
        }
        let secrets: Api<Secret> = Api::namespaced(client.clone(), "kube-system");
        create(&secrets, &tokens::secret(token)).await?;
        // An existing one may expire sooner.
        tokens::extend(client, &token.id, token.expires).await
    }

    async fn tokens(&self, endpoint: SocketAddr) -> Result<Vec<TokenView>> {
        tokens::list(self.kube(endpoint)?).await
    }

    async fn extend_token(&self, endpoint: SocketAddr, id: &str, until: Timestamp) -> Result<()> {
        tokens::extend(self.kube(endpoint)?, id, until).await
    }

    async fn addons(
        &self,
        endpoint: SocketAddr,
        wanted: &[Addon],
    ) -> Result<BTreeMap<String, AddonState>> {
        if self.is_stand_in(endpoint).await {
            let why = "the API server is a stand-in, which doesn't support addons".to_owned();
            let unknown = AddonState::Unknown { why };
            let names = wanted.iter().map(|addon| addon.name.clone());
            return Ok(names.map(|name| (name, unknown.clone())).collect());
        }
        let objects = Objects::new(self.kube(endpoint)?);
        let states = addons::states(&objects, wanted).await;
        states
            .map_err(|problem: Problem| problem.into_error("could not read the addons".to_owned()))
    }

    async fn check_addon(&self, endpoint: SocketAddr, addon: &Addon) -> Result<()> {
        if self.is_stand_in(endpoint).await {
            return Ok(());
        }
        addons::check(&Objects::new(self.kube(endpoint)?), addon).await
    }

    async fn apply_addon(&self, endpoint: SocketAddr, addon: &Addon) -> Result<()> {
        if self.is_stand_in(endpoint).await {
            return Ok(());
        }
        addons::apply(&Objects::new(self.kube(endpoint)?), addon).await
    }

    async fn remove_addon(&self, endpoint: SocketAddr, name: &str) -> Result<()> {
        addons::remove(&Objects::new(self.kube(endpoint)?), name).await
    }

    async fn serving_requests(&self, endpoint: SocketAddr) -> Result<Vec<ServingRequest>> {
        csr::pending(self.kube(endpoint)?).await
    }

    async fn approve_serving(&self, endpoint: SocketAddr, request: &ServingRequest) -> Result<()> {
        csr::approve(self.kube(endpoint)?, request).await
    }

    async fn deprecated_apis(&self, at: &Door) -> Result<Vec<DeprecatedApi>> {
        let failed = |why: &dyn std::fmt::Display| {
            Error::failed(format!("could not read the metrics of {}", at.machine)).because(why)
        };
        if self.probe(at).await.stand_in == Some(true) {
            return Ok(Vec::new());
        }
        let client = self.kube_at(at.at, Some(&at.machine))?;
        let request = http::Request::get("/metrics").body(Vec::new());
        let request = request.map_err(|error| failed(&error))?;
        let metrics = in_time(async { client.request_text(request).await }).await;
        Ok(upgrade::deprecated(&metrics.map_err(|why| failed(&why))?))
    }

    async fn dead_webhooks(&self, endpoint: SocketAddr) -> Result<Vec<DeadWebhook>> {
        if self.is_stand_in(endpoint).await {
            return Ok(Vec::new());
        }
        upgrade::dead_webhooks(self.kube(endpoint)?).await
    }
}

/// Creates an object, unless it exists.
async fn create<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: Clone + serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let created = in_time(async {
        match api.create(&PostParams::default(), object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            answer => answer.map(drop),
        }
    });
    match created.await {
        Ok(()) => Ok(()),
        Err(error) => Err(
            Error::failed("could not create the bootstrap token and its bindings")
                .because(error)
                .transient(),
        ),
    }
}

fn node_view(node: Node) -> NodeView {
    let inventory_labels = labels::applied(&node.metadata);
    let status = node.status.unwrap_or_default();
    let kubelet = status.node_info.map(|info| info.kubelet_version);
    let conditions = status.conditions.unwrap_or_default();
    let ready = conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let labels = node.metadata.labels.unwrap_or_default();
    let spec = node.spec.unwrap_or_default();
    NodeView {
        name: node.metadata.name.unwrap_or_default(),
        zone: labels.get(ZONE_LABEL).cloned().unwrap_or_default(),
        control_plane: labels.contains_key(CONTROL_PLANE_LABEL),
        hollow: labels.contains_key(hakube_standins::HOLLOW_LABEL),
        ready,
        cordoned: spec.unschedulable == Some(true),
        inventory_labels,
        kubelet: kubelet.filter(|version| !version.is_empty()),
    }
}
