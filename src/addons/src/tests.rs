//! Snapshots of the applied objects, and properties of all of them.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use hakube_testing::fixtures;
use std::fmt::Write as _;
use std::process::Command;

const CA: &str = "-----BEGIN CERTIFICATE-----\nkubelets\n-----END CERTIFICATE-----\n";

/// A cluster whose machines run pods.
fn spec(variables: &[(&str, &str)]) -> ClusterSpec {
    let mut spec = fixtures::spec(variables);
    spec.programs.pods = Some(fixtures::pods());
    spec
}

fn addon(name: &str, variables: &[(&str, &str)]) -> Addon {
    let all = all(&spec(variables), anchors());
    all.into_iter().find(|addon| addon.name == name).unwrap()
}

fn shown(addon: &Addon) -> String {
    let mut text = String::new();
    for object in &addon.objects {
        let yaml = serde_saphyr::to_string(&object.content).unwrap();
        let _ = write!(text, "---\n{yaml}");
    }
    text
}

#[test]
fn bindings() {
    insta::assert_snapshot!(shown(&addon(RBAC, &[])));
}

#[test]
fn dns() {
    insta::assert_snapshot!(shown(&addon(COREDNS, &[])));
}

#[test]
fn a_cache_of_dns_on_every_node() {
    let on = [("KUBE_ENABLE_NODELOCAL_DNS", "true")];
    insta::assert_snapshot!(shown(&addon(NODE_LOCAL_DNS, &on)));
    let service = |variables: &[(&str, &str)]| {
        let objects = addon(COREDNS, variables).objects;
        let mut objects = objects.into_iter();
        let found = objects.find(|object| object.kind() == "Service");
        found.unwrap().content["spec"].clone()
    };
    let (with, without) = (service(&on), service(&[]));
    assert_eq!(with["selector"]["k8s-app"], "node-local-dns");
    assert_eq!(with["trafficDistribution"], "PreferSameNode");
    assert_eq!(
        with["clusterIP"], without["clusterIP"],
        "pods keep using the address"
    );
    assert_eq!(without["selector"]["k8s-app"], "kube-dns");
    assert_eq!(without["trafficDistribution"], Value::Null);
}

#[test]
fn the_pod_network() {
    insta::assert_snapshot!(shown(&addon(FLANNEL, &[])));
}

#[test]
fn metrics() {
    insta::assert_snapshot!(shown(&addon(METRICS_SERVER, &[])));
}

#[test]
fn each_can_be_switched_off() {
    let names = |variables: &[(&str, &str)]| names(&fixtures::spec(variables));
    assert_eq!(names(&[]), [RBAC, FLANNEL, COREDNS, METRICS_SERVER]);
    assert_eq!(
        names(&[("KUBE_ENABLE_NODELOCAL_DNS", "true")]),
        [RBAC, FLANNEL, NODE_LOCAL_DNS, COREDNS, METRICS_SERVER]
    );
    assert_eq!(
        names(&[("NETWORK_PROVIDER", "none")]),
        [RBAC, COREDNS, METRICS_SERVER]
    );
    let none = [
        ("NETWORK_PROVIDER", "none"),
        ("KUBE_ENABLE_CLUSTER_DNS", "false"),
        ("KUBE_ENABLE_METRICS_SERVER", "false"),
    ];
    assert_eq!(names(&none), [RBAC]);
}

#[test]
fn stand_ins_have_no_addons() {
    let mut spec = fixtures::spec(&[]);
    spec.programs.kube_apiserver = Program::StandIn {
        hakube: "/usr/bin/hakube".into(),
    };
    assert_eq!(names(&spec), [] as [&str; 0]);
    assert_eq!(all(&spec, anchors()), []);
}

#[test]
fn every_object_is_labelled_and_unique() {
    let mut spec = fixtures::spec(&[]);
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own, labels: {mine: \"yes\"}}\n";
    spec.addons.manifests = parse_manifests("own.yaml", text).unwrap();
    let mut known = std::collections::BTreeSet::new();
    for addon in all(&spec, anchors()) {
        for object in &addon.objects {
            let labels = &object.content["metadata"]["labels"];
            assert_eq!(labels[LABEL], addon.name, "{}", object.describe());
            assert_eq!(labels[MANAGED_BY], MANAGER, "{}", object.describe());
            assert!(known.insert(object.describe()), "{}", object.describe());
        }
    }
    assert!(known.contains("ConfigMap own (own.yaml, document 1, line 1)"));
}

#[test]
fn manifests_have_the_clusters_names_and_addresses() {
    let text = |addon: Addon| {
        let objects: Vec<Value> = addon.objects.into_iter().map(|one| one.content).collect();
        serde_json::to_string(&objects).unwrap()
    };
    let dns = text(addon(
        COREDNS,
        &[
            ("KUBE_DNS_DOMAIN", "corp.test"),
            ("KUBE_DNS_SERVER_IP", "10.0.0.53"),
            ("HAKUBE_IMAGE_REPOSITORY", "mirror.test/k8s"),
        ],
    ));
    for expected in [
        "kubernetes corp.test in-addr.arpa",
        r#""clusterIP":"10.0.0.53""#,
        r#""image":"mirror.test/k8s/coredns/coredns:v"#,
    ] {
        assert!(dns.contains(expected), "{expected}\n{dns}");
    }
    let variables = [
        ("CLUSTER_IP_RANGE", "10.128.0.0/12"),
        ("KUBE_PROXY_MODE", "nftables"),
    ];
    let network = text(addon(FLANNEL, &variables));
    for expected in [
        r#"\"Network\": \"10.128.0.0/12\""#,
        r#"\"EnableNFTables\": true"#,
    ] {
        assert!(network.contains(expected), "{expected}\n{network}");
    }
}

#[test]
fn kubelets_are_verified() {
    let metrics = shown(&addon(METRICS_SERVER, &[]));
    assert!(!metrics.contains("insecure-tls"), "{metrics}");
    assert!(
        metrics.contains("--kubelet-certificate-authority="),
        "{metrics}"
    );
}

/// An API without a server makes part of every client's discovery fail, and is never available.
#[test]
fn no_api_is_registered_that_api_servers_cannot_reach() {
    let registers = |variables: &[(&str, &str)], pods: bool| -> bool {
        let mut spec = spec(variables);
        spec.programs.pods = spec.programs.pods.filter(|_| pods);
        let all = all(&spec, anchors());
        let mut objects = all.iter().flat_map(|addon| &addon.objects);
        objects.any(|object| object.kind() == "APIService")
    };
    assert!(registers(&[], true));
    assert!(!registers(&[], false), "hollow nodes");
    assert!(!registers(&[("NETWORK_PROVIDER", "none")], true));
    for nodes in ["0", "3"] {
        let replicas_arent_nodes = [("REGISTER_MASTER", "false"), ("NUM_NODES", nodes)];
        assert!(!registers(&replicas_arent_nodes, true), "{nodes} nodes");
    }
}

#[test]
fn prerequisites_are_applied_first() {
    let rank = |api: &str, kind: &str| {
        Object {
            content: json!({"apiVersion": api, "kind": kind}),
            origin: None,
        }
        .rank()
    };
    let order = [
        rank("v1", "Namespace"),
        rank("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        rank("v1", "ServiceAccount"),
        rank("apps/v1", "Deployment"),
        rank("apiregistration.k8s.io/v1", "APIService"),
        rank("crd.projectcalico.org/v1", "IPPool"),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(rank("batch/v1", "Job"), rank("apps/v1", "DaemonSet"));
    assert_eq!(rank("rbac.authorization.k8s.io/v1", "Role"), 2);
}

/// Runs the script in a shell, with flannel's output.
#[test]
fn the_conflist_matches_flannels_subnet() {
    let directory = tempfile::tempdir().unwrap();
    let cases = [
        ("FLANNEL_SUBNET=10.64.1.1/24", "10.64.1.0/24", "0.0.0.0/0"),
        (
            "FLANNEL_SUBNET=10.255.131.129/25",
            "10.255.131.128/25",
            "0.0.0.0/0",
        ),
        (
            "FLANNEL_IPV6_SUBNET=fd00:1:0:3::1/64",
            "fd00:1:0:3::/64",
            "::/0",
        ),
    ];
    for (says, subnet, anywhere) in cases {
        let at = |name: &str| directory.path().join(name);
        std::fs::write(
            at("subnet.env"),
            format!(
                "FLANNEL_NETWORK=10.64.0.0/14\n{says}\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
            ),
        )
        .unwrap();
        let done = Command::new("/bin/sh")
            .args(["-c", include_str!("write-conflist.sh")])
            .env("SUBNET_ENV", at("subnet.env"))
            .env("CONFLIST", at("10-flannel.conflist"))
            .env("ONCE", "true")
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        let text = std::fs::read_to_string(at("10-flannel.conflist")).unwrap();
        let list: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let bridge = &list["plugins"][0];
        assert_eq!(bridge["ipam"]["ranges"][0][0]["subnet"], subnet, "{done:?}");
        assert_eq!(bridge["ipam"]["routes"][0]["dst"], anywhere);
        assert_eq!(bridge["mtu"], 1450);
        assert!(!at("10-flannel.conflist.new").exists());
    }
}

fn anchors() -> Anchors<'static> {
    Anchors {
        kubelet_ca: CA,
        mark: None,
    }
}

#[test]
fn pods_are_recreated_when_cas_change() {
    let spec = fixtures::spec(&[]);
    let changed = Anchors {
        mark: Some("abc"),
        ..anchors()
    };
    let (before, after) = (all(&spec, anchors()), all(&spec, changed));
    let objects = |addons: Vec<Addon>| addons.into_iter().flat_map(|addon| addon.objects);
    let mut marked = 0;
    for (before, after) in objects(before).zip(objects(after)) {
        let has_pods = matches!(before.kind(), "Deployment" | "DaemonSet");
        assert_eq!(before != after, has_pods, "{}", before.describe());
        marked += usize::from(has_pods);
    }
    assert!(marked > 0);
}
