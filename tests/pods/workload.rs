//! Common uses of a cluster.

use super::lab::{Lab, PATIENCE, run};
use hakube_yard::until;
use std::process::Stdio;

pub const IMAGE: &str = "registry.k8s.io/e2e-test-images/agnhost:2.63.0";

pub fn apply(lab: &Lab, name: &str, manifest: &str) {
    let file = lab.file(&format!("{name}.yaml"));
    std::fs::write(&file, manifest.replace("IMAGE", IMAGE)).unwrap();
    lab.kubectl(&["apply", "--filename", file.to_str().unwrap()]);
}

/// The pods of the Deployment, by name and node.
fn pods(lab: &Lab) -> Vec<(String, String)> {
    let text = lab.kubectl(&[
        "get",
        "pods",
        "--selector=app=web",
        "--output=jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName}{\"\\n\"}{end}",
    ]);
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs
        .map(|(pod, node)| (pod.to_owned(), node.to_owned()))
        .collect()
}

pub fn a_pod(lab: &Lab) -> (String, String) {
    pods(lab).remove(0)
}

pub fn a_deployment_runs(lab: &Lab) {
    apply(
        lab,
        "web",
        r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, nodeTaintsPolicy: Honor, labelSelector: {matchLabels: {app: web}}, matchLabelKeys: [pod-template-hash]}
      # Sooner than the default of 300 s, for nodes without power; longer than a kubelet's restart on a busy machine.
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
      containers:
      - name: web
        image: IMAGE
        args: [netexec, --http-port=8080]
        # An endpoint that is gone is called until every kube-proxy knows.
        lifecycle: {preStop: {sleep: {seconds: 5}}}
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
",
    );
    lab.rolled_out("deployment/web");
}

/// A PodDisruptionBudget: this many of the Deployment's four pods are needed.
pub fn so_many_pods_are_needed(lab: &Lab, count: usize) {
    let manifest = r"
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web-budget}
spec: {minAvailable: COUNT, selector: {matchLabels: {app: web}}}
";
    apply(
        lab,
        "budget",
        &manifest.replace("COUNT", &count.to_string()),
    );
    // Waits for the controller's status.
    lab.await_kubectl(
        "the budget has a status",
        &[
            "get",
            "poddisruptionbudget/web-budget",
            "--output=jsonpath={.status.desiredHealthy} {.status.currentHealthy}",
        ],
        |text| text == format!("{count} 4"),
    );
}

/// Its pods are recreated on ready nodes.
pub fn its_pods_restart(lab: &Lab) {
    lab.kubectl(&["rollout", "restart", "deployment/web"]);
    lab.rolled_out("deployment/web");
    lab.await_kubectl(
        "the old pods are gone",
        &["get", "pods", "--selector=app=web", "--no-headers"],
        |text| text.lines().count() == 4,
    );
}

/// All four pods run on this node, even if old ones remain elsewhere.
pub fn its_pods_move_to(lab: &Lab, node: &str) {
    let selector = format!("--field-selector=spec.nodeName={node},status.phase=Running");
    lab.await_kubectl(
        "the pods have moved",
        &[
            "get",
            "pods",
            "--selector=app=web",
            "--no-headers",
            &selector,
        ],
        |text| text.lines().count() == 4,
    );
    lab.rolled_out("deployment/web");
}

/// A node that was unreachable runs exactly the pods that the API assigns to it.
pub fn a_node_has_no_other_pods_than_it_should(lab: &Lab, node: &str) {
    let selector = format!("--field-selector=spec.nodeName={node}");
    until("the node has only its own pods", PATIENCE, || {
        let uids = "--output=jsonpath={range .items[*]}{.metadata.uid}{\"\\n\"}{end}";
        let wanted = lab.try_kubectl(&["get", "pods", "--all-namespaces", &selector, uids]);
        let there = lab.host(node).run(&["ls", "/var/lib/kubelet/pods"]);
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        match (wanted, there) {
            (Ok(wanted), Ok(there)) => sorted(&wanted) == sorted(&there.stdout),
            _ => false,
        }
    })
    .unwrap();
}

pub fn its_pods_are_spread_over(lab: &Lab, nodes: &[&str]) {
    let pods = pods(lab);
    for node in nodes {
        assert_eq!(
            pods.iter().filter(|(_, on)| on == node).count(),
            4 / nodes.len(),
            "{pods:?}"
        );
    }
}

pub fn a_service_answers_by_its_name_and_from_every_host(lab: &Lab, hosts: &[&str]) {
    lab.rolled_out("deployment/web");
    let address = lab.kubectl(&[
        "get",
        "service",
        "web",
        "--output=jsonpath={.spec.clusterIP}",
    ]);
    let url = format!("http://{address}/hostname");
    for name in hosts {
        let host = lab.host(name);
        until("the Service responds on a host", PATIENCE, || {
            let answer = host.run(&["curl", "--silent", "--fail", "--max-time", "3", &url]);
            answer.is_ok_and(|ran| ran.stdout.starts_with("web-"))
        })
        .unwrap();
    }
    let (pod, _) = pods(lab).remove(0);
    let ask = [
        "exec",
        &pod,
        "--",
        "curl",
        "--silent",
        "--fail",
        "--max-time",
        "5",
        "http://web.default.svc.cluster.local/hostname",
    ];
    lab.await_kubectl("the Service responds by its name", &ask, |text| {
        text.starts_with("web-")
    });
}

pub fn logs_exec_and_port_forward_work(lab: &Lab) {
    let (pod, _) = pods(lab).remove(0);
    assert!(
        lab.kubectl(&["logs", &pod]).contains("Started HTTP server"),
        "logs of {pod}"
    );
    assert_eq!(lab.kubectl(&["exec", &pod, "--", "hostname"]).trim(), pod);
    let mut forward = lab
        .command_in(lab.kubectl_program())
        .args(["port-forward", &format!("pod/{pod}"), "18080:8080"])
        .env("KUBECONFIG", lab.file("kubeconfig"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let answered = until("the forwarded port responds", PATIENCE, || {
        let answer = run(lab.command_in("curl").args([
            "--silent",
            "--fail",
            "http://127.0.0.1:18080/hostname",
        ]));
        answer.is_ok_and(|name| name == pod)
    });
    forward.kill().unwrap();
    forward.wait().unwrap();
    answered.unwrap();
}

pub fn top_shows_nodes_and_pods(lab: &Lab, nodes: &[&str]) {
    let has_all =
        |text: &str| nodes.iter().all(|node| text.contains(node)) && !text.contains("unknown");
    lab.await_kubectl(
        "top shows the nodes",
        &["top", "node", "--no-headers"],
        has_all,
    );
    lab.await_kubectl(
        "top shows the pods",
        &["top", "pod", "--no-headers"],
        |text| text.lines().filter(|line| line.starts_with("web-")).count() == 4,
    );
}

pub fn a_job_completes_and_a_stateful_set_has_names(lab: &Lab) {
    apply(
        lab,
        "more",
        r"
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: once, image: IMAGE, command: [sh, -c, 'curl --silent --fail --retry 5 --retry-all-errors http://web/hostname']}
---
apiVersion: v1
kind: Service
metadata: {name: set}
spec: {clusterIP: None, selector: {app: set}, ports: [{port: 8080}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: set}
spec:
  serviceName: set
  replicas: 2
  selector: {matchLabels: {app: set}}
  template:
    metadata: {labels: {app: set}}
    spec:
      containers:
      - {name: set, image: IMAGE, args: [netexec, --http-port=8080]}
",
    );
    lab.kubectl(&[
        "wait",
        "--for=condition=Complete",
        "job/once",
        "--timeout=120s",
    ]);
    lab.rolled_out("statefulset/set");
    let ask = [
        "exec",
        "set-0",
        "--",
        "curl",
        "--silent",
        "--fail",
        "--max-time",
        "5",
        "http://set-1.set:8080/hostname",
    ];
    lab.await_kubectl("a pod of the set responds by its name", &ask, |text| {
        text == "set-1"
    });
}

/// Through an API that pods serve, and requests that go to a kubelet.
pub fn every_api_server_reaches_pods(lab: &Lab, replicas: &[&str]) {
    let (pod, _) = pods(lab).remove(0);
    for name in replicas {
        let server = format!("--server={}", lab.api_server(name));
        let metrics = ["--raw=/apis/metrics.k8s.io/v1beta1/nodes"];
        let mut arguments = vec!["get", server.as_str()];
        arguments.extend(metrics);
        lab.await_kubectl("the metrics API responds", &arguments, |text| {
            text.contains("NodeMetricsList")
        });
        // It has just started, and replaces its connections to kubelets once it has read their CA.
        let logs = ["logs", &pod, "--tail=1", &server];
        lab.await_kubectl("logs are readable", &logs, |text| !text.is_empty());
    }
}

/// A pod that is evicted serves until the proxies on all nodes know that it leaves.
pub fn its_pods_stop_gracefully(lab: &Lab) {
    let patch = r#"[{"op": "add", "path": "/spec/template/spec/containers/0/lifecycle",
        "value": {"preStop": {"sleep": {"seconds": 8}}}}]"#;
    lab.kubectl(&[
        "patch",
        "deployment",
        "web",
        "--type=json",
        "--patch",
        patch,
    ]);
    lab.rolled_out("deployment/web");
}
