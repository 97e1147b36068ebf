//! Missing permissions, found before anything is created.

use crate::balancer::balancer;
use crate::preflight::{cloud, firewall};
use crate::private::endpoint;
use crate::support::{CLUSTER, Cloud, failure, machine_spec, ok};
use hakube_provider::{
    AddressSpec, ErrorKind, MachineSpec, NetworkSpec, NodeGroupSpec, PreflightSpec, Provider,
    ProviderError, Reach,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wiremock::ResponseTemplate;

const QUERY: &str = "/v3/projects/p:testIamPermissions";

fn spec(reach: Reach, machines: &[MachineSpec]) -> PreflightSpec {
    PreflightSpec {
        addresses: vec![AddressSpec {
            cluster: CLUSTER.into(),
            name: "ip".into(),
            reach,
            wanted: None,
        }],
        machines: machines.to_vec(),
        ..PreflightSpec::default()
    }
}

async fn findings(cloud: &Cloud, spec: &PreflightSpec) -> Vec<ProviderError> {
    let gce = cloud.with_permissions().await;
    gce.preflight(spec).await.unwrap()
}

/// The permissions that were queried.
async fn queried(cloud: &Cloud) -> BTreeSet<String> {
    let body = cloud.body(QUERY).await;
    serde_json::from_value(body["permissions"].clone()).unwrap()
}

async fn answers(cloud: &Cloud, answer: ResponseTemplate) {
    cloud.answers("POST", QUERY, answer, 100).await;
}

fn granted(permissions: &BTreeSet<String>) -> ResponseTemplate {
    ok(json!({"permissions": permissions}))
}

/// All permissions that the spec needs.
async fn needed(spec: &PreflightSpec) -> BTreeSet<String> {
    let cloud = cloud(json!([])).await;
    answers(&cloud, ok(json!({}))).await;
    findings(&cloud, spec).await;
    queried(&cloud).await
}

#[tokio::test]
async fn missing_permissions_are_one_finding_among_others() {
    let mut machine = machine_spec();
    machine.machine_type = "e2-giant".into();
    let spec = spec(Reach::Anywhere, &[machine]);
    let mut has = needed(&spec).await;
    assert!(has.remove("compute.addresses.create") && has.remove("compute.disks.create"));
    let cloud = cloud(json!([])).await;
    answers(&cloud, granted(&has)).await;
    let found = findings(&cloud, &spec).await;
    let kinds: Vec<ErrorKind> = found.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [ErrorKind::Invalid, ErrorKind::Denied], "{found:?}");
    assert_eq!(
        found[1].to_string(),
        "could not create resources in project p: the account is missing compute.addresses.create, compute.disks.create"
    );
    // The hint explains why `up` needs more than the permissions to create.
    let hint = found[1].hint.as_deref().unwrap();
    assert!(hint.contains("some delete: hakube removes"), "{hint}");
}

#[tokio::test]
async fn no_finding_if_all_permissions_are_granted() {
    let spec = spec(Reach::Anywhere, &[machine_spec()]);
    let all = needed(&spec).await;
    let cloud = cloud(json!([])).await;
    answers(&cloud, granted(&all)).await;
    assert_eq!(findings(&cloud, &spec).await, []);
}

#[tokio::test]
async fn only_what_is_created_needs_permissions() {
    let within = Reach::Within {
        network: "default".into(),
        subnetwork: "sub".into(),
    };
    let needed = needed(&spec(within, &[])).await;
    let expected = ["createInternal", "deleteInternal", "useInternal"];
    let expected = expected.map(|verb| format!("compute.addresses.{verb}"));
    assert_eq!(needed, BTreeSet::from(expected));
}

/// The custom role in docs/gce.md suffices for everything that hakube creates.
#[tokio::test]
async fn the_documented_role_has_all_permissions() {
    let machine = machine_spec();
    let everything = PreflightSpec {
        networks: vec![NetworkSpec {
            cluster: CLUSTER.into(),
            name: "own".into(),
            subnetwork: Some(("sub".into(), "10.40.0.0/22".parse().unwrap())),
        }],
        firewalls: vec![firewall("rule")],
        balancers: vec![balancer(&[])],
        rules: vec![endpoint()],
        node_groups: vec![NodeGroupSpec {
            name: "nodes".into(),
            template: "template".into(),
            size: 1,
            leaving: Vec::new(),
            machine: machine.clone(),
        }],
        ..spec(Reach::Anywhere, &[machine])
    };
    let page = include_str!("../../../../docs/gce.md");
    let documented: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("- "))
        .collect();
    for demand in [everything.clone(), spec(endpoint().reach, &[])] {
        for permission in needed(&demand).await {
            assert!(documented.contains(&*permission), "{permission}");
        }
    }
    assert!(needed(&everything).await.len() > 30);
}

/// A project without the service enabled can still have a cluster.
#[tokio::test]
async fn no_finding_if_permissions_cannot_be_queried() {
    let disabled =
        "Cloud Resource Manager API has not been used in project 42 before or it is disabled.";
    for answer in [
        failure(403, "SERVICE_DISABLED", disabled),
        failure(404, "notFound", "no such page"),
        ok(Value::from("a proxy's page")),
    ] {
        let cloud = cloud(json!([])).await;
        answers(&cloud, answer).await;
        let spec = spec(Reach::Anywhere, &[machine_spec()]);
        assert_eq!(findings(&cloud, &spec).await, []);
    }
}

#[tokio::test]
async fn permissions_are_only_queried_if_configured() {
    let cloud = cloud(json!([])).await;
    let spec = spec(Reach::Anywhere, &[machine_spec()]);
    assert_eq!(cloud.gce.preflight(&spec).await.unwrap(), []);
    cloud.is_untouched().await;
}
