//! Preflight.

use crate::support::{CLUSTER, Cloud, GLOBAL, MARK, PROJECT, REGION, ZONE, failure, machine_spec};
use hakube_provider::{
    AddressSpec, ErrorKind, ExternalAddress, FirewallSource, FirewallSpec, MachineSpec,
    PreflightSpec, Provider,
};
use serde_json::{Value, json};

const IMAGE: &str = "/compute/v1/projects/debian-cloud/global/images/family/debian-12";

/// A project with sufficient quota, a region with a zone that is up and one that is down, a zone
/// elsewhere, and what a machine needs.
pub async fn cloud(quotas: Value) -> Cloud {
    let cloud = Cloud::start().await;
    let url = "https://www.googleapis.com/compute/v1/projects/p/regions";
    let zone = |(name, region, status): (&str, &str, &str)| json!({"name": name, "region": format!("{url}/{region}"), "status": status});
    let zones: Vec<Value> = [
        ("europe-west1-b", "europe-west1", "UP"),
        ("europe-west1-c", "europe-west1", "DOWN"),
        ("us-central1-a", "us-central1", "UP"),
    ]
    .map(zone)
    .to_vec();
    let subnetwork = json!({"name": "sub", "network": "projects/p/global/networks/default"});
    for (at, resource) in [
        (
            PROJECT.to_owned(),
            json!({"name": "p", "quotas": [quota("CPUS_ALL_REGIONS", 32.0, 29.0), quota("IN_USE_ADDRESSES", 0.0, 0.0)]}),
        ),
        (
            REGION.to_owned(),
            json!({"name": "europe-west1", "quotas": quotas}),
        ),
        (format!("{PROJECT}/zones"), json!({"items": zones})),
        (
            format!("{ZONE}/machineTypes/e2-standard-2"),
            json!({"name": "e2-standard-2", "guestCpus": 2}),
        ),
        (
            IMAGE.to_owned(),
            json!({"name": "debian-12-v1", "diskSizeGb": "10"}),
        ),
        (format!("{REGION}/subnetworks/sub"), subnetwork),
    ] {
        cloud.has(at, resource).await;
    }
    cloud
}

fn machine(zone: &str) -> MachineSpec {
    let mut machine = machine_spec();
    machine.machine.zone = zone.into();
    machine
}

fn machines(machines: &[MachineSpec]) -> PreflightSpec {
    PreflightSpec {
        machines: machines.to_vec(),
        ..PreflightSpec::default()
    }
}

async fn findings(cloud: &Cloud, spec: &PreflightSpec) -> Vec<String> {
    let findings = cloud.gce.preflight(spec).await.unwrap();
    cloud.is_untouched().await;
    findings.iter().map(ToString::to_string).collect()
}

fn quota(metric: &str, limit: f64, usage: f64) -> Value {
    json!({"metric": metric, "limit": limit, "usage": usage})
}

#[tokio::test]
async fn a_project_with_quota_has_no_findings() {
    let cloud = cloud(json!([quota("CPUS", 24.0, 22.0)])).await;
    let spec = machines(&[machine("europe-west1-b")]);
    assert_eq!(findings(&cloud, &spec).await, Vec::<String>::new());
}

#[tokio::test]
async fn everything_is_found_at_once() {
    let cloud = cloud(json!([])).await;
    let mut giant = machine("europe-west1-b");
    giant.machine_type = "e2-giant".into();
    giant.image = "projects/debian-cloud/global/images/family/debian-99".into();
    giant.subnetwork = Some("elsewhere".into());
    let mut small = machine("europe-west1-b");
    small.boot_disk_gb = 8;
    let zones = ["europe-west1-c", "us-central1-a", "mars-north1-b"].map(machine);
    let spec = machines(&[vec![giant, small], zones.to_vec()].concat());
    assert_eq!(
        findings(&cloud, &spec).await,
        [
            "could not use zone europe-west1-c: Compute Engine reports that it is down",
            "could not use zone mars-north1-b: the zone doesn't exist",
            "could not use zone us-central1-a: it is in region us-central1, but the cluster is in europe-west1",
            "could not use machine type e2-giant in europe-west1-b: the zone doesn't have this machine type",
            "could not use image projects/debian-cloud/global/images/family/debian-12: it needs a boot disk of 10 GB, but the machine's has 8 GB",
            "could not use image projects/debian-cloud/global/images/family/debian-99: project debian-cloud doesn't have this image or family, or doesn't share it",
            "could not use subnetwork elsewhere in europe-west1: the subnetwork doesn't exist",
        ]
    );
}

#[tokio::test]
async fn an_exceeded_quota_is_found_with_its_numbers() {
    let cloud = cloud(json!([
        quota("CPUS", 24.0, 21.0),
        quota("SSD_TOTAL_GB", 500.0, 480.0),
        quota("DISKS_TOTAL_GB", 100.0, 61.0),
        quota("STATIC_ADDRESSES", 8.0, 8.0),
        quota("IN_USE_ADDRESSES", 8.0, 7.0),
        quota("INSTANCES", 72.0, 0.0),
        // A metric that this client version doesn't know.
        quota("QUBITS", 0.0, 0.0),
    ]))
    .await;
    let mut second = machine("europe-west1-b");
    second.machine.name = "m-2".into();
    second.data_disk = None;
    second.external = ExternalAddress::None;
    let mut spec = machines(&[machine("europe-west1-b"), second]);
    spec.addresses = vec![address()];
    assert_eq!(
        findings(&cloud, &spec).await,
        // The project's address quota is for global addresses, which aren't used.
        [
            "could not stay within quota CPUS_ALL_REGIONS of project p: 4 needed, but only 3 of 32 left",
            "could not stay within quota CPUS of region europe-west1: 4 needed, but only 3 of 24 left",
            "could not stay within quota DISKS_TOTAL_GB of region europe-west1: 40 needed, but only 39 of 100 left",
            "could not stay within quota STATIC_ADDRESSES of region europe-west1: 1 needed, but only 0 of 8 left",
        ]
    );
}

#[tokio::test]
async fn existing_resources_need_no_quota() {
    let cloud = cloud(json!([
        quota("STATIC_ADDRESSES", 8.0, 8.0),
        quota("INSTANCES", 1.0, 1.0)
    ]))
    .await;
    let ip = json!({"name": "ip", "description": MARK, "address": "203.0.113.7"});
    cloud.has(format!("{REGION}/addresses/ip"), ip).await;
    let own = json!({"name": "m-1", "labels": {"hakube-cluster": CLUSTER}});
    cloud.has(format!("{ZONE}/instances/m-1"), own).await;
    let mut spec = machines(&[machine("europe-west1-b")]);
    spec.addresses = vec![address()];
    assert_eq!(findings(&cloud, &spec).await, Vec::<String>::new());
}

fn address() -> AddressSpec {
    hakube_contract::address_spec(CLUSTER, "ip")
}

pub fn firewall(name: &str) -> FirewallSpec {
    FirewallSpec {
        cluster: CLUSTER.into(),
        name: name.into(),
        network: "default".into(),
        source: FirewallSource::Tags(vec!["a".into()]),
        target_tag: "b".into(),
        tcp_ports: vec!["443".into()],
        udp_ports: Vec::new(),
    }
}

#[tokio::test]
async fn names_in_use_are_found() {
    let cloud = cloud(json!([])).await;
    let ip = json!({"name": "ip", "description": "the shop's", "address": "203.0.113.7"});
    cloud.has(format!("{REGION}/addresses/ip"), ip).await;
    let other = json!({"name": "m-1", "labels": {"hakube-cluster": "kubernetes2"}});
    cloud.has(format!("{ZONE}/instances/m-1"), other).await;
    let rule = json!({"name": "rule", "description": MARK, "network": "global/networks/other"});
    cloud.has(format!("{GLOBAL}/firewalls/rule"), rule).await;
    let mut spec = machines(&[machine("europe-west1-b")]);
    spec.addresses = vec![address()];
    spec.firewalls = vec![firewall("rule"), firewall("new")];
    assert_eq!(
        findings(&cloud, &spec).await,
        [
            "could not create firewall rule: it exists in network other, not in default, and a rule can't be moved",
            "could not create address ip in europe-west1: it exists, but isn't owned by cluster kubernetes (its description: the shop's)",
            "could not create machine m-1 in europe-west1-b: it belongs to cluster kubernetes2, not to cluster kubernetes",
        ]
    );
}

#[tokio::test]
async fn names_and_metadata_over_the_limits_are_found() {
    let cloud = cloud(json!([])).await;
    let mut long = machine("europe-west1-b");
    long.machine.name = "m".repeat(64);
    long.user_data = "x".repeat(262_145);
    let found = findings(&cloud, &machines(&[long])).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].ends_with("its name has 64 characters; the maximum is 63"));
    assert!(found[1].contains("its user data has 262145 bytes"));
}

#[tokio::test]
async fn a_wrong_token_is_found_once() {
    let cloud = cloud(json!([])).await;
    let refused = failure(401, "authError", "Invalid Credentials");
    cloud.answers("GET", PROJECT, refused, 2).await;
    let spec = machines(&[machine("europe-west1-b")]);
    let findings = cloud.gce.preflight(&spec).await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_project_that_cannot_be_used_is_one_finding() {
    let disabled = "Compute Engine API has not been used in project 42 before or it is disabled.";
    for (answer, kind, hint) in [
        (
            failure(404, "notFound", "The resource 'projects/p' was not found"),
            ErrorKind::Invalid,
            "gcloud projects list",
        ),
        (
            failure(403, "accessNotConfigured", disabled),
            ErrorKind::Denied,
            "gcloud services enable compute.googleapis.com",
        ),
        (
            failure(403, "SERVICE_DISABLED", disabled),
            ErrorKind::Denied,
            "gcloud services enable compute.googleapis.com",
        ),
    ] {
        let cloud = cloud(json!([])).await;
        cloud.answers("GET", PROJECT, answer, 1).await;
        let spec = machines(&[machine("mars-north1-b")]);
        let findings = cloud.gce.preflight(&spec).await.unwrap();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].kind, kind);
        let given = findings[0].hint.as_deref().unwrap();
        assert!(given.contains(hint), "{given}");
    }
}

#[tokio::test]
async fn a_missing_permission_is_found_among_others() {
    let cloud = cloud(json!([])).await;
    let denied = "Required 'compute.images.getFromFamily' permission for 'projects/debian-cloud/global/images/family/debian-12'";
    cloud
        .answers("GET", IMAGE, failure(403, "forbidden", denied), 1)
        .await;
    let found = findings(&cloud, &machines(&[machine("mars-north1-b")])).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[1].contains("compute.images.getFromFamily"),
        "{found:?}"
    );
}
