//! The contract of [`hakube_provider::Provider`]'s methods, as tests that run on any provider.
//!
//! ```ignore
//! #[tokio::test]
//! async fn the_contract_is_kept() {
//!     hakube_contract::contract(async || MyWorld::new().await).await;
//! }
//! ```
//!
//! Each case has its own, empty world. Cases require only what the contract promises. What a
//! provider does beyond that is covered by its own tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;

pub use cases::delete_all;

use async_trait::async_trait;
use hakube_provider::{
    AddressSpec, BalancerSpec, ExternalAddress, FirewallSpec, MachineRef, MachineSpec, NetworkSpec,
    NodeGroupSpec, Provider, Reach, ResourceKind,
};
use std::sync::Arc;

/// A provider's environment, empty at first.
#[async_trait]
pub trait World: Send + Sync {
    /// The provider, connected as by another process: without knowledge of earlier calls.
    async fn provider(&self) -> Arc<dyn Provider>;

    /// The resources to create, in terms that the provider understands.
    fn wanted(&self) -> Wanted;

    /// Switches a machine off like a power cut. Returns false if the provider can't switch it on
    /// again, because someone has to do that on site.
    async fn switch_off(&self, _machine: &MachineRef) -> bool {
        false
    }

    /// Whether machines exist beforehand, with their own names, ssh servers and shared address.
    fn has_machines_already(&self) -> bool {
        false
    }
}

/// The resources of one cluster.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The network.
    pub network: NetworkSpec,
    /// The endpoint's address.
    pub address: AddressSpec,
    /// A machine, with a data disk if the provider has them.
    pub machine: MachineSpec,
    /// A group of machines.
    pub group: NodeGroupSpec,
    /// A firewall rule, if the provider has them.
    pub firewall: Option<FirewallSpec>,
    /// A balancer without backends, if the provider has them.
    pub balancer: Option<BalancerSpec>,
}

impl Wanted {
    /// The same resources, under the same names, for another cluster.
    #[must_use]
    pub fn of(mut self, cluster: &str) -> Self {
        let each = [
            &mut self.network.cluster,
            &mut self.address.cluster,
            &mut self.machine.cluster,
            &mut self.group.machine.cluster,
        ];
        for name in each {
            cluster.clone_into(name);
        }
        for name in self.firewall.iter_mut().map(|rule| &mut rule.cluster) {
            cluster.clone_into(name);
        }
        for name in self
            .balancer
            .iter_mut()
            .map(|balancer| &mut balancer.cluster)
        {
            cluster.clone_into(name);
        }
        self
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.machine.cluster
    }
}

/// An address that is reachable from anywhere.
pub fn address_spec(cluster: &str, name: &str) -> AddressSpec {
    AddressSpec {
        cluster: cluster.into(),
        name: name.into(),
        reach: Reach::Anywhere,
        wanted: None,
    }
}

/// A network whose ranges the provider chooses.
pub fn network_spec(cluster: &str, name: &str) -> NetworkSpec {
    NetworkSpec {
        cluster: cluster.into(),
        name: name.into(),
        subnetwork: None,
    }
}

/// A machine without anything that it can do without, for tests to add to.
pub fn machine_spec(cluster: &str, name: &str, zone: &str) -> MachineSpec {
    MachineSpec {
        cluster: cluster.into(),
        machine: MachineRef {
            name: name.into(),
            zone: zone.into(),
        },
        machine_type: String::new(),
        image: String::new(),
        image_sha256: None,
        boot_disk_gb: 20,
        boot_disk_kind: String::new(),
        data_disk: None,
        network: "default".into(),
        subnetwork: None,
        external: ExternalAddress::None,
        alias: None,
        tags: Vec::new(),
        labels: [("role".to_owned(), "replica".to_owned())].into(),
        preemptible: false,
        min_cpu_platform: None,
        service_account: None,
        scopes: Vec::new(),
        user_data: "#cloud-config\n{}\n".into(),
        login: None,
    }
}

/// A group of such machines.
pub fn group_spec(machine: MachineSpec, template: &str, size: u32) -> NodeGroupSpec {
    NodeGroupSpec {
        name: machine.machine.name.clone(),
        template: template.to_owned(),
        size,
        leaving: Vec::new(),
        machine,
    }
}

/// Runs every case, each in its own world. Prints each case's name and panics at the first failure.
pub async fn contract<W: World>(world: impl AsyncFn() -> W) {
    macro_rules! run {
        ($($case:ident),+ $(,)?) => {
            $(
                eprintln!("contract: {}", stringify!($case));
                cases::$case(&world().await).await;
            )+
        };
    }
    run!(
        an_empty_world_has_nothing,
        created_resources_are_found_by_another_process,
        a_second_call_changes_nothing,
        all_methods_report_a_machine_alike,
        a_missing_resource_is_none_and_deleting_it_succeeds,
        resources_of_another_cluster_are_protected,
        clusters_with_a_common_prefix_are_distinct,
        clusters_of_the_same_name_are_distinct,
        a_data_disk_outlives_its_machine,
        a_stopped_machine_is_reported_and_restarted_unchanged,
        a_lost_address_is_reserved_again_or_none_is,
        a_group_has_the_requested_size,
        everything_can_be_deleted_and_recreated,
        preflight_passes_if_creation_would,
    );
}

/// An order in which everything can be deleted: users of a resource come before it.
const DELETION: [ResourceKind; 13] = [
    ResourceKind::ForwardingRule,
    ResourceKind::BackendService,
    ResourceKind::HealthCheck,
    ResourceKind::BackendGroup,
    ResourceKind::NodeGroup,
    ResourceKind::MachineTemplate,
    ResourceKind::Machine,
    ResourceKind::Disk,
    ResourceKind::Image,
    ResourceKind::Address,
    ResourceKind::Firewall,
    ResourceKind::Subnetwork,
    ResourceKind::Network,
];
