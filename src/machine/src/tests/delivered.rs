//! The files that the channel delivers to a replica.

use super::*;

fn delivered() -> BTreeSet<String> {
    let spec = fixtures::spec(&[]);
    let now = jiff::Timestamp::now();
    let authorities = Authorities::generate(spec.pki, now).unwrap();
    let authorities = authorities.with_encryption().unwrap();
    let identity = ReplicaIdentity {
        name: spec.names.master(),
        addresses: vec![ADDRESS],
        endpoint: ADDRESS,
        api_port: spec.api.port,
        service_ip: spec.network.service_address(),
        dns_domain: spec.network.dns_domain.clone(),
        node: None,
        extra_sans: Vec::new(),
    };
    let mut files = pki::replica_files(&authorities, &identity, spec.pki, now).unwrap();
    let facts = ReplicaFacts {
        name: spec.names.master(),
        zone: ZONES[0].to_owned(),
        address: ADDRESS,
        bind: ADDRESS,
    };
    files.extend([
        replica_env(&facts),
        join_env("kubernetes", "kubernetes/1", &[], ClusterState::Existing),
        start_marker(),
    ]);
    files.into_iter().map(|file| file.path).collect()
}

/// Units and flags name files that the channel delivers: with a mistyped path, a replica waits forever.
#[test]
fn every_file_that_a_replica_waits_for_or_reads_is_delivered() {
    let delivered = delivered();
    let document = replica(&[]);
    let mut named = document.values("EnvironmentFile");
    named.extend(document.values("PathExists"));
    let values = document
        .flags()
        .into_iter()
        .filter_map(|flag| Some(flag.split_once('=')?.1));
    named.extend(values.filter(|value| value.starts_with("/etc/")));
    assert!(named.len() > 20, "{named:?}");
    for path in named {
        assert!(
            delivered.contains(path),
            "{path} is not delivered: {delivered:#?}"
        );
    }
}

/// Any process on a machine can read its user data.
#[test]
fn the_user_data_contains_no_secrets() {
    let delivered = delivered();
    let document = replica(&[]);
    for file in &document.write_files {
        assert!(!delivered.contains(&file.path), "{} is a secret", file.path);
    }
    let node = node(&[]);
    let kubeconfig = node.file("/etc/kubernetes/bootstrap-kubeconfig");
    assert_eq!(
        kubeconfig.content, BOOTSTRAP_KUBECONFIG,
        "the plan contains no token"
    );
    assert_eq!(
        (
            kubeconfig.encoding.as_deref(),
            kubeconfig.permissions.as_str()
        ),
        (Some("b64"), "0600")
    );
    for text in document
        .write_files
        .iter()
        .chain(&node.write_files)
        .map(|file| &file.content)
    {
        assert!(!text.contains("-----BEGIN"), "{text}");
    }
}
