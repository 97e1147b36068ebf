//! The provider of hosts that are there already: physical machines, or guests that others made.
//!
//! A host is leased, not made: a file on it says which cluster has it. Before the lease, everything that a cluster may
//! change is listed on the host; giving it back removes what is new since, and proves it. A machine has its host's name.

mod config;
mod document;
mod lease;
mod preflight;
mod remote;

pub use config::{Host, HostsConfig, Role};

use async_trait::async_trait;
use document::Document;
use futures::future::{join_all, try_join_all};
use hakube_provider::{
    Address, AddressSpec, BalancerSpec, EndpointSpec, EndpointTarget, ErrorKind, FirewallSpec,
    Inventory, Machine, MachineRef, MachineSpec, MachineState, NetworkSpec, NodeGroup,
    NodeGroupSpec, PreflightSpec, Provider, ProviderError, ResourceId, ResourceKind, Result, Scope,
    SshServer,
};
use lease::{Kind, Lease};
use remote::{QUICK, Remote, SLOW};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const LEASE: &str = include_str!("lease.sh");
const KEEP: &str = include_str!("keep.sh");
const RELEASE: &str = include_str!("release.sh");
/// Prints the lease, if there is one.
const LOOK: &str = "[ ! -e /etc/hakube/lease.json ] || cat /etc/hakube/lease.json";
/// The statuses by which scripts say that a host is leased, and that something is left on it.
const LEASED: u32 = 45;
const LEFT: u32 = 46;

/// The provider.
pub struct Hosts {
    remotes: Vec<Remote>,
    endpoint: Option<IpAddr>,
    calls: Arc<AtomicU64>,
}

/// What a host says of itself.
enum Found {
    Free,
    Leased(Lease),
    Unreachable(ProviderError),
}

impl Hosts {
    /// Connects to none of the hosts yet.
    pub fn new(config: HostsConfig) -> Self {
        let calls = Arc::new(AtomicU64::new(0));
        let hosts = config.hosts.into_iter();
        Self {
            remotes: hosts
                .map(|host| Remote::new(host, Arc::clone(&calls)))
                .collect(),
            endpoint: config.endpoint,
            calls,
        }
    }

    fn remote(&self, name: &str) -> Option<&Remote> {
        self.remotes.iter().find(|remote| remote.host.name == name)
    }

    fn known(&self, what: &'static str, name: &str) -> Result<&Remote> {
        self.remote(name).ok_or_else(|| {
            let message = "no host of that name is in the inventory";
            ProviderError::new(ErrorKind::Invalid, what, format!("host {name}"), message)
                .with_hint("add it, and name the file: --hosts FILE")
        })
    }

    /// All hosts at once.
    async fn look(&self) -> Vec<(&Remote, Found)> {
        join_all(self.remotes.iter().map(async |remote| {
            let found = match read_lease(remote).await {
                Ok(None) => Found::Free,
                Ok(Some(lease)) => Found::Leased(lease),
                Err(error) => Found::Unreachable(error),
            };
            (remote, found)
        }))
        .await
    }

    /// The host is the machine from here on, and has its document.
    async fn take(&self, remote: &Remote, spec: &MachineSpec, kind: Kind) -> Result<()> {
        let lease = Lease {
            cluster: spec.cluster.clone(),
            machine: remote.host.name.clone(),
            kind,
            since: jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
        };
        let text = serde_json::to_string(&lease).unwrap_or_default();
        let (status, there) = remote
            .run("lease", LEASE, &[], text.as_bytes(), (SLOW, &[LEASED]))
            .await?;
        if status == LEASED {
            let there: Lease = parse_lease(remote, &there)?;
            if !there.is_as(&lease) {
                return Err(leased_by(remote, &there));
            }
        }
        self.apply(remote, &spec.user_data).await
    }

    async fn apply(&self, remote: &Remote, user_data: &str) -> Result<()> {
        let what = "set up";
        let document = Document::parse(user_data).map_err(|problem| {
            remote.error(what, ErrorKind::Invalid, format!("its document: {problem}"))
        })?;
        let mut files = document.files;
        files.push(document::File {
            path: "/etc/hakube/machine.env".to_owned(),
            mode: 0o644,
            content: format!(
                "NODE={}\nNODE_ADDRESS={}\n",
                remote.host.name, remote.host.address
            )
            .into_bytes(),
        });
        let paths: String = files
            .iter()
            .map(|file| format!("{}\n", file.path))
            .collect();
        remote
            .run(what, KEEP, &[], paths.as_bytes(), (QUICK, &[]))
            .await?;
        put(remote, &files).await?;
        for command in &document.commands {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            // Units that wait for others start when these are there: nobody waits for that here.
            let words = match words.as_slice() {
                ["systemctl", "enable", "--now", units @ ..] => {
                    let mut words = vec!["systemctl", "enable", "--now", "--no-block"];
                    words.extend(units);
                    words
                }
                words => words.to_vec(),
            };
            remote
                .run(what, "exec \"$@\"", &words, b"", (SLOW, &[]))
                .await?;
        }
        Ok(())
    }

    async fn release(&self, cluster: &str, remote: &Remote) -> Result<()> {
        let what = "give back";
        match read_lease(remote).await? {
            None => return Ok(()),
            Some(lease) if lease.cluster != cluster => return Err(leased_by(remote, &lease)),
            Some(_) => {}
        }
        let (status, left) = remote.run(what, RELEASE, &[], b"", (SLOW, &[LEFT])).await?;
        if status == LEFT {
            let left = left.trim().replace('\n', ", ");
            return Err(remote
                .error(
                    what,
                    ErrorKind::Fatal,
                    format!("this is left on it: {left}"),
                )
                .with_hint("remove it there, then run this again"));
        }
        Ok(())
    }

    /// Free hosts of a zone that may be nodes, those for nothing else first.
    async fn free_for_nodes(&self, zone: &str) -> Vec<&Remote> {
        let look = self.look().await.into_iter();
        let mut free: Vec<&Remote> = look
            .filter(|(remote, found)| {
                let host = &remote.host;
                host.zone == zone && host.role != Role::Replica && matches!(found, Found::Free)
            })
            .map(|(remote, _)| remote)
            .collect();
        free.sort_by_key(|remote| remote.host.role != Role::Node);
        free
    }
}

async fn read_lease(remote: &Remote) -> Result<Option<Lease>> {
    let (_, text) = remote.run("read", LOOK, &[], b"", (QUICK, &[])).await?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    parse_lease(remote, &text).map(Some)
}

fn parse_lease(remote: &Remote, text: &str) -> Result<Lease> {
    serde_json::from_str(text).map_err(|error| {
        remote
            .error(
                "read",
                ErrorKind::Conflict,
                format!("its /etc/hakube/lease.json can't be read: {error}"),
            )
            .with_hint("another version of hakube may have made it; see what is in it")
    })
}

fn leased_by(remote: &Remote, lease: &Lease) -> ProviderError {
    let Lease {
        cluster,
        machine,
        since,
        ..
    } = lease;
    remote
        .error(
            "lease",
            ErrorKind::Conflict,
            format!("cluster {cluster} has it as {machine}, since {since}"),
        )
        .with_hint(
            "leave it out of the inventory, or delete that cluster: hakube down --cluster NAME",
        )
}

/// Mode, size and path of each file are arguments; contents come one after the other. All are staged beside where they
/// belong before the first gets its name. A file that is there as it should be stays.
const PUT: &str = r#"set -eu
umask 077
while [ "$#" -gt 0 ]; do
    mkdir -p "${3%/*}"
    chmod 755 "${3%/*}" 2>/dev/null || true
    new=$3.hakube-new
    head -c "$2" >"$new"
    [ "$(wc -c <"$new")" -eq "$2" ] || { rm -f "$new"; echo "the input ended within $3" >&2; exit 1; }
    chmod "$1" "$new"
    mv -f "$new" "$3"
    shift 3
done
"#;

async fn put(remote: &Remote, files: &[document::File]) -> Result<()> {
    let mut arguments: Vec<String> = Vec::new();
    let mut input = Vec::new();
    for file in files {
        arguments.extend([
            format!("{:o}", file.mode),
            file.content.len().to_string(),
            file.path.clone(),
        ]);
        input.extend_from_slice(&file.content);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    remote
        .run("set up", PUT, &arguments, &input, (SLOW, &[]))
        .await?;
    Ok(())
}

fn machine(remote: &Remote) -> Machine {
    let host = &remote.host;
    Machine {
        name: host.name.clone(),
        zone: host.zone.clone(),
        state: MachineState::Running,
        internal_address: Some(host.address),
        external_address: None,
        alias_addresses: Vec::new(),
        labels: host.labels.clone(),
    }
}

fn resource(kind: ResourceKind, zone: &str, name: &str) -> ResourceId {
    ResourceId {
        kind,
        scope: Scope::Zone(zone.to_owned()),
        name: name.to_owned(),
    }
}

fn not_here(what: &'static str, resource: &str) -> ProviderError {
    let message = "hosts have no balancer: replicas share an address, or the operator has one";
    ProviderError::new(ErrorKind::Invalid, what, resource, message)
}

#[async_trait]
impl Provider for Hosts {
    async fn preflight(&self, spec: &PreflightSpec) -> Result<Vec<ProviderError>> {
        Ok(preflight::preflight(&self.remotes, self.endpoint, spec).await)
    }

    async fn zones(&self) -> Result<Vec<String>> {
        let zones = self.remotes.iter().map(|remote| remote.host.zone.clone());
        Ok(zones.collect::<BTreeSet<_>>().into_iter().collect())
    }

    async fn free_hosts(&self) -> Result<Option<BTreeMap<String, Vec<String>>>> {
        let mut free: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut look = self.look().await;
        look.retain(|(remote, found)| {
            matches!(found, Found::Free) && remote.host.role != Role::Node
        });
        // Those that can be nothing else first.
        look.sort_by_key(|(remote, _)| remote.host.role != Role::Replica);
        for (remote, _) in look {
            let zone = free.entry(remote.host.zone.clone()).or_default();
            zone.push(remote.host.name.clone());
        }
        Ok(Some(free))
    }

    async fn inspect(&self, cluster: &str) -> Result<Inventory> {
        let mut inventory = Inventory {
            address: self.endpoint.map(|address| Address {
                name: "endpoint".to_owned(),
                address,
            }),
            ..Inventory::default()
        };
        let mut groups: BTreeMap<String, NodeGroup> = BTreeMap::new();
        for (remote, found) in self.look().await {
            let host = &remote.host;
            match found {
                Found::Free => {}
                Found::Leased(lease) if lease.cluster != cluster => {}
                Found::Leased(Lease {
                    kind: Kind::Replica,
                    ..
                }) => {
                    inventory.machines.push(machine(remote));
                    let id = resource(ResourceKind::Machine, &host.zone, &host.name);
                    inventory.resources.push(id);
                }
                Found::Leased(Lease {
                    kind: Kind::Node { group, template },
                    ..
                }) => {
                    let group = groups.entry(group.clone()).or_insert_with(|| NodeGroup {
                        name: group,
                        zone: host.zone.clone(),
                        size: 0,
                        template,
                        machines: Vec::new(),
                    });
                    group.size += 1;
                    group.machines.push(host.name.clone());
                }
                Found::Unreachable(error) => {
                    inventory
                        .unreachable_machines
                        .insert(host.name.clone(), error.message);
                }
            }
        }
        for group in groups.values() {
            let id = resource(ResourceKind::NodeGroup, &group.zone, &group.name);
            inventory.resources.push(id);
        }
        inventory.node_groups = groups.into_values().collect();
        Ok(inventory)
    }

    async fn ensure_network(&self, _: &NetworkSpec) -> Result<()> {
        Ok(())
    }

    async fn ensure_firewall(&self, _: &FirewallSpec) -> Result<()> {
        Ok(())
    }

    async fn ensure_address(&self, spec: &AddressSpec) -> Result<Address> {
        let address = self.endpoint.ok_or_else(|| {
            let message = "the inventory has no endpoint";
            ProviderError::new(ErrorKind::Invalid, "reserve", "address", message)
        })?;
        Ok(Address {
            name: spec.name.clone(),
            address,
        })
    }

    async fn ensure_machine(&self, spec: &MachineSpec) -> Result<Machine> {
        let remote = self.known("lease", &spec.machine.name)?;
        self.take(remote, spec, Kind::Replica).await?;
        Ok(machine(remote))
    }

    async fn ensure_balancer(&self, spec: &BalancerSpec) -> Result<()> {
        Err(not_here("make", &spec.name))
    }

    async fn point_endpoint(&self, spec: &EndpointSpec, _: &EndpointTarget) -> Result<()> {
        Err(not_here("move", &spec.address))
    }

    async fn ensure_node_group(&self, spec: &NodeGroupSpec) -> Result<()> {
        let zone = &spec.machine.machine.zone;
        let kind = || Kind::Node {
            group: spec.name.clone(),
            template: spec.template.clone(),
        };
        let mut mine: Vec<&Remote> = Vec::new();
        for (remote, found) in self.look().await {
            if let Found::Leased(lease) = found
                && lease.cluster == spec.machine.cluster
                && matches!(&lease.kind, Kind::Node { group, .. } if *group == spec.name)
            {
                mine.push(remote);
            }
        }
        let size = spec.size as usize;
        let leaving = mine.split_off(size.min(mine.len()));
        let missing = size - mine.len();
        if missing > 0 {
            let free = self.free_for_nodes(zone).await;
            if free.len() < missing {
                let message = format!(
                    "{missing} more hosts are needed in {zone}, and {} are free for nodes",
                    free.len()
                );
                return Err(ProviderError::new(
                    ErrorKind::NoCapacity,
                    "make",
                    format!("node group {}", spec.name),
                    message,
                )
                .with_hint("add hosts to the inventory, with role node or any: --hosts FILE"));
            }
            mine.extend(&free[..missing]);
        }
        // A host that was leased and not finished gets its document too.
        try_join_all(
            mine.iter()
                .map(|remote| self.take(remote, &spec.machine, kind())),
        )
        .await?;
        let cluster = &spec.machine.cluster;
        try_join_all(leaving.iter().map(|remote| self.release(cluster, remote))).await?;
        Ok(())
    }

    async fn delete(&self, cluster: &str, resource: &ResourceId) -> Result<()> {
        match resource.kind {
            ResourceKind::Machine => match self.remote(&resource.name) {
                Some(remote) => self.release(cluster, remote).await,
                None => Ok(()),
            },
            ResourceKind::NodeGroup => {
                let look = self.look().await.into_iter();
                let of_group = look.filter_map(|(remote, found)| match found {
                    Found::Leased(Lease {
                        kind: Kind::Node { group, .. },
                        ..
                    }) if group == resource.name => Some(remote),
                    _ => None,
                });
                try_join_all(of_group.map(|remote| self.release(cluster, remote))).await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn machine(&self, wanted: &MachineRef) -> Result<Option<Machine>> {
        let Some(remote) = self.remote(&wanted.name) else {
            return Ok(None);
        };
        Ok(read_lease(remote).await?.map(|_| machine(remote)))
    }

    async fn ssh_server(&self, machine: &MachineRef) -> Result<Option<SshServer>> {
        let remote = self.remote(&machine.name);
        Ok(remote.map(|remote| remote.host.server.clone()))
    }

    async fn console(&self, machine: &MachineRef) -> Result<String> {
        let remote = self.known("read", &machine.name)?;
        let script = "journalctl --boot --no-pager --output=short --lines=30 --unit='artifacts*' --unit='etcd*' \
             --unit='kube*' --unit='containerd*' 2>&1 || true";
        let (_, text) = remote.run("read", script, &[], b"", (QUICK, &[])).await?;
        Ok(text)
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
