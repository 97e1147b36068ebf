//! Continuous clients: one writes and reads through the endpoint, one calls the Service from a pod.

use super::lab::Lab;
use super::workload::IMAGE;
use std::path::PathBuf;
use std::process::{Child, Stdio};

const PAUSE: &str = "0.1";

/// Writes keys, and prints each acknowledged one; each line has the time in milliseconds.
const WRITER: &str = r#"
n=0
while [ ! -e "$3" ]; do
    n=$((n + 1))
    if curl --silent --fail --output /dev/null --max-time 2 --cacert "$1.ca" --cert "$1.crt" --key "$1.key" \
        --request PATCH --header 'Content-Type: application/merge-patch+json' --data "{\"data\":{\"k$n\":\"1\"}}" \
        "https://$2/api/v1/namespaces/default/configmaps/written"
    then echo "$(date +%s%3N) k$n"; fi
    sleep "$4"
done
"#;

/// Prints whether each call to the Service succeeded.
const CALLER: &str = "while [ ! -e /tmp/end ]; do \
    if curl --silent --fail --output /dev/null --max-time 5 http://$WEB/hostname; then echo ok; else echo failed; fi; \
    sleep 0.1; done";

pub struct Traffic<'a> {
    lab: &'a Lab,
    writer: Child,
    caller: Child,
    acknowledged: PathBuf,
    called: PathBuf,
    stop: PathBuf,
}

pub struct Seen {
    acknowledged: Vec<String>,
    lost: Vec<String>,
    calls: usize,
    failed: usize,
    longest_gap_ms: u64,
}

impl<'a> Traffic<'a> {
    pub fn start(lab: &'a Lab) -> Self {
        Self::start_on(lab, "n1")
    }

    /// The same with the pod on this node.
    pub fn start_on(lab: &'a Lab, node: &str) -> Self {
        lab.kubectl(&["create", "configmap", "written"]);
        lab.kubectl(&[
            "run",
            "caller",
            &format!("--image={IMAGE}"),
            "--restart=Never",
            // No controller recreates it, so its node must not be removed.
            &format!("--overrides={{\"spec\":{{\"nodeName\":\"{node}\"}}}}"),
            "--command",
            "--",
            "sleep",
            "3600",
        ]);
        lab.kubectl(&[
            "wait",
            "--for=condition=Ready",
            "pod/caller",
            "--timeout=60s",
        ]);
        let stem = lab.keys_of_admin();
        let (acknowledged, called, stop) = (
            lab.file("acknowledged"),
            lab.file("called"),
            lab.file("stop"),
        );
        let endpoint = lab.endpoint();
        let writer = lab
            .command_in("sh")
            .args([
                "-c",
                WRITER,
                "writer",
                stem.to_str().unwrap(),
                &endpoint,
                stop.to_str().unwrap(),
                PAUSE,
            ])
            .stdout(std::fs::File::create(&acknowledged).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Through the host's own runtime: `kubectl exec` ends with the API server that it uses.
        let node = lab.kubectl(&["get", "pod", "caller", "--output=jsonpath={.spec.nodeName}"]);
        let id = lab.kubectl(&[
            "get",
            "pod",
            "caller",
            "--output=jsonpath={.status.containerStatuses[0].containerID}",
        ]);
        let id = id.trim_start_matches("containerd://");
        // By its address: a name query may go to a DNS server that lost power, until that is noticed.
        let web = [
            "get",
            "service",
            "web",
            "--output=jsonpath={.spec.clusterIP}",
        ];
        let call = format!("WEB={}; {CALLER}", lab.kubectl(&web));
        let caller = lab
            .host(&node)
            .command("ctr")
            .unwrap()
            .args([
                "--namespace",
                "k8s.io",
                "tasks",
                "exec",
                "--exec-id",
                "caller",
                id,
                "sh",
                "-c",
                &call,
            ])
            .stdout(std::fs::File::create(&called).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            lab,
            writer,
            caller,
            acknowledged,
            called,
            stop,
        }
    }

    /// Stops them, and reads back their writes.
    pub fn end(mut self) -> Seen {
        std::fs::write(&self.stop, "").unwrap();
        self.writer.wait().unwrap();
        self.lab
            .kubectl(&["exec", "caller", "--", "touch", "/tmp/end"]);
        self.caller.wait().unwrap();
        let acknowledged = std::fs::read_to_string(&self.acknowledged).unwrap();
        let lines: Vec<(u64, String)> = acknowledged
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(time, key)| (time.parse().unwrap(), key.to_owned()))
            .collect();
        let text = self
            .lab
            .kubectl(&["get", "configmap", "written", "--output=json"]);
        let written: serde_json::Value = serde_json::from_str(&text).unwrap();
        let lost = lines.iter().map(|(_, key)| key.clone());
        let lost = lost.filter(|key| written["data"][key].is_null()).collect();
        let called = std::fs::read_to_string(&self.called).unwrap();
        // Others may start after these.
        self.lab
            .kubectl(&["delete", "--now", "pod/caller", "configmap/written"]);
        std::fs::remove_file(&self.stop).unwrap();
        Seen {
            lost,
            longest_gap_ms: lines
                .windows(2)
                .map(|pair| pair[1].0 - pair[0].0)
                .max()
                .unwrap_or(0),
            acknowledged: lines.into_iter().map(|(_, key)| key).collect(),
            calls: called.lines().count(),
            failed: called.lines().filter(|line| *line == "failed").count(),
        }
    }
}

impl Seen {
    /// Asserts that no acknowledged write is missing, and that no call of the Service failed.
    #[track_caller]
    pub fn assert_nothing_was_lost(&self) {
        eprintln!(
            "   {} writes acknowledged, {} lost, longest time between two {} ms; {} Service calls, {} failed",
            self.acknowledged.len(),
            self.lost.len(),
            self.longest_gap_ms,
            self.calls,
            self.failed
        );
        assert!(self.acknowledged.len() > 50 && self.calls > 50);
        assert!(
            self.lost.is_empty(),
            "acknowledged and lost: {:?}",
            self.lost
        );
        assert_eq!(self.failed, 0, "of {} calls", self.calls);
    }
}
