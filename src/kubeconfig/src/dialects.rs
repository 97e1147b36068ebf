//! Kubeconfigs of all kinds: those that kubectl reads are supported, and text outside hakube's
//! entries is preserved.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::PathBuf;

use super::CurrentContext::{Keep, Switch};
use super::samples::{PLAIN, dialects};
use super::tests::{access, directory_with, only};
use super::*;

const NAME: &str = "hakube-prod";

/// Whether the original lines are still there, in order and unchanged.
fn keeps_lines(before: &str, after: &str) -> Result<(), String> {
    let mut lines = after.lines();
    for line in before.lines().filter(|line| !line.trim().is_empty()) {
        let is_kept = lines.by_ref().any(|now| now == line);
        if !is_kept {
            return Err(line.to_owned());
        }
    }
    Ok(())
}

#[test]
fn kubeconfigs_that_kubectl_reads_keep_their_text() {
    for (dialect, content) in dialects() {
        let (_directory, path) = directory_with("");
        fs::write(&path, &content).unwrap();
        let expected = |step: &str, error: KubeconfigError| -> PathBuf {
            panic!("{dialect}: {step}: {error}")
        };
        install(&only(&path), &access("https://203.0.113.7"), Keep)
            .unwrap_or_else(|e| expected("install", e));
        assert!(
            reaches(&only(&path), NAME, "https://203.0.113.7", "the CA"),
            "{dialect}"
        );
        let installed = fs::read_to_string(&path).unwrap();
        // Changed in place, and the second time not at all.
        install(&only(&path), &access("https://203.0.113.8"), Keep)
            .unwrap_or_else(|e| expected("change", e));
        install(&only(&path), &access("https://203.0.113.7"), Keep)
            .unwrap_or_else(|e| expected("change back", e));
        assert_eq!(fs::read_to_string(&path).unwrap(), installed, "{dialect}");
        let is_changed = [
            "a key twice at the top",
            "an empty object",
            "JSON",
            "UTF-16",
            "a list that",
            "keys without",
            "empty",
            "flow",
        ];
        if !is_changed.iter().any(|start| dialect.starts_with(start)) {
            let before = String::from_utf8(content).unwrap();
            let kept = keeps_lines(before.trim_start_matches('\u{feff}'), &installed);
            assert_eq!(kept, Ok(()), "{dialect}:\n{installed}");
        }
        uninstall(&only(&path), NAME).unwrap();
        let left = fs::read_to_string(&path).unwrap();
        assert!(!left.contains("hakube"), "{dialect}:\n{left}");
    }
}

#[test]
fn a_current_context_is_set_and_cleared_in_every_dialect() {
    for (dialect, content) in dialects() {
        let (_directory, path) = directory_with("");
        fs::write(&path, &content).unwrap();
        install(&only(&path), &access("https://203.0.113.7"), Switch)
            .unwrap_or_else(|e| panic!("{dialect}: {e}"));
        let current = || {
            let document = super::file::read(&path).unwrap().unwrap();
            document.current().map(str::to_owned)
        };
        assert_eq!(current().as_deref(), Some(NAME), "{dialect}");
        uninstall(&only(&path), NAME).unwrap();
        assert_eq!(current(), None, "{dialect}");
    }
}

/// Removing hakube's entry would remove the target of another entry's alias.
#[test]
fn entries_that_cant_be_changed_separately_are_refused() {
    let (_directory, path) = directory_with(PLAIN);
    install(&only(&path), &access("https://203.0.113.7"), Keep).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let tied = text.replace("client-key-data: ", "client-key-data: &key ")
        + "- name: bob\n  user:\n    client-key-data: *key\n";
    fs::write(&path, &tied).unwrap();
    let error = uninstall(&only(&path), NAME).unwrap_err();
    assert!(
        matches!(error, KubeconfigError::Entangled { .. }),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), tied);
}

/// Reported before a cluster is created.
#[test]
fn a_merged_list_is_refused_beforehand() {
    let text = "base: &base\n  clusters:\n  - name: x\n    cluster: {server: \"https://x\"}\n<<: *base\nkind: Config\n";
    let (_directory, path) = directory_with(text);
    let error = check(&only(&path), NAME).unwrap_err();
    assert!(
        matches!(error, KubeconfigError::Entangled { .. }),
        "{error}"
    );
    for (dialect, content) in dialects() {
        fs::write(&path, &content).unwrap();
        check(&only(&path), NAME).unwrap_or_else(|e| panic!("{dialect}: {e}"));
    }
}

/// A few hundred bytes that expand to more than fits in memory.
#[test]
fn aliases_that_expand_too_much_are_refused() {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..40 {
        let below = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", vec![below; 9].join(", "));
    }
    let (_directory, path) = directory_with(&(text + PLAIN));
    let error = install(&only(&path), &access("https://203.0.113.7"), Keep).unwrap_err();
    assert!(error.to_string().contains("expand to too much"), "{error}");
}
