//! Typical kubeconfigs. Also used by the tests of the built program.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

/// As kubectl writes it.
pub const PLAIN: &str = "apiVersion: v1
kind: Config
clusters:
- cluster:
    server: https://192.0.2.1:6443
  name: dev
contexts:
- context:
    cluster: dev
    user: alice
  name: dev
current-context: dev
users:
- name: alice
  user:
    token: abc
";

/// Kubeconfigs that kubectl reads, by their special feature.
pub fn dialects() -> BTreeMap<&'static str, Vec<u8>> {
    let with_token = |token: &str| PLAIN.replace("token: abc", token);
    let text: [(&str, String); 32] = [
        ("plain", PLAIN.into()),
        ("windows' line ends", PLAIN.replace('\n', "\r\n")),
        ("a byte order mark", format!("\u{feff}{PLAIN}")),
        ("a key twice at the top", format!("{PLAIN}users: []\n")),
        ("a key twice within", with_token("token: abc\n    token: def")),
        ("two documents", format!("{PLAIN}---\n{PLAIN}")),
        ("something else after it", format!("{PLAIN}...\ngarbage: [\n")),
        ("no end of the last line", PLAIN.trim_end().into()),
        ("a password of digits", with_token("password: \"0123\"")),
        ("a password like a float", with_token("password: '1e5'")),
        ("a tagged password", with_token("password: !!str 0123")),
        ("a tab before a value", with_token("token:\tabc\t# by hand")),
        (
            "booleans of YAML 1.1",
            PLAIN.replace("    server:", "    insecure-skip-tls-verify: yes\n    server:"),
        ),
        (
            "numbers of YAML 1.1 in an extension",
            format!("{PLAIN}extensions:\n- name: x\n  extension: {{a: 0123, b: off, c: 1_000, d: 0b11, e: 1:30}}\n"),
        ),
        (
            "an anchor in a user",
            format!("{}- name: bob\n  user:\n    token: *t\n", with_token("token: &t abc")),
        ),
        (
            "a merged user",
            format!("{PLAIN}- name: bob\n  user:\n    <<: {{token: x}}\n    username: bob\n"),
        ),
        (
            "a list that is an alias",
            format!(
                "x: &c\n- name: dev\n  cluster: {{server: \"https://192.0.2.1:6443\"}}\n{}",
                PLAIN.replace("clusters:\n- cluster:\n    server: https://192.0.2.1:6443\n  name: dev\n", "clusters: *c\n")
            ),
        ),
        (
            "comments everywhere",
            format!("# mine\n{}# the end\n", PLAIN.replace(":\n- ", ": # list\n# first\n- ")),
        ),
        (
            "indented lists",
            PLAIN.replace("\n  ", "\n    ").replace("\n- ", "\n  - "),
        ),
        ("unknown fields", format!("colour: {{deep: [1, two]}}\n{}", with_token("token: abc\n    x: y"))),
        ("keys without values", "apiVersion: v1\nkind: Config\nclusters:\ncontexts: null # none\nusers: ~\n".into()),
        ("empty lists", "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers: [ ]\n".into()),
        ("no kind", PLAIN.replace("kind: Config\n", "")),
        ("only preferences", "preferences: {}\n".into()),
        ("an entry without a name", format!("{PLAIN}- user:\n    token: x\n")),
        ("a directive", format!("%YAML 1.1\n---\n{PLAIN}")),
        ("nothing", String::new()),
        ("a comment", "# nothing yet".into()),
        ("a separator", "---\n".into()),
        ("an empty object", "{}".into()),
        (
            "flow style over lines",
            "kind: Config\napiVersion: v1\nusers: [\n  {name: alice, user: {token: 'abc'}}, # a\n]\ncontexts: [{name: dev, context: {cluster: dev, user: alice}}]\ncurrent-context: 'dev'\n".into(),
        ),
        (
            "a literal block",
            with_token("client-key-data: |\n      YWJj\n\n# after it\nextensions: []\n"),
        ),
    ];
    let mut all: BTreeMap<&'static str, Vec<u8>> = text
        .into_iter()
        .map(|(name, text)| (name, text.into_bytes()))
        .collect();
    let json = serde_json::json!({"kind": "Config", "apiVersion": "v1", "current-context": "dev",
        "clusters": [{"name": "dev", "cluster": {"server": "https://192.0.2.1:6443"}}], "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "alice"}}],
        "users": [{"name": "alice", "user": {"password": "0123"}}]});
    all.insert("JSON", serde_json::to_vec(&json).unwrap());
    all.insert("JSON over lines", serde_json::to_vec_pretty(&json).unwrap());
    let utf16 = format!("\u{feff}{PLAIN}");
    let utf16 = utf16.encode_utf16();
    all.insert("UTF-16", utf16.clone().flat_map(u16::to_le_bytes).collect());
    all.insert(
        "UTF-16, big end first",
        utf16.flat_map(u16::to_be_bytes).collect(),
    );
    all
}
