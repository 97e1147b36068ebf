//! Flags shared by several commands. Each sets one setting and takes precedence over its variable.

use super::context;
use hakube_error::Result;
use hakube_output::Format;
use hakube_run::Session;
use hakube_settings::Resolved;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Selects the cluster and the file of settings.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ClusterFlags {
    /// The cluster's name ($CLUSTER_NAME)
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The state store: file:///dir, s3://bucket/path, gs://bucket/path ($HAKUBE_STATE)
    #[arg(long, value_name = "URL")]
    state: Option<String>,
    /// Comma-separated age public keys to encrypt new keys to ($HAKUBE_STATE_RECIPIENTS)
    #[arg(long, value_name = "AGE1...")]
    state_recipient: Option<String>,
    /// The file of age private keys to decrypt them with ($HAKUBE_STATE_IDENTITY)
    #[arg(long, value_name = "FILE")]
    state_identity: Option<String>,
    /// A file of NAME=value lines; environment variables take precedence
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// The profile of defaults ($HAKUBE_PROFILE)
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The timeout of each step: 10m, 90s ($HAKUBE_TIMEOUT)
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// The kubeconfig file to write ($KUBECONFIG)
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<String>,
    /// The cluster's context in the kubeconfig ($KUBE_CONTEXT)
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl ClusterFlags {
    /// The settings of this invocation, with the command's own flags.
    ///
    /// # Errors
    /// Reports all invalid settings at once.
    pub fn settings(&self, own: Vec<(String, String)>) -> Result<Resolved> {
        self.settings_of_cluster(own, BTreeMap::new())
    }

    /// The same, with what the cluster was created with in place of defaults.
    ///
    /// # Errors
    /// Reports all invalid settings at once.
    pub fn settings_of_cluster(
        &self,
        own: Vec<(String, String)>,
        cluster: BTreeMap<String, String>,
    ) -> Result<Resolved> {
        let flags = [self.pairs(), own].concat();
        context::settings(flags, self.env_file.clone(), cluster)
    }

    fn pairs(&self) -> Vec<(String, String)> {
        given([
            ("--cluster", &self.cluster),
            ("--state", &self.state),
            ("--state-recipient", &self.state_recipient),
            ("--state-identity", &self.state_identity),
            ("--profile", &self.profile),
            ("--timeout", &self.timeout),
            ("--kubeconfig", &self.kubeconfig),
            ("--context", &self.context),
        ])
    }
}

/// Selects where backups are.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct BackupsFlag {
    /// Where backups are: file:///dir, s3://bucket/path, gs://bucket/path ($HAKUBE_BACKUPS)
    #[arg(long, value_name = "URL")]
    backups: Option<String>,
}

impl BackupsFlag {
    /// Returns the given flag with its value.
    pub fn pairs(&self) -> Vec<(String, String)> {
        given([("--backups", &self.backups)])
    }
}

/// What the cluster consists of. Later replicas inherit it.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct MakingFlags {
    /// The provider of machines: local, gce, libvirt, hosts ($KUBERNETES_PROVIDER)
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The provider's project ($PROJECT)
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// The Compute Engine API's URL, for an emulator ($HAKUBE_COMPUTE_ENDPOINT)
    #[arg(long, value_name = "URL")]
    compute_endpoint: Option<String>,
    /// Source ranges allowed to SSH to replicas: 203.0.113.7/32,… or none ($HAKUBE_SSH_SOURCE)
    #[arg(long, value_name = "RANGES")]
    ssh_source: Option<String>,
    /// Allow replicas in other zones of the region ($MULTIZONE)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    multizone: Option<String>,
    /// The number of nodes ($NUM_NODES)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    nodes: Option<String>,
    /// The Kubernetes version ($KUBE_VERSION)
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,
    /// The machines' architecture: amd64, arm64 ($HAKUBE_NODE_ARCH)
    #[arg(long, value_name = "ARCH")]
    node_arch: Option<String>,
    /// The API's port ($HAKUBE_API_PORT)
    #[arg(long, value_name = "PORT")]
    api_port: Option<String>,
    /// When to use a load balancer: auto (from the second replica) or always ($HAKUBE_LOAD_BALANCER)
    #[arg(long, value_name = "WHEN")]
    load_balancer: Option<String>,
    /// Your own load balancer in front of the cluster, for libvirt and hosts ($HAKUBE_ENDPOINT)
    #[arg(long, value_name = "ADDRESS:PORT")]
    endpoint: Option<String>,
    /// The etcd binary to run, instead of downloading one ($HAKUBE_ETCD_BINARY)
    #[arg(long, value_name = "FILE")]
    etcd_binary: Option<String>,
    /// Directory of the kube-apiserver, -controller-manager and -scheduler binaries ($HAKUBE_KUBE_BINARIES)
    #[arg(long, value_name = "DIR")]
    kube_binaries: Option<String>,
    /// On the local cloud, run stand-ins for Kubernetes' programs ($HAKUBE_STAND_INS)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    stand_ins: Option<String>,
    /// A mirror for all downloads ($HAKUBE_MIRROR)
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// A directory of image archives for machines to import ($HAKUBE_IMAGES)
    #[arg(long, value_name = "URL")]
    images: Option<String>,
    /// Where to download Kubernetes releases ($HAKUBE_KUBERNETES_RELEASES)
    #[arg(long, value_name = "URL")]
    kubernetes_releases: Option<String>,
    /// Where to download etcd releases ($HAKUBE_ETCD_RELEASES)
    #[arg(long, value_name = "URL")]
    etcd_releases: Option<String>,
    /// The repository that replaces image registries: HOST/PATH or HOST:PORT/PATH ($HAKUBE_IMAGE_REPOSITORY)
    #[arg(long, value_name = "REPOSITORY")]
    image_repository: Option<String>,
    /// A file or directory of your own objects to apply, can be repeated; or none ($HAKUBE_MANIFESTS)
    #[arg(long, value_name = "DIR|FILE")]
    manifests: Vec<String>,
    /// Checksums that downloads must match, instead of the published ones ($HAKUBE_SHA256SUMS)
    #[arg(long, value_name = "FILE")]
    sha256sums: Option<String>,
}

impl MakingFlags {
    /// Returns the given flags with their values.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let manifests = (!self.manifests.is_empty()).then(|| self.manifests.join(":"));
        given([
            ("--provider", &self.provider),
            ("--project", &self.project),
            ("--compute-endpoint", &self.compute_endpoint),
            ("--ssh-source", &self.ssh_source),
            ("--multizone", &self.multizone),
            ("--nodes", &self.nodes),
            ("--kubernetes-version", &self.kubernetes_version),
            ("--node-arch", &self.node_arch),
            ("--api-port", &self.api_port),
            ("--load-balancer", &self.load_balancer),
            ("--endpoint", &self.endpoint),
            ("--etcd-binary", &self.etcd_binary),
            ("--kube-binaries", &self.kube_binaries),
            ("--stand-ins", &self.stand_ins),
            ("--mirror", &self.mirror),
            ("--images", &self.images),
            ("--kubernetes-releases", &self.kubernetes_releases),
            ("--etcd-releases", &self.etcd_releases),
            ("--image-repository", &self.image_repository),
            ("--manifests", &manifests),
            ("--sha256sums", &self.sha256sums),
        ])
    }
}

/// The versions of a cluster's programs, and where to get them.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ReleaseFlags {
    /// The Kubernetes version ($KUBE_VERSION)
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,
    /// The etcd version ($ETCD_VERSION)
    #[arg(long, value_name = "VERSION")]
    etcd_version: Option<String>,
    /// The etcd binary to run, instead of downloading one ($HAKUBE_ETCD_BINARY)
    #[arg(long, value_name = "FILE")]
    etcd_binary: Option<String>,
    /// Directory of the kube-apiserver, -controller-manager and -scheduler binaries ($HAKUBE_KUBE_BINARIES)
    #[arg(long, value_name = "DIR")]
    kube_binaries: Option<String>,
    /// A mirror for all downloads ($HAKUBE_MIRROR)
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Where to download Kubernetes releases ($HAKUBE_KUBERNETES_RELEASES)
    #[arg(long, value_name = "URL")]
    kubernetes_releases: Option<String>,
    /// Where to download etcd releases ($HAKUBE_ETCD_RELEASES)
    #[arg(long, value_name = "URL")]
    etcd_releases: Option<String>,
    /// Checksums that downloads must match, instead of the published ones ($HAKUBE_SHA256SUMS)
    #[arg(long, value_name = "FILE")]
    sha256sums: Option<String>,
}

impl ReleaseFlags {
    /// Returns the given flags with their values.
    pub fn pairs(&self) -> Vec<(String, String)> {
        given([
            ("--kubernetes-version", &self.kubernetes_version),
            ("--etcd-version", &self.etcd_version),
            ("--etcd-binary", &self.etcd_binary),
            ("--kube-binaries", &self.kube_binaries),
            ("--mirror", &self.mirror),
            ("--kubernetes-releases", &self.kubernetes_releases),
            ("--etcd-releases", &self.etcd_releases),
            ("--sha256sums", &self.sha256sums),
        ])
    }
}

/// A zone, for commands that take one.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ZoneFlag {
    /// The zone ($KUBE_GCE_ZONE)
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// The inventory of existing hosts ($HAKUBE_HOSTS)
    #[arg(long, value_name = "FILE")]
    hosts: Option<String>,
    /// Zones and their hosts' libvirt URIs: rack-a=qemu:///system,… ($HAKUBE_LIBVIRT_ZONES)
    #[arg(long, value_name = "ZONE=URI", value_delimiter = ',')]
    libvirt_zone: Vec<String>,
}

impl ZoneFlag {
    /// Returns the given flags with their values.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let zones = (!self.libvirt_zone.is_empty()).then(|| self.libvirt_zone.join(","));
        given([
            ("--zone", &self.zone),
            ("--hosts", &self.hosts),
            ("--libvirt-zone", &zones),
        ])
    }
}

/// The drain timeout, for commands that remove machines.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DrainFlag {
    /// How long to wait for pods to leave: 10m, 90s ($HAKUBE_DRAIN_TIMEOUT)
    #[arg(long, value_name = "DURATION")]
    drain_timeout: Option<String>,
}

impl DrainFlag {
    /// Returns the given flag with its value.
    pub fn pairs(&self) -> Vec<(String, String)> {
        given([("--drain-timeout", &self.drain_timeout)])
    }
}

/// Flags of every command that changes a cluster.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ChangeFlags {
    /// How long to wait for another command on the cluster to end: 10m, 90s ($HAKUBE_WAIT)
    #[arg(long, value_name = "DURATION")]
    wait: Option<String>,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlag,
    /// Show the plan and exit
    #[arg(long)]
    pub dry_run: bool,
}

impl ChangeFlags {
    /// The settings of this invocation, with the command's own flags.
    ///
    /// # Errors
    /// Reports all invalid settings at once.
    pub fn settings(&self, own: &[Vec<(String, String)>]) -> Result<Resolved> {
        self.settings_of_cluster(own, BTreeMap::new())
    }

    /// The same, with what the cluster was created with in place of defaults.
    ///
    /// # Errors
    /// Reports all invalid settings at once.
    pub fn settings_of_cluster(
        &self,
        own: &[Vec<(String, String)>],
        cluster: BTreeMap<String, String>,
    ) -> Result<Resolved> {
        let flags = [own.concat(), given([("--wait", &self.wait)])].concat();
        self.cluster.settings_of_cluster(flags, cluster)
    }

    /// The session that changes the cluster, or with `--dry-run` shows the plan.
    ///
    /// # Errors
    /// The state directory can't be used.
    pub fn session(&self, resolved: Resolved) -> Result<Session> {
        context::changing(resolved, self.output.output, self.dry_run)
    }
}

/// The output format.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct OutputFlag {
    /// The output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

fn given<const N: usize>(flags: [(&str, &Option<String>); N]) -> Vec<(String, String)> {
    let given = flags
        .into_iter()
        .filter_map(|(flag, value)| Some((flag.to_owned(), value.clone()?)));
    given.collect()
}
