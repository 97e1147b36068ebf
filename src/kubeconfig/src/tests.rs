#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::CurrentContext::{Keep, Switch};
use super::*;
use hakube_secret::Secret;

const NAME: &str = "hakube-prod";

/// A user's kubeconfig, with fields unknown to this module and values that YAML 1.1 misinterprets.
const THEIRS: &str = r#"apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: work
users:
- name: work
  user:
    token: "0123"
    x-unknown: {deep: [1, two, "no"]}
contexts:
- name: work
  context: {cluster: work, user: work, namespace: "on"}
clusters:
- name: work
  cluster:
    server: https://work.example.com
    insecure-skip-tls-verify: true
extensions:
- name: them
  extension: {last-update: "1:30"}
"#;

pub(super) fn access(server: &str) -> Access {
    Access {
        cluster: NAME.into(),
        user: NAME.into(),
        context: NAME.into(),
        id: None,
        server: server.into(),
        ca: "the CA".into(),
        credentials: Credentials::Certificate {
            certificate: "a certificate".into(),
            key: Secret::new("a key".into()),
        },
    }
}

fn named(name: &str) -> Access {
    Access {
        cluster: name.into(),
        user: name.into(),
        context: name.into(),
        ..access("https://203.0.113.7")
    }
}

pub(super) fn directory_with(content: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    fs::write(&path, content).unwrap();
    (directory, path)
}

fn parse(path: &Path) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

pub(super) fn only(path: &Path) -> Paths {
    Paths::new(&[path.to_owned()])
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_file_is_private_and_complete() {
    let home = tempfile::tempdir().unwrap();
    let paths = only(&home.path().join(".kube/config"));
    let path = install(&paths, &access("https://203.0.113.7"), Switch).unwrap();

    assert_eq!(path, home.path().join(".kube/config"));
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    insta::assert_snapshot!(fs::read_to_string(&path).unwrap(), @r"
    apiVersion: v1
    kind: Config
    clusters:
    - name: hakube-prod
      cluster:
        certificate-authority-data: dGhlIENB
        server: https://203.0.113.7
    users:
    - name: hakube-prod
      user:
        client-certificate-data: YSBjZXJ0aWZpY2F0ZQ==
        client-key-data: YSBrZXk=
    contexts:
    - name: hakube-prod
      context:
        cluster: hakube-prod
        user: hakube-prod
    current-context: hakube-prod
    ");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        render(&access("https://203.0.113.7")).expose(),
        "the printed kubeconfig is the same as the installed one"
    );
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(
        left.len(),
        1,
        "lock or temporary file left behind: {left:?}"
    );
}

#[test]
fn other_entries_keep_their_content_and_order() {
    let (_directory, path) = directory_with(THEIRS);
    let before = parse(&path);
    install(&only(&path), &access("https://203.0.113.7"), Switch).unwrap();
    let with_ours = parse(&path);
    assert_eq!(with_ours.pointer("/current-context").unwrap(), NAME);
    assert_eq!(with_ours.pointer("/clusters/1/name").unwrap(), NAME);
    uninstall(&only(&path), NAME).unwrap();

    let mut expected = before;
    // The earlier value isn't restored, since it isn't recorded.
    expected["current-context"] = "".into();
    // As text, since equal `Value`s may differ in order.
    assert_eq!(parse(&path).to_string(), expected.to_string());
}

#[test]
fn the_current_context_is_kept_unless_requested() {
    let (_directory, path) = directory_with(THEIRS);
    install(&only(&path), &access("https://203.0.113.7"), Keep).unwrap();
    assert_eq!(parse(&path)["current-context"], "work");
    uninstall(&only(&path), NAME).unwrap();
    assert_eq!(parse(&path)["current-context"], "work");
}

#[test]
fn an_entry_is_replaced_in_place_and_keeps_its_namespace() {
    let (_directory, path) = directory_with("");
    install(&only(&path), &access("https://203.0.113.7"), Switch).unwrap();
    install(&only(&path), &named("other"), Keep).unwrap();
    let chosen = fs::read_to_string(&path).unwrap().replacen(
        &format!("user: {NAME}"),
        &format!("user: {NAME}\n    namespace: team"),
        1,
    );
    fs::write(&path, chosen).unwrap();

    install(&only(&path), &access("https://198.51.100.9"), Switch).unwrap();
    let now = parse(&path);
    assert_eq!(
        now.pointer("/clusters/0/cluster/server").unwrap(),
        "https://198.51.100.9"
    );
    assert_eq!(
        now.pointer("/contexts/0/context/namespace").unwrap(),
        "team"
    );
    assert_eq!(now["clusters"].as_array().unwrap().len(), 2);
}

#[test]
fn an_unchanged_file_is_not_written() {
    let (_directory, path) = directory_with(THEIRS);
    install(&only(&path), &access("https://203.0.113.7"), Switch).unwrap();
    let first = fs::metadata(&path).unwrap().ino();
    install(&only(&path), &access("https://203.0.113.7"), Switch).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), first);
}

#[test]
fn a_file_that_others_can_read_becomes_private() {
    let (_directory, path) = directory_with(THEIRS);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    install(&only(&path), &access("https://203.0.113.7"), Switch).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn other_files_are_refused_and_left_unchanged() {
    let cases = [
        (
            "kind: Config\nusers: [{name: x, token: s3cret\n",
            "not YAML",
        ),
        ("users:\n  - a\n b: {\n", "not YAML"),
        ("- a\n- list\n", "top level is a list"),
        ("just text\n", "top level is a string"),
        (
            "kind: Deployment\napiVersion: v1\n",
            "`kind` is \"Deployment\"",
        ),
        ("apiVersion: v2\nkind: Config\n", "`apiVersion` is \"v2\""),
        ("kind: Config\nusers: {a: b}\n", "`users` is a mapping"),
        (
            "kind: Config\nclusters: [{name: 5}]\n",
            "an entry of `clusters` isn't a mapping with a name",
        ),
        (
            "name: my-app\nport: 80\n",
            "neither `kind: Config` nor clusters",
        ),
    ];
    for (content, reason) in cases {
        let (directory, path) = directory_with(content);
        let error = install(&only(&path), &access("https://203.0.113.7"), Switch).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(reason), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
        if let KubeconfigError::NotYaml { line, .. } = error {
            assert!(line > 0, "no line in: {message}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

#[test]
fn invalid_text_is_refused() {
    let (_directory, path) = directory_with("");
    fs::write(&path, [0xff, 0xfe, 0x80]).unwrap();
    let error = uninstall(&only(&path), NAME).unwrap_err();
    assert!(
        matches!(error, KubeconfigError::NotKubeconfig { .. }),
        "{error}"
    );
}

#[test]
fn a_symbolic_link_is_kept() {
    for exists in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("dotfiles/kubeconfig");
        let link = directory.path().join("config");
        if exists {
            fs::create_dir(target.parent().unwrap()).unwrap();
            fs::write(&target, THEIRS).unwrap();
        }
        symlink("dotfiles/kubeconfig", &link).unwrap();

        install(&only(&link), &access("https://203.0.113.7"), Switch).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(parse(&target)["current-context"], NAME);
        assert_eq!(mode(&target), 0o600);
    }
}

#[test]
fn kubectls_lock_is_respected() {
    let (directory, path) = directory_with(THEIRS);
    let lock = directory.path().join("config.lock");
    fs::write(&lock, "").unwrap();
    let error = install(&only(&path), &access("https://203.0.113.7"), Switch).unwrap_err();
    assert!(
        error.to_string().contains(lock.to_str().unwrap()),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), THEIRS);
    assert!(lock.exists(), "kubectl's lock must not be deleted");
}

#[test]
fn concurrent_writers_lose_no_entry() {
    let (_directory, path) = directory_with(THEIRS);
    let names: Vec<_> = (0..6).map(|n| format!("hakube-{n}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| install(&only(&path), &named(name), Keep).unwrap());
        }
    });
    let users = parse(&path)["users"].as_array().unwrap().len();
    assert_eq!(users, names.len() + 1);
}

#[test]
fn several_files_follow_kubectls_rule() {
    let directory = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| directory.path().join(name));
    let paths = Paths::new(&[a.clone(), b.clone(), c.clone()]);
    let go = |current| install(&paths, &access("https://203.0.113.7"), current).unwrap();

    // None exists: the last one is created.
    assert_eq!(go(Switch), c);
    // It has the entries now, so they stay there, although new ones would go to another file. The
    // current context is set where it takes precedence.
    fs::write(&b, THEIRS).unwrap();
    assert_eq!(go(Switch), c);
    assert_eq!(parse(&b)["current-context"], NAME);
    // New entries go to the first file that exists.
    assert_eq!(install(&paths, &named("new"), Keep).unwrap(), b);
    assert!(!a.exists());
    // All of them are cleared.
    assert_eq!(uninstall(&paths, NAME).unwrap(), [b.clone(), c.clone()]);
    assert_eq!(
        (&parse(&b)["current-context"], &parse(&c)["current-context"]),
        (&"".into(), &"".into())
    );
}

#[test]
fn kubectl_reads_the_written_file() {
    let (_directory, path) = directory_with(THEIRS);
    // Names that a YAML 1.1 parser interprets as other types unless they are quoted.
    install(&only(&path), &named("on"), Keep).unwrap();
    install(&only(&path), &named("1:30"), Switch).unwrap();
    let kubectl = |args: &[&str]| {
        Command::new("kubectl")
            .env("KUBECONFIG", &path)
            .args(args)
            .output()
    };
    let Ok(names) = kubectl(&["config", "get-contexts", "-o", "name"]) else {
        eprintln!("skipped: kubectl isn't installed");
        return;
    };
    assert!(names.status.success(), "{names:?}");
    assert_eq!(String::from_utf8(names.stdout).unwrap(), "1:30\non\nwork\n");
    let current = kubectl(&["config", "current-context"]).unwrap();
    assert_eq!(current.stdout, b"1:30\n");
    let token = kubectl(&[
        "config",
        "view",
        "--raw",
        "-o",
        "jsonpath={.users[?(@.name=='work')].user.token}",
    ]);
    assert_eq!(token.unwrap().stdout, b"0123");
}

/// A killed process leaves the file, but not the kernel's lock on it.
#[test]
fn the_lock_of_a_killed_hakube_is_taken_over_but_not_kubectls() {
    let (_directory, path) = directory_with("");
    let lock = path.with_extension("lock");
    fs::write(&lock, "hakube\n").unwrap();
    install(&only(&path), &access("https://203.0.113.7"), Switch).unwrap();
    assert!(!lock.exists());

    fs::write(&lock, "").unwrap();
    let error = install(&only(&path), &access("https://203.0.113.8"), Switch).unwrap_err();
    assert!(matches!(error, KubeconfigError::Locked { .. }), "{error}");
    assert!(lock.exists());
}

/// KUBECONFIG=/dev/null means that no kubeconfig is wanted.
#[test]
fn a_device_is_never_missing_entries() {
    let null = only(Path::new("/dev/null"));
    assert!(reaches(&null, NAME, "https://127.0.0.1:6443", "any"));
    // Don't write to it, which could replace the device. A plan has no such step.
    check(&null, NAME).unwrap();
}

#[test]
fn a_current_context_must_exist() {
    let (_directory, path) = directory_with(THEIRS);
    assert!(has_current(&only(&path)));
    fs::write(
        &path,
        THEIRS.replace("current-context: work", "current-context: gone"),
    )
    .unwrap();
    assert!(!has_current(&only(&path)));
    fs::write(&path, "").unwrap();
    assert!(!has_current(&only(&path)));
}
