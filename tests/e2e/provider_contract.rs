//! The contract of all providers, tested with the Compute Engine provider and the local cloud.

use crate::support::Home;
use async_trait::async_trait;
use hakube_contract::{Wanted, World, contract, group_spec, machine_spec};
use hakube_gce::{Auth, Gce, GceConfig, Patience, PollPace};
use hakube_provider::{
    BalancerSpec, DiskSpec, ExternalAddress, FirewallSource, FirewallSpec, MachineRef, MachineSpec,
    OperationKey, Provider, Reach,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const CLUSTER: &str = "kubernetes";
const ZONE: &str = "europe-west1-b";

/// An empty local cloud.
struct Cloud {
    home: Home,
    processes: AtomicU32,
}

impl Cloud {
    async fn start() -> Self {
        let home = Home::new();
        home.run("local start").await.succeeded();
        Self {
            home,
            processes: AtomicU32::new(0),
        }
    }
}

fn machine(name: &str) -> MachineSpec {
    MachineSpec {
        machine_type: "e2-standard-2".into(),
        image: "projects/debian-cloud/global/images/family/debian-12".into(),
        boot_disk_kind: "pd-standard".into(),
        external: ExternalAddress::Ephemeral,
        tags: vec!["replica".into()],
        ..machine_spec(CLUSTER, name, ZONE)
    }
}

#[async_trait]
impl World for Cloud {
    async fn provider(&self) -> Arc<dyn Provider> {
        let status = self.home.cloud().status().await.unwrap().unwrap();
        let process = self.processes.fetch_add(1, Ordering::Relaxed);
        let gce = Gce::connect(GceConfig {
            network_project: status.project.clone(),
            firewalls: true,
            project: status.project,
            region: "europe-west1".into(),
            endpoint: Some(status.url),
            resource_manager: None,
            auth: Auth::TokenFile(status.token_file),
            poll: PollPace {
                first: Duration::from_millis(2),
                max: Duration::from_millis(50),
            },
            patience: Patience::default(),
            operation: OperationKey {
                id: format!("contract-{process}"),
                resumed: false,
            },
        });
        Arc::new(gce.await.unwrap())
    }

    async fn switch_off(&self, machine: &MachineRef) -> bool {
        self.home.kill_machine(&machine.name).await;
        true
    }

    fn wanted(&self) -> Wanted {
        let group = machine("kubernetes-minion-group");
        Wanted {
            network: hakube_contract::network_spec(CLUSTER, "default"),
            address: hakube_contract::address_spec(CLUSTER, "kubernetes-master-ip"),
            machine: MachineSpec {
                data_disk: Some(DiskSpec {
                    name: "kubernetes-master-pd".into(),
                    device: "master-pd".into(),
                    size_gb: 20,
                    kind: "pd-ssd".into(),
                }),
                ..machine("kubernetes-master")
            },
            group: group_spec(group, "kubernetes-minion-template", 2),
            firewall: Some(FirewallSpec {
                cluster: CLUSTER.into(),
                name: "kubernetes-master-https".into(),
                network: "default".into(),
                source: FirewallSource::Tags(vec!["minion".into()]),
                target_tag: "replica".into(),
                tcp_ports: vec!["6443".into()],
                udp_ports: Vec::new(),
            }),
            balancer: Some(BalancerSpec {
                cluster: CLUSTER.into(),
                name: "kubernetes-master".into(),
                network: "default".into(),
                reach: Reach::Anywhere,
                port: 6443,
                health_path: "/readyz".into(),
                backends: Vec::new(),
            }),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept() {
    contract(Cloud::start).await;
}
