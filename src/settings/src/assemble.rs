//! Parses text into typed settings, group by group. Single values are checked when they are parsed,
//! combinations in [`validate`].

use super::addons;
use super::components;
use super::derive;
use super::eviction;
use super::gcloud::Gcloud;
use super::hosts;
use super::libvirt;
use super::location::{Location, SealKeys};
use super::network;
use super::origin::Origin;
use super::parse::{self, Malformed};
use super::path::Directories;
use super::reader::Reader;
use super::table;
use super::types::{GoogleCredentials, KubeUpMode, Settings};
use super::validate;
use hakube_model::Lifetimes;
use hakube_model::{
    Hosts, Hypervisor, LoadBalancer, Nodes, ProviderKind, QuorumReads, ReplicaMachines, Zone,
};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reads all settings; `None` if any is invalid, in which case the reader has the errors.
///
/// Every value is read before the first `?`, so that all errors are reported at once.
pub fn settings(
    read: &mut Reader<'_>,
    directories: &Directories<'_>,
    gcloud: &Gcloud<'_>,
    state_home: Option<&str>,
) -> Option<Settings> {
    let identity = identity(read, directories, gcloud);
    let google = google(read, directories, gcloud);
    let count = read.integer(&table::NUM_NODES);
    let pods_per_node = read.integer(&table::MAX_PODS);
    let host_project = identity.host_project.clone();
    let network = network::network(read, count, pods_per_node, host_project);
    let is_libvirt = identity.provider == Some(ProviderKind::Libvirt);
    let node_range = network.as_ref().map(|network| network.node_range);
    let hosts = libvirt::libvirt(
        read,
        directories,
        identity.provider,
        identity.hosts.clone(),
        node_range,
    );
    let is_hosts = identity.provider == Some(ProviderKind::Hosts);
    let replicas = replicas(read, count, is_libvirt);
    let image = replicas.as_ref().map(|replicas| &replicas.image);
    let nodes = nodes(read, count, &identity, image);
    let versions = components::versions(read);
    let arch = read.read(&table::NODE_ARCH, str::parse);
    let etcd = components::etcd(read, directories);
    let dns_domain = network.as_ref().map(|network| &network.dns_domain);
    let api = components::api(read, dns_domain);
    let controller_manager = components::controller_manager(read);
    let addons = addons::addons(read, directories);
    let quorum_reads = quorum_reads(read);
    let kube_up = kube_up(read);
    let pki = lifetimes(read);
    let multizone = read.boolean(&table::MULTIZONE);
    let load_balancer = load_balancer(read);
    let endpoint = endpoint(read, is_libvirt || is_hosts);
    if let Some(hosts) = identity.inventory.as_ref().filter(|_| is_hosts) {
        validate::hosts_endpoint(read, hosts, endpoint);
    }
    let kube_binaries = read.read(&table::KUBE_BINARIES, |text| directories.resolve(text));
    let stand_ins = read.boolean(&table::STAND_INS);
    if stand_ins == Some(true)
        && identity
            .provider
            .is_some_and(|kind| kind != ProviderKind::Local)
    {
        read.object(&table::STAND_INS, "it is only for the local cloud");
    }
    let releases = components::releases(read, directories, identity.provider);
    let compute_token_file =
        read.read(&table::COMPUTE_TOKEN_FILE, |text| directories.resolve(text));
    let home = home(read, directories, state_home);
    let state = location(read, directories, &table::STATE, home.as_deref(), "state");
    let backups = location(
        read,
        directories,
        &table::BACKUPS,
        home.as_deref(),
        "backups",
    );
    let seal = seal(read, directories);
    let wait = read.read(&table::WAIT, parse::duration);
    let kubeconfig = kubeconfig(read, directories);
    let context = identity
        .cluster
        .as_ref()
        .map(|name| format!("hakube-{name}"));
    let kube_context = read.derive(&table::KUBE_CONTEXT, parse::word, context);
    let timeout = timeout(read);
    let nodes_timeout = read.integer(&table::NODES_TIMEOUT).map(Duration::from_secs);
    let drain_timeout = read.read(&table::DRAIN_TIMEOUT, parse::duration);
    let time_scale = read.read(&table::TIME_SCALE, parse::factor);
    Some(Settings {
        cluster: identity.cluster?,
        prefix: identity.prefix?,
        provider: identity.provider?,
        project: identity.project,
        google,
        compute_endpoint: identity.compute_endpoint,
        compute_hosts: identity.compute_hosts,
        compute_token_file,
        zone: identity.zone?,
        zone_given: read.is_given(&table::ZONE),
        multizone: multizone?,
        quorum_reads: quorum_reads?,
        versions: versions?,
        arch: arch?,
        network: network?,
        hypervisors: identity
            .hosts
            .filter(|_| read.is_given(&table::LIBVIRT_ZONES))
            .unwrap_or_default(),
        libvirt: if is_libvirt { Some(hosts?) } else { None },
        hosts: identity.inventory,
        replicas: replicas?,
        nodes: nodes?,
        etcd: etcd?,
        api: api?,
        controller_manager: controller_manager?,
        stand_ins: stand_ins?,
        addons: addons?,
        kube_binaries,
        releases,
        load_balancer: load_balancer?,
        endpoint,
        kubeconfig: kubeconfig?,
        kube_context: kube_context?,
        pki: pki?,
        timeout: timeout?,
        nodes_timeout: nodes_timeout?,
        drain_timeout: drain_timeout?,
        kube_up: kube_up?,
        home: home?,
        state: state?,
        backups: backups?,
        seal,
        wait: wait.unwrap_or_default(),
        time_scale: time_scale?,
    })
}

struct Identity {
    provider: Option<ProviderKind>,
    project: Option<String>,
    host_project: Option<String>,
    compute_endpoint: Option<String>,
    compute_hosts: bool,
    cluster: Option<String>,
    prefix: Option<String>,
    zone: Option<Zone>,
    hosts: Option<Vec<Hypervisor>>,
    inventory: Option<Hosts>,
}

fn identity(read: &mut Reader<'_>, directories: &Directories<'_>, gcloud: &Gcloud<'_>) -> Identity {
    let provider: Option<ProviderKind> = read.read(&table::PROVIDER, str::parse);
    let own_profile = provider.map(|provider| provider.to_string());
    read.choice(&table::PROFILE, own_profile);
    let own = provider.filter(|provider| *provider == ProviderKind::Gce);
    let own = own.and_then(|_| gcloud.project());
    let project = read.derive(&table::PROJECT, parse::project, own);
    let compute_endpoint = read.read(&table::COMPUTE_ENDPOINT, parse::release_url);
    let machines = read.choice(&table::COMPUTE_MACHINES, None);
    let hosts = read.read(&table::LIBVIRT_ZONES, libvirt::hypervisors);
    let inventory = read.read(&table::HOSTS, |text| hosts::read(directories, text));
    let known: Option<Vec<Zone>> = match provider {
        Some(ProviderKind::Libvirt) => hosts
            .as_ref()
            .map(|hosts| hosts.iter().map(|host| host.zone.clone()).collect()),
        Some(ProviderKind::Hosts) => inventory
            .as_ref()
            .map(|hosts| hosts.zones().into_iter().cloned().collect()),
        _ => None,
    };
    let zone = zone(read, provider, known.as_deref());
    // In kube-up, only the prefix counts. But two clusters that differ only in CLUSTER_NAME would
    // have machines with the same names, so each of the two settings defaults to the other.
    let named = read
        .peek(&table::CLUSTER_NAME)
        .filter(|name| parse::name(name).is_ok())
        .unwrap_or_else(|| "kubernetes".to_owned());
    let prefix = read.derive(&table::INSTANCE_PREFIX, parse::name, Some(named));
    let cluster = read.derive(&table::CLUSTER_NAME, parse::cluster_name, prefix.clone());
    let unset = read.origin(&table::PROJECT) == Origin::Unset;
    if provider == Some(ProviderKind::Gce) && unset {
        read.missing(&table::PROJECT, "gce requires it");
    }
    if let (Some(prefix), Some(zone)) = (&prefix, &zone) {
        validate::prefix(read, prefix, zone);
    }
    let host = read.derive(&table::NETWORK_PROJECT, parse::project, project.clone());
    let is_gce = provider == Some(ProviderKind::Gce);
    let is_another = provider.is_some() && host.is_some() && host != project;
    if is_another && !is_gce && read.is_given(&table::NETWORK_PROJECT) {
        read.object(
            &table::NETWORK_PROJECT,
            "only Compute Engine has networks of other projects (--provider gce)",
        );
    }
    Identity {
        provider,
        host_project: host.filter(|host| is_gce && project.as_ref() != Some(host)),
        project,
        compute_hosts: compute_endpoint.is_some() && machines.as_deref() == Some("host"),
        compute_endpoint,
        cluster,
        prefix,
        zone,
        hosts,
        inventory,
    }
}

/// Zones of your own hosts are those that the operator defines; Compute Engine's have a fixed
/// syntax. Without a provider, the command may be about an existing cluster of either kind.
fn zone(
    read: &mut Reader<'_>,
    provider: Option<ProviderKind>,
    known: Option<&[Zone]>,
) -> Option<Zone> {
    let (is_own, source) = match provider {
        Some(ProviderKind::Libvirt) => (true, &table::LIBVIRT_ZONES),
        Some(ProviderKind::Hosts) => (true, &table::HOSTS),
        _ => (false, &table::LIBVIRT_ZONES),
    };
    let first = known.and_then(|zones| Some(zones.first()?.to_string()));
    // The inventory of an existing cluster of hosts is stored, and needn't be set again.
    let is_elsewhere = provider == Some(ProviderKind::Hosts) && read.is_unset(&table::HOSTS);
    let derived = first.or_else(|| (!is_own || is_elsewhere).then(|| "us-central1-b".to_owned()));
    let zone: Zone = read.derive(&table::ZONE, str::parse, derived)?;
    let problem = match known {
        _ if !is_own && !read.is_given(&table::PROVIDER) => None,
        _ if !is_own => zone.check_compute_engine().err().map(|problem| problem.0),
        Some(zones) if !zones.contains(&zone) => {
            let known = read.quote(source);
            Some(format!("it has no known host: {known}"))
        }
        _ => None,
    };
    if let Some(problem) = problem {
        read.object(&table::ZONE, &problem);
        return None;
    }
    Some(zone)
}

fn google(
    read: &mut Reader<'_>,
    directories: &Directories<'_>,
    gcloud: &Gcloud<'_>,
) -> GoogleCredentials {
    GoogleCredentials {
        file: read.read(&table::GOOGLE_CREDENTIALS, |text| directories.resolve(text)),
        gcloud: gcloud.directory(),
        impersonate: read.read(&table::GOOGLE_IMPERSONATE, parse::word),
        check_permissions: read.boolean(&table::CHECK_PERMISSIONS) != Some(false),
    }
}

fn machine_type(is_libvirt: bool) -> fn(&str) -> parse::Parsed<String> {
    if is_libvirt {
        libvirt::machine_size
    } else {
        parse::name
    }
}

fn replicas(
    read: &mut Reader<'_>,
    nodes: Option<u32>,
    is_libvirt: bool,
) -> Option<ReplicaMachines> {
    let derived = nodes.map(derive::replica_machine_type);
    let machine_type = read.derive(&table::MASTER_SIZE, machine_type(is_libvirt), derived);
    let root_disk_gb = read.size_gb(&table::MASTER_ROOT_DISK_SIZE);
    let data_disk_gb = read.size_gb(&table::MASTER_DISK_SIZE);
    let disk_type = read.read(&table::MASTER_DISK_TYPE, parse::name);
    let image = read.read(&table::MASTER_IMAGE, parse::word);
    let image_sha256 = read.read(&table::IMAGE_SHA256, libvirt::sha256);
    let preemptible = read.boolean(&table::PREEMPTIBLE_MASTER);
    let min_cpu_platform = read.read(&table::MASTER_MIN_CPU, parse::cpu_platform);
    let register = read.boolean(&table::REGISTER_MASTER);
    let labels = read.read(&table::MASTER_NODE_LABELS, parse::labels);
    Some(ReplicaMachines {
        machine_type: machine_type?,
        root_disk_gb: root_disk_gb?,
        data_disk_gb: data_disk_gb?,
        disk_type: disk_type?,
        image: image?,
        image_sha256,
        preemptible: preemptible?,
        min_cpu_platform,
        register: register?,
        labels: labels.unwrap_or_default(),
    })
}

fn nodes(
    read: &mut Reader<'_>,
    count: Option<u32>,
    identity: &Identity,
    image: Option<&String>,
) -> Option<Nodes> {
    let create = read.boolean(&table::CREATE_NODES);
    let largest_group = read.integer(&table::MAX_PER_GROUP);
    let is_libvirt = identity.provider == Some(ProviderKind::Libvirt);
    let machine_type = read.read(&table::NODE_SIZE, machine_type(is_libvirt));
    let disk_gb = read.size_gb(&table::NODE_DISK_SIZE);
    let disk_type = read.read(&table::NODE_DISK_TYPE, parse::name);
    let image = read.derive(&table::NODE_IMAGE, parse::word, image.cloned());
    let preemptible = read.boolean(&table::PREEMPTIBLE_NODE);
    let service_account = read.read(&table::NODE_SERVICE_ACCOUNT, parse::word);
    let scopes = read.read(&table::NODE_SCOPES, parse::word);
    let scopes = scopes.map(|scopes| scopes.split(',').map(str::to_owned).collect());
    let prefix = identity.prefix.as_ref();
    let minion = prefix.map(|prefix| format!("{prefix}-minion"));
    let node_prefix = read.derive(&table::NODE_PREFIX, parse::word, minion);
    let labels = read.read(&table::NODE_LABELS, parse::labels);
    let taints = read.read(&table::NODE_TAINTS, parse::taints);
    let eviction_hard = read.read(&table::EVICTION_HARD, eviction::thresholds);
    let allowed_unready = read.integer(&table::ALLOWED_UNREADY);
    if let (Some(node_prefix), Some(zone)) = (&node_prefix, &identity.zone) {
        validate::node_prefix(read, node_prefix, zone);
    }
    Some(Nodes {
        count: count?,
        machine_type: machine_type?,
        disk_gb: disk_gb?,
        disk_type: disk_type?,
        image: image?,
        preemptible: preemptible?,
        service_account,
        scopes: scopes?,
        prefix: node_prefix?,
        labels: labels.unwrap_or_default(),
        taints: taints.unwrap_or_default(),
        eviction_hard: eviction_hard.unwrap_or_default(),
        allowed_unready: allowed_unready?,
        create: create?,
        largest_group: largest_group?,
    })
}

fn quorum_reads(read: &mut Reader<'_>) -> Option<QuorumReads> {
    let wish = read.boolean(&table::QUORUM_READ);
    let origin = read.origin(&table::QUORUM_READ);
    Some(QuorumReads {
        enabled: wish.unwrap_or(true),
        set_by: (origin != Origin::Unset).then(|| origin.to_string()),
    })
}

fn kube_up(read: &mut Reader<'_>) -> Option<KubeUpMode> {
    let replicate_existing = read.boolean(&table::REPLICATE_EXISTING);
    let use_existing = read.boolean(&table::USE_EXISTING);
    let delete_nodes = read.boolean(&table::DELETE_NODES);
    let replica_name = read.read(&table::REPLICA_NAME, parse::name);
    if replicate_existing == Some(true) && use_existing == Some(true) {
        validate::one_mode(read);
    }
    Some(KubeUpMode {
        replicate_existing: replicate_existing?,
        use_existing: use_existing?,
        replica_name,
        delete_nodes: delete_nodes?,
    })
}

fn lifetimes(read: &mut Reader<'_>) -> Option<Lifetimes> {
    let ca_days = read.integer(&table::CA_DAYS);
    let leaf_days = read.integer(&table::CERT_DAYS);
    let lifetimes = Lifetimes {
        ca_days: ca_days?,
        leaf_days: leaf_days?,
    };
    validate::lifetimes(read, lifetimes);
    Some(lifetimes)
}

/// Other providers hold the endpoint's address themselves.
fn endpoint(read: &mut Reader<'_>, is_own: bool) -> Option<SocketAddr> {
    let endpoint = read.read(&table::ENDPOINT, parse::socket);
    if endpoint.is_some() && !is_own {
        read.object(
            &table::ENDPOINT,
            "it is only for libvirt and hosts: other providers hold the endpoint's address themselves",
        );
    }
    endpoint
}

fn load_balancer(read: &mut Reader<'_>) -> Option<LoadBalancer> {
    read.read(&table::LOAD_BALANCER, str::parse)
}

fn timeout(read: &mut Reader<'_>) -> Option<Duration> {
    let seconds = read.integer::<u64>(&table::INITIALIZATION_TIMEOUT);
    let derived = seconds.map(|seconds| format!("{seconds}s"));
    read.derive(&table::TIMEOUT, parse::duration, derived)
}

fn home(
    read: &mut Reader<'_>,
    directories: &Directories<'_>,
    state_home: Option<&str>,
) -> Option<PathBuf> {
    // The XDG specification requires relative paths in its variables to be ignored.
    let state = match state_home.filter(|path| path.starts_with('/')) {
        Some(state) => Some(PathBuf::from(state)),
        None => directories.home.map(|home| home.join(".local/state")),
    };
    let derived = state.map(|state| state.join("hakube").to_string_lossy().into_owned());
    let home = read.derive(&table::HOME, |text| directories.resolve(text), derived);
    if read.origin(&table::HOME) == Origin::Unset {
        read.missing(&table::HOME, "there is no home directory for its default");
    }
    home
}

/// The setting's location, or this directory of hakube's home.
fn location(
    read: &mut Reader<'_>,
    directories: &Directories<'_>,
    setting: &'static table::Setting,
    home: Option<&Path>,
    name: &str,
) -> Option<Location> {
    let derived = home.map(|home| Location::Directory(home.join(name)).to_string());
    read.derive(
        setting,
        |url| match Location::parse(url).map_err(Malformed::new)? {
            Location::Directory(path) => {
                let path = directories.resolve(&path.to_string_lossy())?;
                Ok(Location::Directory(path))
            }
            elsewhere => Ok(elsewhere),
        },
        derived,
    )
}

fn seal(read: &mut Reader<'_>, directories: &Directories<'_>) -> SealKeys {
    let recipients = read.read(&table::STATE_RECIPIENTS, parse::recipients);
    let identities = read.read(&table::STATE_IDENTITY, |text| {
        directories.resolve_list(text)
    });
    let passphrases = read.read(&table::STATE_PASSPHRASE, |text| directories.resolve(text));
    SealKeys {
        recipients: recipients.unwrap_or_default(),
        identities: identities.unwrap_or_default(),
        passphrases,
    }
}

fn kubeconfig(read: &mut Reader<'_>, directories: &Directories<'_>) -> Option<Vec<PathBuf>> {
    let is_flag = read.is_flag(&table::KUBECONFIG);
    read.read(&table::KUBECONFIG, |text| {
        if is_flag {
            directories.resolve(text).map(|path| vec![path])
        } else {
            directories.resolve_list(text)
        }
    })
}
