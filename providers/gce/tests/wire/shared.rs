//! A cluster on a Shared VPC: a network of another project, the host project.

use crate::balancer::balancer;
use crate::preflight;
use crate::private::endpoint;
use crate::support::{CLUSTER, Cloud, MARK, failure, machine_spec, ok, query};
use hakube_provider::{
    AddressSpec, Change, ErrorKind, ExternalAddress, Inventory, NetworkSpec, NodeGroupSpec,
    PreflightSpec, Provider, ProviderError, ResourceId, ResourceKind, Scope, WireCall,
};
use serde_json::{Value, json};

const HOST: &str = "/compute/v1/projects/host";
const NETWORK: &str = "projects/host/global/networks/default";
const SUBNETWORK: &str = "projects/host/regions/europe-west1/subnetworks/sub";
const OWN: &str = "hakube-cluster=p/kubernetes";

fn network() -> NetworkSpec {
    hakube_contract::network_spec(CLUSTER, "default")
}

fn rules() -> String {
    format!("{HOST}/global/firewalls")
}

fn the_rule() -> ResourceId {
    ResourceId::new(ResourceKind::Firewall, Scope::Global, "rule")
}

/// Labels of other owners: another project's cluster of the same name, the host project's own, and
/// one with the same prefix.
fn of_others() -> [String; 3] {
    [
        "hakube-cluster=q/kubernetes".into(),
        MARK.into(),
        format!("{OWN}-2"),
    ]
}

async fn has_rule(cloud: &Cloud, mark: &str) {
    let rule =
        json!({"name": "rule", "description": mark, "network": format!("https://x/{NETWORK}")});
    cloud.has(format!("{}/rule", rules()), rule).await;
}

#[tokio::test]
async fn rules_are_created_in_the_host_project_with_the_clusters_project_in_their_label() {
    let cloud = Cloud::start().await;
    let gce = cloud.on_shared_network().await;
    let link = format!("https://www.googleapis.com{HOST}/global/operations/operation-7");
    let begun = json!({"name": "operation-7", "status": "RUNNING", "selfLink": link});
    cloud.answers("POST", rules(), ok(begun), 1).await;
    let spec = preflight::firewall("rule");
    gce.ensure_firewall(&spec).await.unwrap();
    assert_eq!(cloud.changes().await, [format!("POST {}", rules())]);
    let made = cloud.body("/firewalls").await;
    assert_eq!(made["description"], OWN);
    assert_eq!(made["network"], NETWORK);
    let waited = format!("{HOST}/global/operations/operation-7/wait");
    let requests = cloud.requests().await;
    assert!(requests.iter().any(|request| request.url.path() == waited));

    has_rule(&cloud, OWN).await;
    gce.ensure_firewall(&spec).await.unwrap();
    gce.delete(CLUSTER, &the_rule()).await.unwrap();
    let at = format!("{}/rule", rules());
    assert_eq!(
        cloud.changes().await[1..],
        [format!("PUT {at}"), format!("DELETE {at}")]
    );
}

/// No role in the host project helps against an organization policy.
#[tokio::test]
async fn a_policy_violation_in_the_host_project_is_not_a_missing_role() {
    let cloud = Cloud::start().await;
    let gce = cloud.on_shared_network().await;
    let words = "Constraint constraints/compute.x violated for project host.";
    let forbidden = failure(412, "conditionNotMet", words);
    cloud.answers("POST", rules(), forbidden, 1).await;
    let spec = preflight::firewall("rule");
    let error = gce.ensure_firewall(&spec).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    let hint = error.hint.unwrap();
    assert!(hint.contains("org-policies describe compute.x"), "{hint}");
}

#[tokio::test]
async fn rules_of_other_owners_are_not_touched() {
    for mark in of_others() {
        let cloud = Cloud::start().await;
        let gce = cloud.on_shared_network().await;
        has_rule(&cloud, &mark).await;
        let spec = preflight::firewall("rule");
        let refused = [
            gce.ensure_firewall(&spec).await.unwrap_err(),
            gce.delete(CLUSTER, &the_rule()).await.unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind, ErrorKind::Conflict);
            let other = mark.trim_start_matches("hakube-cluster=");
            let expected = format!(
                "firewall rule of project host: it belongs to cluster {other}, not to cluster p/kubernetes"
            );
            assert!(error.to_string().contains(&expected), "{error}");
            let hint = error.hint.unwrap();
            assert!(hint.contains("KUBE_GCE_INSTANCE_PREFIX"), "{hint}");
        }
        cloud.is_untouched().await;
    }
}

#[tokio::test]
async fn in_the_host_project_only_rules_are_listed() {
    let cloud = Cloud::start().await;
    let gce = cloud.on_shared_network().await;
    let of_others = of_others().map(|mark| json!({"name": "theirs", "description": mark}));
    let mut items = of_others.to_vec();
    items.push(json!({"name": "ours", "description": OWN}));
    cloud.has(rules(), json!({"items": items})).await;
    let inventory = gce.inspect(CLUSTER).await.unwrap();
    let found: Vec<&str> = inventory
        .resources
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!(found, ["ours"]);
    let requests = cloud.requests().await;
    let (in_host, others): (Vec<_>, Vec<_>) = requests
        .iter()
        .partition(|request| request.url.path().starts_with(HOST));
    assert_eq!(
        in_host.len(),
        1,
        "the operator may not have permission for more"
    );
    assert_eq!(
        query(in_host[0], "filter").unwrap(),
        r#"description="hakube-cluster=p/kubernetes""#
    );
    let kinds = ["networks", "subnetworks"];
    assert!(
        !others
            .iter()
            .any(|it| kinds.iter().any(|kind| it.url.path().ends_with(kind)))
    );
}

#[tokio::test]
async fn without_managed_rules_the_host_project_is_not_queried() {
    let cloud = Cloud::start().await;
    let gce = cloud.without_rules().await;
    assert_eq!(gce.inspect(CLUSTER).await.unwrap(), Inventory::default());
    let requests = cloud.requests().await;
    assert!(!requests.iter().any(|it| it.url.path().starts_with(HOST)));
}

#[tokio::test]
async fn the_host_projects_network_is_never_created_or_deleted() {
    let cloud = Cloud::start().await;
    let gce = cloud.on_shared_network().await;
    let error = gce.ensure_network(&network()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        "could not use network default of project host: the network doesn't exist"
    );
    let id = ResourceId {
        kind: ResourceKind::Network,
        ..the_rule()
    };
    let found = json!({"name": "rule", "description": MARK});
    cloud
        .has(format!("{HOST}/global/networks/rule"), found)
        .await;
    let error = gce.delete(CLUSTER, &id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    cloud.is_untouched().await;
}

/// `roles/compute.networkUser` on one subnetwork doesn't include reading its network.
#[tokio::test]
async fn a_network_without_read_permission_can_be_used() {
    let cloud = Cloud::start().await;
    let gce = cloud.on_shared_network().await;
    let denied = failure(
        403,
        "forbidden",
        "Required 'compute.networks.get' permission",
    );
    let at = format!("{HOST}/global/networks/default");
    cloud.answers("GET", at, denied, 1).await;
    gce.ensure_network(&network()).await.unwrap();
}

#[tokio::test]
async fn machines_groups_and_addresses_use_the_host_projects_network() {
    let cloud = Cloud::start().await;
    let gce = cloud.on_shared_network().await;
    let address = json!({"name": "ip", "address": "34.1.1.1", "description": MARK});
    let at = "/compute/v1/projects/p/regions/europe-west1/addresses/ip";
    cloud.has(at, address).await;
    // The mock doesn't store the machine.
    gce.ensure_machine(&machine_spec()).await.unwrap_err();
    let machine = cloud.body("/instances").await;
    let interface = &machine["networkInterfaces"][0];
    assert_eq!(interface["network"], NETWORK);
    assert_eq!(interface["subnetwork"], SUBNETWORK);
    assert_eq!(
        machine["machineType"],
        "projects/p/zones/europe-west1-b/machineTypes/e2-standard-2"
    );
    let spec = AddressSpec {
        cluster: CLUSTER.into(),
        name: "internal".into(),
        reach: endpoint().reach,
        wanted: None,
    };
    gce.ensure_address(&spec).await.unwrap_err();
    assert_eq!(cloud.body("/addresses").await["subnetwork"], SUBNETWORK);
    gce.ensure_balancer(&balancer(&[("m-1", "europe-west1-b")]))
        .await
        .unwrap();
    assert_eq!(cloud.body("/instanceGroups").await["network"], NETWORK);
    let mut machine = machine_spec();
    machine.external = ExternalAddress::Ephemeral;
    machine.data_disk = None;
    let nodes = NodeGroupSpec {
        name: "nodes".into(),
        template: "template".into(),
        size: 1,
        leaving: Vec::new(),
        machine,
    };
    gce.ensure_node_group(&nodes).await.unwrap();
    let template = cloud.body("/instanceTemplates").await;
    let interface = &template["properties"]["networkInterfaces"][0];
    assert_eq!(interface["network"], NETWORK);
    assert_eq!(interface["subnetwork"], SUBNETWORK);
    for change in cloud.changes().await {
        assert!(!change.contains("projects/host"), "{change}");
    }
}

#[tokio::test]
async fn planned_calls_name_the_right_project() {
    let cloud = Cloud::start().await;
    let gce = cloud.on_shared_network().await;
    let nothing = Inventory::default();
    let path = |change: Change<'_>| -> Vec<String> {
        let calls = gce.calls_for(&change, &nothing).into_iter();
        calls.map(|WireCall { path, .. }| path).collect()
    };
    assert_eq!(path(Change::Network(&network())), [""; 0]);
    let rule = preflight::firewall("rule");
    assert_eq!(
        path(Change::Firewall(&rule)),
        ["projects/host/global/firewalls"]
    );
    assert_eq!(
        path(Change::Delete(&the_rule())),
        ["projects/host/global/firewalls/rule"]
    );
    let machine = machine_spec();
    assert_eq!(
        path(Change::Machine(&machine)),
        [
            "projects/p/zones/europe-west1-b/disks",
            "projects/p/zones/europe-west1-b/instances"
        ]
    );
}

/// Everything that is created on a network, and a project attached to the host project.
async fn usual() -> (Cloud, PreflightSpec) {
    let cloud = preflight::cloud(json!([])).await;
    let subnetwork = json!({"name": "sub", "network": format!("https://x/{NETWORK}")});
    for (at, resource) in [
        (HOST.to_owned(), json!({"name": "host", "quotas": []})),
        (
            "/compute/v1/projects/p/getXpnHost".to_owned(),
            json!({"name": "host"}),
        ),
        (format!("/compute/v1/{NETWORK}"), json!({"name": "default"})),
        (format!("/compute/v1/{SUBNETWORK}"), subnetwork),
    ] {
        cloud.has(at, resource).await;
    }
    let spec = PreflightSpec {
        networks: vec![network()],
        firewalls: vec![preflight::firewall("rule")],
        machines: vec![machine_spec()],
        ..PreflightSpec::default()
    };
    (cloud, spec)
}

async fn findings(cloud: &Cloud, spec: &PreflightSpec) -> Vec<ProviderError> {
    let gce = cloud.on_shared_network().await;
    gce.preflight(spec).await.unwrap()
}

fn words(findings: &[ProviderError]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_project_attached_to_the_host_project_has_no_findings() {
    let (cloud, spec) = usual().await;
    assert_eq!(words(&findings(&cloud, &spec).await), [""; 0]);
}

#[tokio::test]
async fn a_wrong_host_project_is_found() {
    for (tied_to, why) in [
        (json!({}), "project p doesn't use a Shared VPC"),
        (
            json!({"name": "other"}),
            "project p uses the Shared VPC of project other",
        ),
    ] {
        let (cloud, spec) = usual().await;
        let at = "/compute/v1/projects/p/getXpnHost";
        cloud.answers("GET", at, ok(tied_to), 1).await;
        let found = findings(&cloud, &spec).await;
        assert_eq!(
            words(&found),
            [format!("could not use the networks of project host: {why}")]
        );
        let hint = found[0].hint.as_deref().unwrap();
        assert!(
            hint.contains("associated-projects add p --host-project host"),
            "{hint}"
        );
    }
}

#[tokio::test]
async fn missing_permissions_in_the_host_project_have_a_hint() {
    let denied = || failure(403, "forbidden", "Required permission");
    for (at, role) in [
        (format!("{}/rule", rules()), "securityAdmin in project host"),
        (
            format!("/compute/v1/{SUBNETWORK}"),
            "networkUser on the subnetwork",
        ),
    ] {
        let (cloud, spec) = usual().await;
        cloud.answers("GET", HOST, denied(), 1).await;
        cloud.answers("GET", at, denied(), 1).await;
        let found = findings(&cloud, &spec).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].kind, ErrorKind::Denied);
        let hint = found[0].hint.as_deref().unwrap();
        assert!(hint.contains(&format!("roles/compute.{role}")), "{hint}");
    }
    let (cloud, _) = usual().await;
    let gce = cloud.on_shared_network().await;
    cloud.answers("GET", rules(), denied(), 1).await;
    let hint = gce.inspect(CLUSTER).await.unwrap_err().hint.unwrap();
    assert!(hint.contains("HAKUBE_FIREWALLS=false"), "{hint}");
}

#[tokio::test]
async fn a_missing_host_project_is_found_once() {
    let (cloud, spec) = usual().await;
    let gone = failure(
        404,
        "notFound",
        "The resource 'projects/host' was not found",
    );
    cloud.answers("GET", HOST, gone, 1).await;
    let found = words(&findings(&cloud, &spec).await);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("could not use project host: "),
        "{found:?}"
    );
}

#[tokio::test]
async fn all_problems_in_the_host_project_are_found_at_once() {
    let (cloud, spec) = usual().await;
    let quota = |limit: f64| json!([{"metric": "FIREWALLS", "limit": limit, "usage": 100.0}]);
    for at in [NETWORK, SUBNETWORK] {
        let at = format!("/compute/v1/{at}");
        let gone = failure(404, "notFound", "The resource was not found");
        cloud.answers("GET", at, gone, 1).await;
    }
    let host = json!({"name": "host", "quotas": quota(100.0)});
    cloud.answers("GET", HOST, ok(host), 1).await;
    has_rule(&cloud, &of_others()[0]).await;
    assert_eq!(
        words(&findings(&cloud, &spec).await),
        [
            "could not use network default of project host: the network doesn't exist",
            "could not use subnetwork sub in europe-west1 of project host: the subnetwork doesn't exist",
            "could not create firewall rule of project host: it belongs to cluster q/kubernetes, not to cluster p/kubernetes",
            "could not stay within quota FIREWALLS of project host: 1 needed, but only 0 of 100 left",
        ]
    );
    // The quota of the cluster's own project doesn't matter, and an existing rule needs no quota.
    let own = json!({"name": "p", "quotas": quota(0.0)});
    cloud
        .answers("GET", "/compute/v1/projects/p", ok(own), 1)
        .await;
    let host = json!({"name": "host", "quotas": quota(100.0)});
    cloud.answers("GET", HOST, ok(host), 1).await;
    let at = format!("{}/rule", rules());
    let ours =
        json!({"name": "rule", "description": OWN, "network": format!("https://x/{NETWORK}")});
    cloud.answers("GET", at, ok(ours), 1).await;
    assert_eq!(words(&findings(&cloud, &spec).await), [""; 0]);
}

/// Makes a permission query return these permissions.
async fn grants(cloud: &Cloud, at: &str, permissions: &[&str]) {
    let answer = ok(json!({"permissions": permissions}));
    cloud.answers("POST", at, answer, 10).await;
}

async fn queried(cloud: &Cloud, at: &str) -> Vec<String> {
    let body: Value = cloud.body(at).await;
    serde_json::from_value(body["permissions"].clone()).unwrap()
}

#[tokio::test]
async fn permissions_are_queried_for_each_project_and_the_subnetwork() {
    let (cloud, spec) = usual().await;
    let own = "/v3/projects/p:testIamPermissions";
    let host = "/v3/projects/host:testIamPermissions";
    let subnetwork = format!("/compute/v1/{SUBNETWORK}/testIamPermissions");
    grants(&cloud, own, &[]).await;
    grants(&cloud, host, &["compute.firewalls.create"]).await;
    grants(&cloud, &subnetwork, &["compute.subnetworks.use"]).await;
    let gce = cloud.on_shared_network_with_permissions().await;
    let found = gce.preflight(&spec).await.unwrap();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|it| it.kind == ErrorKind::Denied));
    assert_eq!(
        words(&found)[1..],
        [
            "could not create resources in project host: the account is missing compute.firewalls.delete, compute.firewalls.update, compute.networks.updatePolicy",
            "could not use subnetwork sub in europe-west1 of project host: the account is missing compute.subnetworks.useExternalIp",
        ]
    );
    let roles = [
        "compute.admin",
        "compute.securityAdmin",
        "compute.networkUser",
    ];
    for (finding, role) in found.iter().zip(roles) {
        let hint = finding.hint.as_deref().unwrap();
        assert!(hint.contains(&format!("roles/{role}")), "{hint}");
    }
    let in_own = queried(&cloud, own).await;
    assert!(in_own.contains(&"compute.instances.create".into()));
    assert!(!in_own.iter().any(|it| it.contains("firewalls")));
    // The role in docs/gce.md for the host has all of that.
    let page = include_str!("../../../../docs/gce.md");
    let role = page.split("title: hakube in the host").nth(1).unwrap();
    let role = role.split("```").next().unwrap();
    for permission in [
        queried(&cloud, host).await,
        queried(&cloud, &subnetwork).await,
    ]
    .concat()
    {
        assert!(role.contains(&format!("- {permission}\n")), "{permission}");
    }
}
