//! Checks of the table: every setting is read, documented once, and refuses invalid values.

use super::super::error::SettingError;
use super::super::table::{Default, Kind, NOT_HONOURED, settings};
use super::super::{docs, env_file, resolve};
use super::{flags, resolved, sources};
use std::collections::BTreeSet;

#[test]
fn every_setting_is_resolved_and_shown_in_the_tables_order() {
    let shown: Vec<&str> = resolved(&[]).values.iter().map(|value| value.key).collect();
    let known: Vec<&str> = settings().map(|setting| setting.key).collect();
    assert_eq!(shown, known);
}

#[test]
fn no_two_settings_share_a_name() {
    let mut names = BTreeSet::new();
    let all = settings()
        .flat_map(|setting| setting.variables().chain(setting.flag))
        .chain(NOT_HONOURED.iter().map(|known| known.variable));
    for name in all {
        assert!(names.insert(name), "{name} is used twice");
    }
}

#[test]
fn every_setting_refuses_invalid_values() {
    let nonsense = "no such thing!";
    for setting in settings().filter(|setting| !matches!(setting.kind, Kind::Path | Kind::Paths)) {
        let errors = resolve(&sources(&[(setting.key, nonsense)])).expect_err(setting.key);
        assert!(
            errors.0.iter().any(|error| matches!(
                error,
                SettingError::Invalid { setting: key, value, .. }
                    if *key == setting.key && value == nonsense
            )),
            "{}: {errors}",
            setting.key
        );
    }
}

#[test]
fn an_empty_flag_is_refused_and_an_empty_variable_is_unset() {
    for setting in settings() {
        let mut sources = sources(&[(setting.key, "")]);
        assert!(resolve(&sources).is_ok(), "{}", setting.key);
        if let Some(flag) = setting.flag {
            sources.flags = flags(&[(flag, "")]);
            let errors = resolve(&sources).expect_err(flag).to_string();
            assert!(
                errors.contains(&format!("from {flag}: it is empty")),
                "{errors}"
            );
        }
    }
}

#[test]
fn every_profile_resolves_alone() {
    for profile in ["local", "gce", "libvirt", "test"] {
        let resolved = resolved(&[("HAKUBE_PROFILE", profile), ("PROJECT", "my-project")]);
        assert_eq!(resolved.warnings, [], "{profile}");
    }
}

#[test]
fn profiles_contain_only_settings() {
    let profiles = [
        include_str!("../../../../env/local.env"),
        include_str!("../../../../env/gce.env"),
        include_str!("../../../../env/libvirt.env"),
        include_str!("../../../../env/test.env"),
    ];
    for (line, assignment) in profiles.iter().flat_map(|text| env_file::parse(text)) {
        let (name, _) = assignment.unwrap_or_else(|problem| panic!("line {line}: {problem}"));
        assert!(settings().any(|setting| setting.key == name), "{name}");
    }
}

#[test]
fn the_default_env_file_fully_uncommented_changes_nothing() {
    let switched_on: String = docs::env_file()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let lines: Vec<(String, String)> = env_file::parse(&switched_on)
        .map(|(line, assignment)| assignment.unwrap_or_else(|e| panic!("line {line}: {e}")))
        .collect();
    let expected: Vec<(String, String)> = settings()
        .map(|setting| {
            let value = match setting.default {
                Default::Value(value) => value,
                Default::Derived(_) | Default::Unset(_) => "",
            };
            (setting.key.to_owned(), value.to_owned())
        })
        .collect();
    assert_eq!(lines, expected);
}
