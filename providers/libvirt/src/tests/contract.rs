//! What every provider must do.

use super::life::address_spec;
use super::stage::{CLUSTER, World, ZONE};
use async_trait::async_trait;
use hakube_contract::{Wanted, contract};
use hakube_provider::{NetworkSpec, Provider};
use std::sync::Arc;

#[async_trait]
impl hakube_contract::World for World {
    async fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(World::provider(self))
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            network: NetworkSpec {
                cluster: CLUSTER.into(),
                name: "default".into(),
                subnetwork: None,
            },
            address: address_spec(),
            machine: self.machine("kubernetes-master", ZONE),
            group: self.group(2),
            firewall: None,
            balancer: None,
        }
    }
}

#[tokio::test]
async fn the_contract_is_kept() {
    contract(async || World::new()).await;
}
