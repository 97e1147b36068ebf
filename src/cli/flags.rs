//! Flags that several commands share. Each is one of the settings: its flag wins over its variable.

use super::context;
use crate::error::Result;
use crate::output::Format;
use crate::run::Session;
use crate::settings::Resolved;
use std::path::PathBuf;

/// Which cluster, and from which file settings come.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ClusterFlags {
    /// The cluster's name ($CLUSTER_NAME)
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Where state is kept: file:///dir, s3://bucket/path, gs://bucket/path ($HAKUBE_STATE)
    #[arg(long, value_name = "URL")]
    state: Option<String>,
    /// The age public keys, by commas, that new keys are encrypted to ($HAKUBE_STATE_RECIPIENTS)
    #[arg(long, value_name = "AGE1...")]
    state_recipient: Option<String>,
    /// The file of age private keys that opens them ($HAKUBE_STATE_IDENTITY)
    #[arg(long, value_name = "FILE")]
    state_identity: Option<String>,
    /// A file of NAME=value lines, below the environment in precedence
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// The profile of defaults ($HAKUBE_PROFILE)
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// How long one step may take: 10m, 90s ($HAKUBE_TIMEOUT)
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// The kubeconfig file to write ($KUBECONFIG)
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<String>,
    /// The name of the cluster's context in it ($KUBE_CONTEXT)
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl ClusterFlags {
    /// As settings' flags and their values.
    pub fn pairs(&self) -> Vec<(String, String)> {
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

/// What a cluster is made of. Later replicas inherit it.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct MakingFlags {
    /// Where machines are made: local, gce, libvirt, hosts ($KUBERNETES_PROVIDER)
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The provider's project ($PROJECT)
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Where Compute Engine's API is: that of an emulator ($HAKUBE_COMPUTE_ENDPOINT)
    #[arg(long, value_name = "URL")]
    compute_endpoint: Option<String>,
    /// From where replicas take ssh: 203.0.113.7/32,… or none ($HAKUBE_SSH_SOURCE)
    #[arg(long, value_name = "RANGES")]
    ssh_source: Option<String>,
    /// Let replicas go to other zones of the region ($MULTIZONE)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    multizone: Option<String>,
    /// The number of nodes ($NUM_NODES)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    nodes: Option<String>,
    /// The version of Kubernetes ($KUBE_VERSION)
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,
    /// The architecture of machines: amd64, arm64 ($HAKUBE_NODE_ARCH)
    #[arg(long, value_name = "ARCH")]
    node_arch: Option<String>,
    /// The API's port ($HAKUBE_API_PORT)
    #[arg(long, value_name = "PORT")]
    api_port: Option<String>,
    /// auto: from the second replica on; always: from the first ($HAKUBE_LOAD_BALANCER)
    #[arg(long, value_name = "WHEN")]
    load_balancer: Option<String>,
    /// A balancer of one's own that clients reach the cluster by, for libvirt and hosts ($HAKUBE_ENDPOINT)
    #[arg(long, value_name = "ADDRESS:PORT")]
    endpoint: Option<String>,
    /// The etcd to run, where it isn't downloaded ($HAKUBE_ETCD_BINARY)
    #[arg(long, value_name = "FILE")]
    etcd_binary: Option<String>,
    /// Where kube-apiserver, kube-controller-manager and kube-scheduler are ($HAKUBE_KUBE_BINARIES)
    #[arg(long, value_name = "DIR")]
    kube_binaries: Option<String>,
    /// On the local cloud, stand-ins instead of Kubernetes' programs ($HAKUBE_STAND_INS)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    stand_ins: Option<String>,
    /// A mirror of everything that is downloaded ($HAKUBE_MIRROR)
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// A directory of image archives that machines import ($HAKUBE_IMAGES)
    #[arg(long, value_name = "URL")]
    images: Option<String>,
    /// Where Kubernetes' releases are downloaded from ($HAKUBE_KUBERNETES_RELEASES)
    #[arg(long, value_name = "URL")]
    kubernetes_releases: Option<String>,
    /// Where etcd's releases are downloaded from ($HAKUBE_ETCD_RELEASES)
    #[arg(long, value_name = "URL")]
    etcd_releases: Option<String>,
    /// What takes the place of images' registries: HOST[:PORT]/PATH ($HAKUBE_IMAGE_REPOSITORY)
    #[arg(long, value_name = "REPOSITORY")]
    image_repository: Option<String>,
    /// A file or directory of objects of one's own, again for more; none ($HAKUBE_MANIFESTS)
    #[arg(long, value_name = "DIR|FILE")]
    manifests: Vec<String>,
    /// The sums that downloads must have, rather than those beside them ($HAKUBE_SHA256SUMS)
    #[arg(long, value_name = "FILE")]
    sha256sums: Option<String>,
}

impl MakingFlags {
    /// As settings' flags and their values.
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

/// A zone, where a command takes one.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ZoneFlag {
    /// The zone ($KUBE_GCE_ZONE)
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// The inventory of hosts that are there already ($HAKUBE_HOSTS)
    #[arg(long, value_name = "FILE")]
    hosts: Option<String>,
    /// Zones and libvirt's addresses of their hosts: rack-a=qemu:///system,… ($HAKUBE_LIBVIRT_ZONES)
    #[arg(long, value_name = "ZONE=URI", value_delimiter = ',')]
    libvirt_zone: Vec<String>,
}

impl ZoneFlag {
    /// As a setting's flag and its value.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let zones = (!self.libvirt_zone.is_empty()).then(|| self.libvirt_zone.join(","));
        given([
            ("--zone", &self.zone),
            ("--hosts", &self.hosts),
            ("--libvirt-zone", &zones),
        ])
    }
}

/// How long pods may take to leave, where a command removes machines that run some.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DrainFlag {
    /// How long pods may take to leave: 10m, 90s ($HAKUBE_DRAIN_TIMEOUT)
    #[arg(long, value_name = "DURATION")]
    drain_timeout: Option<String>,
}

impl DrainFlag {
    /// As a setting's flag and its value.
    pub fn pairs(&self) -> Vec<(String, String)> {
        given([("--drain-timeout", &self.drain_timeout)])
    }
}

/// What every command takes that changes a cluster.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ChangeFlags {
    /// Wait for another command on the cluster to end, up to this long: 10m, 90s ($HAKUBE_WAIT)
    #[arg(long, value_name = "DURATION")]
    wait: Option<String>,
    #[command(flatten)]
    cluster: ClusterFlags,
    #[command(flatten)]
    output: OutputFlag,
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
}

impl ChangeFlags {
    /// The settings of this invocation, with the command's own flags.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn settings(&self, own: &[Vec<(String, String)>]) -> Result<Resolved> {
        let flags = [own.concat(), given([("--wait", &self.wait)])].concat();
        context::settings(&self.cluster, flags)
    }

    /// The session that changes the cluster, or shows how.
    ///
    /// # Errors
    /// The state directory can't be used.
    pub fn session(&self, resolved: Resolved) -> Result<Session> {
        context::changing(resolved, self.output.output, self.dry_run)
    }
}

/// How the output is written.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct OutputFlag {
    /// How the output is written
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,
}

fn given<const N: usize>(flags: [(&str, &Option<String>); N]) -> Vec<(String, String)> {
    let given = flags
        .into_iter()
        .filter_map(|(flag, value)| Some((flag.to_owned(), value.clone()?)));
    given.collect()
}
