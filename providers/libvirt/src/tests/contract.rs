//! The provider contract.

use super::life::address_spec;
use super::stage::{CLUSTER, World, ZONE};
use async_trait::async_trait;
use hakube_contract::{Wanted, contract};
use hakube_provider::{MachineRef, Provider};
use std::sync::Arc;

#[async_trait]
impl hakube_contract::World for World {
    async fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(World::provider(self))
    }

    async fn switch_off(&self, machine: &MachineRef) -> bool {
        let driver = self.stage();
        driver.real().destroy_domain(&machine.name).unwrap();
        true
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            network: hakube_contract::network_spec(CLUSTER, "default"),
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
