//! The provider contract, on hosts.

use crate::stage::{group, machine, sh, stage};
use async_trait::async_trait;
use hakube_contract::{Wanted, World, contract};
use hakube_hosts::{Hosts, HostsConfig};
use hakube_provider::Provider;
use std::sync::Arc;

struct Racks(HostsConfig);

#[async_trait]
impl World for Racks {
    async fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(Hosts::new(self.0.clone()))
    }

    fn wanted(&self) -> Wanted {
        let cluster = "contract";
        Wanted {
            network: hakube_contract::network_spec(cluster, "hosts"),
            address: hakube_contract::address_spec(cluster, "contract-ip"),
            machine: machine(cluster, "h1", "rack-a"),
            group: group(cluster, "rack-a", 2),
            firewall: None,
            balancer: None,
        }
    }

    fn has_machines_already(&self) -> bool {
        true
    }
}

#[test]
fn the_contract_is_kept() {
    let names = ["h1", "h2", "h3", "h4", "h5", "h6"];
    let Some(stage) = stage("hosts-contract", &names) else {
        return;
    };
    let (config, hosts) = (stage.config(), stage.hosts.clone());
    stage.run(async move |_| {
        contract(async || {
            // Each case starts with free hosts.
            for host in &hosts {
                sh(
                    host,
                    "[ ! -e /var/lib/hakube/give-back ] || sh /var/lib/hakube/give-back",
                );
            }
            Racks(config.clone())
        })
        .await;
    });
}
