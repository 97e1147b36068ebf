//! What every provider must do, by the Compute Engine provider over the local cloud.

use crate::support::Home;
use async_trait::async_trait;
use hakube_contract::{Wanted, World, contract};
use hakube_gce::{Auth, Gce, GceConfig, Patience, PollPace};
use hakube_provider::{
    AddressSpec, BalancerSpec, DiskSpec, ExternalAddress, FirewallSource, FirewallSpec, MachineRef,
    MachineSpec, NetworkSpec, NodeGroupSpec, OperationKey, Provider, Reach,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const CLUSTER: &str = "kubernetes";
const ZONE: &str = "europe-west1-b";

/// A local cloud, with nothing in it.
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
        cluster: CLUSTER.into(),
        machine: MachineRef {
            name: name.into(),
            zone: ZONE.into(),
        },
        machine_type: "e2-standard-2".into(),
        image: "projects/debian-cloud/global/images/family/debian-12".into(),
        image_sha256: None,
        boot_disk_gb: 20,
        boot_disk_kind: "pd-standard".into(),
        data_disk: None,
        network: "default".into(),
        subnetwork: None,
        external: ExternalAddress::Ephemeral,
        alias: None,
        tags: vec!["replica".into()],
        labels: [("role".to_owned(), "replica".to_owned())].into(),
        preemptible: false,
        min_cpu_platform: None,
        service_account: None,
        scopes: Vec::new(),
        user_data: "#cloud-config\n{}\n".into(),
        login: None,
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

    fn wanted(&self) -> Wanted {
        let group = machine("kubernetes-minion-group");
        Wanted {
            network: NetworkSpec {
                cluster: CLUSTER.into(),
                name: "default".into(),
                subnetwork: None,
            },
            address: AddressSpec {
                cluster: CLUSTER.into(),
                name: "kubernetes-master-ip".into(),
                reach: Reach::Anywhere,
            },
            machine: MachineSpec {
                data_disk: Some(DiskSpec {
                    name: "kubernetes-master-pd".into(),
                    device: "master-pd".into(),
                    size_gb: 20,
                    kind: "pd-ssd".into(),
                }),
                ..machine("kubernetes-master")
            },
            group: NodeGroupSpec {
                name: "kubernetes-minion-group".into(),
                template: "kubernetes-minion-template".into(),
                size: 2,
                leaving: Vec::new(),
                machine: group,
            },
            firewall: Some(FirewallSpec {
                cluster: CLUSTER.into(),
                name: "kubernetes-master-https".into(),
                network: "default".into(),
                source: FirewallSource::Tags(vec!["minion".into()]),
                target_tag: "replica".into(),
                tcp_ports: vec!["6443".into()],
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
