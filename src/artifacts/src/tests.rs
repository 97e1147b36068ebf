//! The artifacts that `up` installs, depending on settings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Entry, Kind, wanted};
use hakube_settings::{Sources, resolve};
use std::collections::BTreeMap;

fn entries(environment: &[(&str, &str)]) -> Vec<Entry> {
    entries_by(environment, None)
}

fn entries_by(environment: &[(&str, &str)], sums: Option<&str>) -> Vec<Entry> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut env = BTreeMap::from([("KUBERNETES_PROVIDER".to_owned(), "hosts".to_owned())]);
    env.extend(environment);
    let resolved = resolve(&Sources {
        env,
        home_dir: Some("/home/ada".into()),
        working_dir: "/work".into(),
        ..Sources::default()
    });
    let settings = resolved.unwrap().settings;
    wanted(&settings).unwrap().entries(sums)
}

fn paths(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.path).collect()
}

const VERSIONS: [(&str, &str); 5] = [
    ("KUBE_VERSION", "v1.36.3"),
    ("ETCD_VERSION", "3.6.16"),
    ("HAKUBE_CONTAINERD_VERSION", "2.2.9"),
    ("HAKUBE_RUNC_VERSION", "1.3.4"),
    ("HAKUBE_CNI_VERSION", "1.9.1"),
];

#[test]
fn machines_of_each_architecture_get_its_programs_and_images() {
    for arch in ["amd64", "arm64"] {
        let found = entries(&[&VERSIONS[..], &[("HAKUBE_NODE_ARCH", arch)]].concat());
        let kubernetes = |name: &str| format!("kubernetes/v1.36.3/bin/linux/{arch}/{name}");
        let image = |name: &str| format!("images/{name}-{arch}.tar");
        let wanted = [
            kubernetes("kube-apiserver"),
            kubernetes("kube-controller-manager"),
            kubernetes("kube-scheduler"),
            kubernetes("kubelet"),
            kubernetes("kube-proxy"),
            format!("etcd/v3.6.16/etcd-v3.6.16-linux-{arch}.tar.gz"),
            format!("containerd/v2.2.9/containerd-2.2.9-linux-{arch}.tar.gz"),
            format!("runc/v1.3.4/runc.{arch}"),
            format!("cni-plugins/v1.9.1/cni-plugins-linux-{arch}-v1.9.1.tgz"),
            image("registry.k8s.io_pause_3.10.2"),
            image("registry.k8s.io_coredns_coredns_v1.14.2"),
            image("ghcr.io_flannel-io_flannel_v0.28.4"),
            image("registry.k8s.io_metrics-server_metrics-server_v0.8.0"),
        ];
        assert_eq!(paths(&found), wanted);
        assert!(found.iter().all(|entry| entry.arch == arch));
        assert_eq!(
            (&*found[3].name, &*found[3].version, found[3].kind),
            ("kubelet", "1.36.3", Kind::Program)
        );
        let runc = &found[7].source;
        assert!(runc.starts_with("https://") && runc.ends_with(&format!("/v1.3.4/runc.{arch}")));
        assert_eq!(found[9].source, "docker://registry.k8s.io/pause:3.10.2");
    }
}

#[test]
fn images_are_those_of_the_enabled_addons() {
    let off = [
        ("NETWORK_PROVIDER", "none"),
        ("KUBE_ENABLE_CLUSTER_DNS", "false"),
        ("KUBE_ENABLE_METRICS_SERVER", "false"),
    ];
    let images = |environment: &[(&str, &str)]| -> Vec<String> {
        let found = entries(environment).into_iter();
        let images = found.filter(|entry| entry.kind == Kind::Image);
        images.map(|entry| entry.name).collect()
    };
    assert_eq!(
        images(&off),
        ["registry.k8s.io/pause"],
        "every pod needs it"
    );
    for (number, name) in [(0, "flannel"), (1, "coredns"), (2, "metrics-server")] {
        let without = images(&off[number..=number]);
        assert_eq!(without.len(), 3, "{without:?}");
        assert!(
            !without.iter().any(|image| image.ends_with(name)),
            "{without:?}"
        );
    }
    let own = images(&[("HAKUBE_IMAGE_REPOSITORY", "mirror.test:5000/k8s")]);
    assert_eq!(
        own[0], "mirror.test:5000/k8s/pause",
        "the name that pods use"
    );
}

#[test]
fn a_mirror_replaces_publishers_but_not_explicit_urls() {
    let found = entries(&[
        ("HAKUBE_MIRROR", "http://mirror.test/m"),
        ("HAKUBE_RUNC_RELEASES", "https://runc.test"),
        ("HAKUBE_RUNC_VERSION", "1.3.4"),
    ]);
    for entry in found.iter().filter(|entry| entry.kind == Kind::Program) {
        let wanted = match &*entry.name {
            "runc" => "https://runc.test/v1.3.4/runc.amd64".to_owned(),
            _ => format!("http://mirror.test/m/{}", entry.path),
        };
        assert_eq!(entry.source, wanted);
    }
}

#[test]
fn installed_programs_are_not_listed() {
    let programs = |environment: &[(&str, &str)]| -> Vec<String> {
        let found = entries(environment).into_iter();
        let programs = found.filter(|entry| entry.kind == Kind::Program);
        programs.map(|entry| entry.name).collect()
    };
    assert_eq!(
        programs(&[("HAKUBE_KUBE_BINARIES", "/opt/kubernetes")]),
        ["etcd"]
    );
    assert!(!programs(&[("HAKUBE_ETCD_BINARY", "/usr/bin/etcd")]).contains(&"etcd".to_owned()));
    let local = [("KUBERNETES_PROVIDER", "local")];
    assert_eq!(
        programs(&local),
        [
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler"
        ],
        "its nodes are stand-ins, and etcd is this host's"
    );
    assert_eq!(entries(&local).len(), 3, "and run no pods");
    assert_eq!(programs(&[local[0], ("HAKUBE_STAND_INS", "true")]), [""; 0]);
}

#[test]
fn what_only_nodes_run_is_listed_with_the_first_node() {
    let names = |environment: &[(&str, &str)]| -> Vec<String> {
        let alone = [("REGISTER_MASTER", "false"), ("NUM_NODES", "0")];
        let found = entries(&[&alone, environment].concat()).into_iter();
        found.map(|entry| entry.name).collect()
    };
    assert_eq!(
        names(&[]),
        [
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "etcd"
        ]
    );
    for more in [("REGISTER_MASTER", "true"), ("NUM_NODES", "1")] {
        assert_eq!(names(&[more]).len(), 13, "{more:?}");
    }
}

#[test]
fn checksums_come_from_the_operators_list() {
    let sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let list = format!("{sum}  runc/v1.3.4/runc.amd64\n");
    let found = entries_by(&[("HAKUBE_RUNC_VERSION", "1.3.4")], Some(&list));
    for entry in found {
        let wanted = (entry.name == "runc").then(|| sum.to_owned());
        assert_eq!(entry.sha256, wanted, "{}", entry.name);
    }
}
