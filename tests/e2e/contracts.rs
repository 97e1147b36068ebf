//! The interface for scripts: fields, events, exit codes, and dry runs.

use crate::support::{Emulator, Home, Outcome, assert_agreement, assert_gone};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[track_caller]
fn assert_fields(value: &Value, fields: &[&str]) {
    let there: Vec<&String> = value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"))
        .keys()
        .collect();
    assert_eq!(there, fields);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_have_their_fields_in_json_and_yaml() {
    let home = Home::new();
    let off = home.run("local status -o json").await.succeeded().json();
    let fields = [
        "running",
        "pid",
        "id",
        "url",
        "project",
        "token_file",
        "machines",
    ];
    assert_fields(&off, &fields);
    assert_eq!(off["running"], false);
    home.run("up --nodes 1").await.succeeded();
    let on = home.run("local status -o json").await.succeeded().json();
    assert_fields(&on, &fields);
    assert_eq!((&on["running"], &on["machines"]), (&json!(true), &json!(2)));

    let status = home.status().await;
    let fields = [
        "cluster",
        "id",
        "provider",
        "version",
        "versions",
        "endpoint",
        "quorum",
        "etcd_quorum_reads",
        "replicas",
        "nodes",
        "certificates",
        "unfinished",
        "running",
        "drift",
    ];
    assert_fields(&status, &fields);
    assert_fields(&status["endpoint"], &["address", "port", "mode", "ready"]);
    assert_fields(
        &status["quorum"],
        &["voters", "healthy", "needed", "survives"],
    );
    let fields = [
        "name",
        "zone",
        "address",
        "role",
        "etcd_healthy",
        "api_ready",
        "machine",
        "stand_in",
    ];
    assert_fields(&status["replicas"][0], &fields);
    assert_fields(&status["nodes"][0], &["name", "zone", "ready", "hollow"]);
    let expected = json!({"cluster": "kubernetes", "provider": "local", "version": "v1.36.3"});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&status[field], value);
    }
    assert_eq!(
        status["replicas"][0]["stand_in"], true,
        "the stand-in is identified"
    );
    let yaml = home.run("status -o yaml").await.succeeded().stdout;
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), status);
    let table = home.run("status").await.succeeded().stdout;
    for word in ["kubernetes-master", "leader", "stand-in"] {
        assert!(table.contains(word), "{word}: {table}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutating_commands_write_one_event_per_line_and_a_summary() {
    let home = Home::new();
    let up = home.run("up -o json").await.succeeded();
    assert_eq!(up.stderr, "", "with events, nothing goes to stderr");
    let events = up.events();
    let of = |name: &str| {
        events
            .iter()
            .filter(|event| event["event"] == name)
            .collect::<Vec<_>>()
    };
    let [plan] = of("plan")[..] else {
        panic!("one plan: {up}")
    };
    let planned: Vec<&Value> = plan["steps"].as_array().unwrap().iter().collect();
    for step in &planned {
        assert!(
            ["step", "says", "needs"]
                .iter()
                .all(|field| !step[field].is_null()),
            "{step}"
        );
    }
    for event in of("step_started") {
        assert_fields(event, &["event", "step", "says"]);
    }
    for event in of("step_finished") {
        assert_fields(event, &["event", "step", "says", "seconds"]);
    }
    assert_eq!(
        of("step_finished").len(),
        planned.len(),
        "each planned step is done"
    );
    let summary = up.summary();
    assert_fields(
        &summary,
        &[
            "event",
            "operation",
            "ok",
            "seconds",
            "steps",
            "api_calls",
            "endpoint_gap_ms",
        ],
    );
    assert_eq!(
        (&summary["operation"], &summary["ok"]),
        (&json!("up"), &json!(true))
    );
    assert_eq!(summary["steps"], planned.len());
    assert!(summary["api_calls"].as_u64().unwrap() > 0, "{summary}");

    let refused = home.run("down --replica -o json").await.exited(3);
    let events = refused.events();
    let error = events
        .iter()
        .find(|event| event["event"] == "error")
        .unwrap_or_else(|| panic!("{refused}"));
    assert_fields(error, &["event", "message", "causes", "hints", "exit_code"]);
    assert_eq!(error["exit_code"], 3);
    assert_eq!(refused.summary()["ok"], false);

    let again = home.run("up").await.succeeded().says(&["exists already"]);
    assert_eq!(again.stdout, "", "progress goes to stderr");
    assert_eq!(
        home.run("up -o json").await.succeeded().summary()["steps"],
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_changes_nothing_and_shows_the_plan_that_would_run() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let empty = Emulator::of(&home).await.inventory().await;
    let planned = planned_steps(&home.run("plan -o json").await.succeeded());
    assert_gone(&home, &empty).await;
    assert_eq!(
        planned_steps(&home.run("up -o json").await.succeeded()),
        planned
    );

    let before = (
        Emulator::of(&home).await.inventory().await,
        files(&home.path().join("state")),
        home.status().await,
    );
    let kubeconfig = std::fs::read(home.kubeconfig()).unwrap();
    let planned = planned_steps(&home.run("plan down -o json").await.succeeded());
    for command in [
        "up --dry-run",
        "replicate --dry-run",
        "replicate --count 2 --dry-run -o json",
        "plan replicate",
        "reconcile --dry-run",
        "down --dry-run",
        "plan down --yes",
    ] {
        home.run(command).await.succeeded();
        let after = (
            Emulator::of(&home).await.inventory().await,
            files(&home.path().join("state")),
            home.status().await,
        );
        assert_eq!(after, before, "after `{command}`");
        assert_eq!(
            std::fs::read(home.kubeconfig()).unwrap(),
            kubeconfig,
            "after `{command}`"
        );
    }
    let text = home.run("plan replicate").await.succeeded().stdout;
    assert!(text.contains("1 of 1"), "{text}");
    assert_eq!(
        planned_steps(&home.run("down --yes -o json").await.succeeded()),
        planned
    );
}

fn planned_steps(outcome: &Outcome) -> Vec<Value> {
    let plan = outcome
        .events()
        .into_iter()
        .find(|event| event["event"] == "plan");
    let plan = plan.unwrap_or_else(|| panic!("no plan in {outcome}"));
    plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["step"].clone())
        .collect()
}

/// Every file below, with its content.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

/// Most other tests cover 0, 2, 3 and 4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_codes_distinguish_failures_from_provider_errors() {
    let home = Home::new();
    let broken = [
        ("HAKUBE_ETCD_BINARY", "/bin/false"),
        ("HAKUBE_TIMEOUT", "2s"),
    ];
    home.run_with(&broken, "up")
        .await
        .exited(1)
        .says(&["etcd", "kubernetes-master"]);
    home.run("local stop").await.succeeded();
    home.run("status")
        .await
        .exited(5)
        .says(&["hakube local start"]);
    home.run("down --yes").await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leftovers_are_named() {
    let home = Home::new();
    home.run("local start").await.succeeded();
    let before = Emulator::of(&home).await.inventory().await;
    let own_network = [("KUBE_GCE_NETWORK", "ours")];
    home.run_with(&own_network, "up").await.succeeded();
    // Another user's firewall rule still uses the network.
    let emulator = Emulator::of(&home).await;
    let allowed = json!([{"IPProtocol": "tcp", "ports": ["22"]}]);
    let firewall =
        json!({"name": "other-users", "network": "global/networks/ours", "allowed": allowed});
    emulator.make("global/firewalls", firewall).await;
    // A resource in use may be released later, so the deletion is retried until the step's timeout.
    let impatient = [("HAKUBE_TIMEOUT", "3s")];
    home.run_with(&impatient, "down --yes")
        .await
        .exited(6)
        .says(&["ours", "other-users", "hakube down"]);
    assert!(emulator.inventory().await["networks"].contains("ours"));
    emulator.delete("global/firewalls/other-users").await;
    home.run("down --yes").await.succeeded();
    assert_gone(&home, &before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_kubeconfig_works_and_a_named_file_is_merged() {
    let home = Home::new();
    let file = home.beside("mine");
    let others = "apiVersion: v1\nkind: Config\nclusters: []\ncontexts: []\nusers:\n- name: someone\n  user:\n    token: theirs\n";
    std::fs::write(&file, others).unwrap();
    home.run(&format!("up --kubeconfig {}", file.display()))
        .await
        .succeeded();
    assert!(
        !home.kubeconfig().exists(),
        "only the named file is written"
    );
    let merged: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let users = merged["users"].as_array().unwrap();
    assert!(
        users.contains(&json!({"name": "someone", "user": {"token": "theirs"}})),
        "{users:?}"
    );
    assert_eq!(merged["current-context"], "hakube-kubernetes");

    let printed = home.run("kubeconfig").await.succeeded().stdout;
    let printed = kube::config::Kubeconfig::from_yaml(&printed).unwrap();
    let api = crate::support::Api::with(printed).await;
    api.write("printed").await.unwrap();
    assert_agreement(&home, 1).await;
    home.run(&format!("down --yes --kubeconfig {}", file.display()))
        .await
        .succeeded();
    let left: Value = serde_saphyr::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(left["users"].as_array().unwrap().len(), 1, "{left:#}");
}
