//! Precedence of sources, and the origins reported.

use super::super::error::SettingError;
use super::super::{Severity, Sources, resolve};
use super::{flags, refused, resolved, shown, sources};
use std::path::Path;

fn with_env_file(directory: &Path, text: &str, env: &[(&str, &str)]) -> Sources {
    std::fs::write(directory.join("my.env"), text).unwrap();
    Sources {
        env_file: Some("my.env".into()),
        working_dir: directory.to_owned(),
        ..sources(env)
    }
}

#[test]
fn the_first_of_flag_environment_file_profile_and_default_wins() {
    let directory = tempfile::tempdir().unwrap();
    let file = "# ours\nKUBE_GCE_ZONE=europe-west1-c\n";
    let mut layered = with_env_file(
        directory.path(),
        file,
        &[("KUBE_GCE_ZONE", "europe-west1-d")],
    );
    layered.flags = flags(&[("--zone", "us-central1-f")]);
    let mut zone = |strip: fn(&mut Sources)| {
        let found = shown(&resolve(&layered).unwrap(), "KUBE_GCE_ZONE");
        strip(&mut layered);
        found
    };
    let owned = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    assert_eq!(
        zone(|s| s.flags.clear()),
        owned("us-central1-f", "from --zone")
    );
    assert_eq!(
        zone(|s| s.env.clear()),
        owned("europe-west1-d", "from the environment")
    );
    assert_eq!(
        zone(|s| s.env_file = None),
        owned("europe-west1-c", "from env file my.env line 2")
    );
    assert_eq!(
        zone(|s| s.flags = flags(&[("--provider", "gce"), ("--project", "my-project")])),
        owned("europe-west1-b", "default for local")
    );
    assert_eq!(
        zone(|_| ()),
        owned(
            "us-central1-b",
            "derived from the first zone of HAKUBE_LIBVIRT_ZONES or HAKUBE_HOSTS, or `us-central1-b`"
        )
    );
}

#[test]
fn a_given_zone_is_distinguished_from_a_default() {
    let given = resolved(&[("KUBE_GCE_ZONE", "europe-west1-b")]);
    let default = resolved(&[]);
    assert_eq!(given.settings.zone, default.settings.zone);
    assert!(given.settings.zone_given);
    assert!(!default.settings.zone_given);
}

#[test]
fn the_test_profile_takes_precedence_over_its_providers() {
    let resolved = resolved(&[("HAKUBE_PROFILE", "test")]);
    let of = |key| shown(&resolved, key);
    assert_eq!(
        of("HAKUBE_TIMEOUT"),
        ("60s".into(), "default for test".into())
    );
    assert_eq!(
        of("HAKUBE_API_PORT"),
        ("6443".into(), "default for local".into())
    );
}

#[test]
fn an_alias_works_and_appears_in_the_origin() {
    let resolved = resolved(&[("ENABLE_ETCD_QUORUM_READS", "TRUE")]);
    let origin = "from the environment as ENABLE_ETCD_QUORUM_READS";
    assert!(resolved.settings.quorum_reads.enabled);
    assert_eq!(
        resolved.settings.quorum_reads.set_by.as_deref(),
        Some(origin)
    );
    assert_eq!(shown(&resolved, "ENABLE_ETCD_QUORUM_READ").1, origin);
}

#[test]
fn aliases_that_disagree_are_refused_unless_one_is_of_a_higher_layer() {
    let (read, reads) = ("ENABLE_ETCD_QUORUM_READ", "ENABLE_ETCD_QUORUM_READS");
    resolved(&[(read, "true"), (reads, "True")]);

    let errors = refused(&[(read, "true"), (reads, "false")]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    for part in [read, reads, "\"true\"", "\"false\"", "unset one"] {
        assert!(errors[0].contains(part), "{part}: {errors:?}");
    }

    let directory = tempfile::tempdir().unwrap();
    let file = format!("{reads}=false\n");
    let layered = with_env_file(directory.path(), &file, &[(read, "true")]);
    assert!(resolve(&layered).unwrap().settings.quorum_reads.enabled);
}

#[test]
fn switching_quorum_reads_off_gives_a_warning() {
    let severity = |env: &[(&str, &str)]| {
        let warnings = resolved(env).warnings;
        warnings.first().map(|warning| warning.severity)
    };
    assert_eq!(severity(&[]), None);
    assert_eq!(
        severity(&[("ENABLE_ETCD_QUORUM_READ", "true")]),
        Some(Severity::Note)
    );
    assert_eq!(
        severity(&[("ENABLE_ETCD_QUORUM_READ", "false")]),
        Some(Severity::Warning)
    );
}

#[test]
fn a_variable_without_effect_is_reported_without_its_value() {
    let warnings = resolved(&[("KUBE_BEARER_TOKEN", "hunter2"), ("NODE_LOCAL_SSDS", "1")]).warnings;
    let messages: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("KUBE_BEARER_TOKEN"), "{messages:?}");
    assert!(messages[1].contains("NODE_LOCAL_SSDS"), "{messages:?}");
    assert!(!format!("{warnings:?}").contains("hunter2"));
}

#[test]
fn a_typo_is_reported_where_it_must_be_one() {
    let warnings = resolved(&[("HAKUBE_TIMOUT", "5m"), ("NUM_NODE", "5")]).warnings;
    assert_eq!(
        warnings.len(),
        1,
        "only names with hakube's prefix: {warnings:?}"
    );
    assert!(warnings[0].message.contains("Did you mean HAKUBE_TIMEOUT?"));

    let directory = tempfile::tempdir().unwrap();
    let layered = with_env_file(directory.path(), "NUM_NODE=5\n", &[]);
    let warnings = resolve(&layered).unwrap().warnings;
    assert!(
        warnings[0].message.contains("my.env line 1") && warnings[0].message.contains("NUM_NODES?"),
        "{warnings:?}"
    );
}

#[test]
fn malformed_lines_and_invalid_values_of_an_env_file_are_reported_together() {
    let directory = tempfile::tempdir().unwrap();
    let file = "NUM_NODES=3\nKUBE_GCE_ZONE\n\nMULTIZONE=perhaps\n";
    let errors = resolve(&with_env_file(directory.path(), file, &[])).unwrap_err();
    let text = errors.to_string();
    assert_eq!(errors.0.len(), 2, "{text}");
    assert!(text.contains("my.env line 2"), "{text}");
    assert!(
        text.contains("MULTIZONE is \"perhaps\", from env file my.env line 4"),
        "{text}"
    );
}

#[test]
fn a_missing_env_file_is_an_error() {
    let missing = Sources {
        env_file: Some("/nowhere/my.env".into()),
        ..sources(&[])
    };
    let errors = resolve(&missing).unwrap_err();
    assert!(matches!(
        errors.0[..],
        [SettingError::UnreadableFile { .. }]
    ));
    assert!(errors.to_string().contains("/nowhere/my.env"), "{errors}");
}

#[test]
fn a_flag_of_no_setting_is_an_error() {
    let unknown = Sources {
        flags: flags(&[("--zoen", "europe-west1-b")]),
        ..sources(&[])
    };
    assert!(
        resolve(&unknown)
            .unwrap_err()
            .to_string()
            .contains("--zoen")
    );
}

/// `upgrade` takes programs from where the cluster's came from, unless the operator says otherwise.
#[test]
fn what_a_cluster_was_created_with_goes_before_profiles_and_after_the_operator() {
    let inherited = [
        ("KUBERNETES_PROVIDER", "gce"),
        ("PROJECT", "my-project"),
        ("KUBE_VERSION", "v1.35.2"),
        (
            "HAKUBE_KUBERNETES_RELEASES",
            "https://mirror.example/kubernetes",
        ),
    ];
    let mut layered = sources(&[("KUBE_VERSION", "v1.36.3")]);
    let own = inherited.map(|(name, value)| (name.to_owned(), value.to_owned()));
    layered.cluster = own.into_iter().collect();
    let resolved = resolve(&layered).unwrap();
    let (url, origin) = shown(&resolved, "HAKUBE_KUBERNETES_RELEASES");
    assert_eq!(url, "https://mirror.example/kubernetes");
    assert_eq!(origin.to_string(), "from the cluster");
    assert_eq!(shown(&resolved, "KUBE_VERSION").0, "v1.36.3");
    // The provider's profile is that of the cluster's provider.
    assert_eq!(shown(&resolved, "ETCD_VERSION").0, "3.6.6");
    let mut values = resolved.values.iter();
    assert!(values.all(|value| value.key == "KUBE_VERSION" || !value.origin.is_given()));
}
