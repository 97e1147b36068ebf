//! Clients that never stop: one writes and reads through the endpoint, one calls the Service from a pod.

use super::lab::{ENDPOINT, Lab, run};
use super::workload::IMAGE;
use std::path::PathBuf;
use std::process::{Child, Stdio};

const PAUSE: &str = "0.1";

/// Writes a key each time, and prints it once it is acknowledged; each line has the time in milliseconds.
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

/// Says of each call to the Service whether it was answered.
const CALLER: &str = "while [ ! -e /tmp/end ]; do \
    if curl --silent --fail --output /dev/null --max-time 5 http://$WEB/hostname; then echo ok; else echo failed; fi; \
    sleep 0.1; done";

/// The clients, at work.
pub struct Traffic<'a> {
    lab: &'a Lab,
    writer: Child,
    caller: Child,
    acknowledged: PathBuf,
    called: PathBuf,
    stop: PathBuf,
}

/// What they saw.
pub struct Seen {
    acknowledged: Vec<String>,
    lost: Vec<String>,
    calls: usize,
    failed: usize,
    longest_gap_ms: u64,
}

impl<'a> Traffic<'a> {
    pub fn start(lab: &'a Lab) -> Self {
        lab.kubectl(&["create", "configmap", "written"]);
        lab.kubectl(&[
            "run",
            "caller",
            &format!("--image={IMAGE}"),
            "--restart=Never",
            // Nothing recreates it, so its node may not go.
            "--overrides={\"spec\":{\"nodeName\":\"n1\"}}",
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
        let stem = lab.file("admin");
        for (field, ending) in [
            ("clusters[0].cluster.certificate-authority-data", "ca"),
            ("users[0].user.client-certificate-data", "crt"),
            ("users[0].user.client-key-data", "key"),
        ] {
            let path = format!("--output=jsonpath={{.{field}}}");
            let text = lab.kubectl(&["config", "view", "--raw", "--minify", &path]);
            let decoded = run(std::process::Command::new("sh").args([
                "-c",
                "printf %s \"$0\" | base64 --decode",
                &text,
            ]));
            std::fs::write(stem.with_extension(ending), decoded.unwrap()).unwrap();
        }
        let (acknowledged, called, stop) = (
            lab.file("acknowledged"),
            lab.file("called"),
            lab.file("stop"),
        );
        let endpoint = format!("{ENDPOINT}:6443");
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
        // By the host's own runtime, since `kubectl exec` ends with the API server that it goes through.
        let node = lab.kubectl(&["get", "pod", "caller", "--output=jsonpath={.spec.nodeName}"]);
        let id = lab.kubectl(&[
            "get",
            "pod",
            "caller",
            "--output=jsonpath={.status.containerStatuses[0].containerID}",
        ]);
        let id = id.trim_start_matches("containerd://");
        // By its address: a name is asked of a DNS server that may have lost power, for as long as that isn't noticed.
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

    /// Ends them, and looks at what is there of what they wrote.
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
    /// No acknowledged write is missing, and no call of the Service failed.
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
