//! What every provider must do: the contracts of [`hakube_provider::Provider`]'s methods, as tests that run over
//! any of them.
//!
//! ```ignore
//! #[tokio::test]
//! async fn the_contract_is_kept() {
//!     hakube_contract::contract(async || MyWorld::new().await).await;
//! }
//! ```
//!
//! A case has a world of its own, with nothing in it. Cases ask only for what the contracts promise: what one
//! provider does beyond them, its own tests say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;

use async_trait::async_trait;
use hakube_provider::{
    AddressSpec, BalancerSpec, FirewallSpec, MachineSpec, NetworkSpec, NodeGroupSpec, Provider,
    ResourceKind,
};
use std::sync::Arc;

/// A place in which a provider makes things, empty at first.
#[async_trait]
pub trait World: Send + Sync {
    /// The provider, connected as another process would be: it knows nothing of what came before.
    async fn provider(&self) -> Arc<dyn Provider>;

    /// What the provider is asked for, in words that it understands.
    fn wanted(&self) -> Wanted;

    /// Whether the provider makes no machines: they are there already, with names, ssh servers and an address to share
    /// of their own.
    fn has_machines_already(&self) -> bool {
        false
    }
}

/// What a provider is asked for, for one cluster.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The network.
    pub network: NetworkSpec,
    /// The endpoint's address.
    pub address: AddressSpec,
    /// A machine, with a data disk where the provider has them.
    pub machine: MachineSpec,
    /// A group of machines.
    pub group: NodeGroupSpec,
    /// A firewall rule, where the provider has them.
    pub firewall: Option<FirewallSpec>,
    /// A balancer without backends, where the provider has them.
    pub balancer: Option<BalancerSpec>,
}

impl Wanted {
    /// The same for another cluster, under the same names.
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

/// Runs every case, each in a world of its own. Panics at the first that isn't kept, with its name.
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
        what_was_made_is_found_by_another_process,
        a_second_call_changes_nothing,
        a_machine_is_told_alike_by_every_method,
        what_isnt_there_is_none_and_its_deletion_a_success,
        another_clusters_mark_protects,
        a_cluster_whose_name_begins_alike_is_another,
        a_data_disk_outlives_its_machine,
        a_group_has_as_many_as_it_was_asked_for,
        all_is_gone_at_the_end,
        nothing_is_in_the_way_of_what_can_be_made,
    );
}

/// An order in which everything can be deleted: what uses something goes before it.
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
