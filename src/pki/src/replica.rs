//! The files that make a machine a replica, delivered over the channel after boot.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jiff::Timestamp;

use super::Result;
use super::authorities::Authorities;
use super::generation::Generation;
use super::leaf::{Issued, Leaf, Names, Usage};
use hakube_kubeconfig::{Access, Credentials, render};
use hakube_model::Lifetimes;
use hakube_secret::{Secret, SecretFile};

/// The names in a replica's certificates.
#[derive(Debug, Clone)]
pub struct ReplicaIdentity {
    /// The machine's name.
    pub name: String,
    /// Its own addresses. Its components reach its API server at the first.
    pub addresses: Vec<IpAddr>,
    /// The cluster's endpoint, which any replica may have to serve.
    pub endpoint: IpAddr,
    /// The API server's port.
    pub api_port: u16,
    /// The first address of the service range: the service `kubernetes`.
    pub service_ip: IpAddr,
    /// The cluster's DNS domain, such as `cluster.local`.
    pub dns_domain: String,
    /// The paths of the kubelet's first certificate with its key, its current one, and its
    /// kubeconfig; `None` if the replica isn't a node.
    pub node: Option<NodeFiles>,
    /// The operator's additional names (addresses or DNS names) for the API server.
    pub extra_sans: Vec<String>,
}

impl ReplicaIdentity {
    fn api_server_url(&self) -> String {
        let own = self.addresses.first().copied();
        let address = own.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        format!("https://{}", SocketAddr::new(address, self.api_port))
    }

    /// All names by which clients may address the API server.
    fn api_server_names(&self) -> Result<Names> {
        let names = Names::default()
            .dns(&self.name)?
            .dns("kubernetes")?
            .dns("kubernetes.default")?
            .dns("kubernetes.default.svc")?
            .dns(&format!("kubernetes.default.svc.{}", self.dns_domain))?
            .ips(&self.addresses)
            .ip(self.endpoint)
            .ip(self.service_ip)
            .ip(Ipv4Addr::LOCALHOST.into());
        self.extra_sans
            .iter()
            .try_fold(names, |names, extra| names.either(extra))
    }

    /// etcd's gateway and its health checks also use a member's loopback names.
    fn etcd_names(&self) -> Result<Names> {
        Ok(Names::default()
            .dns(&self.name)?
            .dns("localhost")?
            .ips(&self.addresses)
            .ip(Ipv4Addr::LOCALHOST.into())
            .ip(Ipv6Addr::LOCALHOST.into()))
    }
}

/// Paths on a replica that is a node.
#[derive(Debug, Clone, Copy)]
pub struct NodeFiles {
    /// The first certificate and its key in one file.
    pub first: &'static str,
    /// The kubelet's current ones.
    pub current: &'static str,
    /// The kubeconfig of the kubelet and kube-proxy for their own API server.
    pub kubeconfig: &'static str,
}

/// All that a replica needs and that isn't public: certificates, keys, kubeconfigs, at the paths that
/// the components' flags name. Of the authorities' private keys only the kubelet authority's is among
/// them.
///
/// Each call generates new leaf keys.
pub fn replica_files(
    authorities: &Authorities,
    identity: &ReplicaIdentity,
    lifetimes: Lifetimes,
    now: Timestamp,
) -> Result<Vec<SecretFile>> {
    let Generation {
        kubernetes,
        etcd,
        front_proxy,
        kubelet,
        service_account,
    } = &authorities.now;
    let bundles = &authorities.bundles;
    let issuing = |authority: &super::authority::Authority, leaf: Leaf<'_>| {
        authority.issue(&leaf, lifetimes, now)
    };

    let mut files = Files::default();
    // For --client-ca-file. Servers are verified with kubernetes-ca.crt only (--root-ca-file);
    // otherwise the kubelet CA's key could sign for an API server.
    files.certificate("pki/ca.crt", &authorities.client_ca_bundle());
    files.certificate("pki/kubernetes-ca.crt", authorities.kubernetes_ca());
    files.pair(
        "pki/apiserver",
        issuing(
            kubernetes,
            Leaf {
                common_name: "kube-apiserver",
                organization: None,
                usage: Usage::Server,
                names: identity.api_server_names()?.into_vec(),
            },
        )?,
    );
    files.pair(
        "pki/apiserver-kubelet-client",
        // Without a group: its permissions on kubelets are bound to its name (system:kubelet-api-admin).
        issuing(kubernetes, Leaf::client("kube-apiserver-kubelet-client"))?,
    );
    files.pair(
        "pki/apiserver-etcd-client",
        issuing(etcd, Leaf::client("kube-apiserver-etcd-client"))?,
    );

    files.certificate("pki/front-proxy-ca.crt", &bundles.front_proxy);
    files.pair(
        "pki/front-proxy-client",
        issuing(front_proxy, Leaf::client("front-proxy-client"))?,
    );

    files.certificate("pki/sa.pub", &authorities.service_account_keys());
    files.secret("pki/sa.key", service_account.private.clone());
    if let Some(key) = &authorities.lasting.encryption {
        files.secret("pki/encryption.yaml", key.configuration());
    }
    // The controller manager signs with one CA; API servers verify kubelets with all trusted ones.
    files.certificate("pki/kubelet-ca.crt", &kubelet.certificate);
    files.certificate("pki/kubelet-trust-ca.crt", &bundles.kubelet);
    files.secret("pki/kubelet-ca.key", kubelet.key.clone());

    files.certificate("pki/etcd/ca.crt", &bundles.etcd);
    for role in ["server", "peer"] {
        let member = Leaf {
            common_name: &identity.name,
            organization: None,
            usage: Usage::Both,
            names: identity.etcd_names()?.into_vec(),
        };
        files.pair(&format!("pki/etcd/{role}"), issuing(etcd, member)?);
    }

    for component in ["controller-manager", "scheduler"] {
        let user = format!("system:kube-{component}");
        let stem = format!("pki/{component}");
        files.pair(&stem, issuing(kubernetes, Leaf::client(&user))?);
        // By file: client-go reloads a renewed certificate within minutes, without a restart.
        let kubeconfig = render(&Access {
            cluster: "kubernetes".into(),
            context: format!("{user}@kubernetes"),
            user,
            id: None,
            server: identity.api_server_url(),
            ca: bundles.kubernetes.clone(),
            credentials: Credentials::Files {
                certificate: format!("{stem}.crt"),
                key: format!("{stem}.key"),
            },
        });
        files.secret(&format!("{component}.kubeconfig"), kubeconfig);
    }
    let mut files = files.0;
    if let Some(paths) = identity.node {
        let user = format!("system:node:{}", identity.name);
        let leaf = Leaf::client_in_group(&user, "system:nodes");
        let Issued { certificate, key } = issuing(kubelet, leaf)?;
        let kubeconfig = render(&Access {
            cluster: "kubernetes".into(),
            context: format!("{user}@kubernetes"),
            user,
            id: None,
            server: identity.api_server_url(),
            ca: bundles.kubernetes.clone(),
            credentials: Credentials::Files {
                certificate: paths.current.to_owned(),
                key: paths.current.to_owned(),
            },
        });
        let pem = Secret::new(format!("{certificate}{}", key.expose()));
        files.extend([(paths.first, pem), (paths.kubeconfig, kubeconfig)].map(
            |(path, content)| SecretFile {
                path: path.to_owned(),
                mode: 0o600,
                content,
            },
        ));
    }
    Ok(files)
}

/// Files below /etc/kubernetes.
#[derive(Default)]
struct Files(Vec<SecretFile>);

impl Files {
    fn certificate(&mut self, path: &str, pem: &str) {
        self.push(path, 0o644, Secret::new(pem.to_owned()));
    }

    fn secret(&mut self, path: &str, content: Secret) {
        self.push(path, 0o600, content);
    }

    fn pair(&mut self, stem: &str, issued: Issued) {
        self.certificate(&format!("{stem}.crt"), &issued.certificate);
        self.secret(&format!("{stem}.key"), issued.key);
    }

    fn push(&mut self, path: &str, mode: u32, content: Secret) {
        self.0.push(SecretFile {
            path: format!("/etc/kubernetes/{path}"),
            mode,
            content,
        });
    }
}
