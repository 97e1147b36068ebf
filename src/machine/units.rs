//! The systemd units of replicas and nodes.

use super::cloud_config::File;
use super::flags;
use super::runtime_files::{JOIN_ENV, REPLICA_ENV, START};
use crate::cluster::ClusterSpec;

/// etcd and the control plane, each behind a path unit that waits for its go-ahead.
pub(super) fn replica(spec: &ClusterSpec) -> Vec<File> {
    let components = [
        ("kube-apiserver", flags::kube_apiserver(spec)),
        (
            "kube-controller-manager",
            flags::kube_controller_manager(spec),
        ),
        ("kube-scheduler", flags::kube_scheduler()),
    ];
    let mut units = vec![
        unit("etcd.path", &path_unit("etcd", JOIN_ENV, "etcd.service")),
        // A member that was removed exits with status 0 and must stay down.
        unit(
            "etcd.service",
            &service(
                "etcd",
                &flags::etcd(spec),
                "on-failure",
                &[REPLICA_ENV, JOIN_ENV],
            ),
        ),
        unit(
            "control-plane.path",
            &path_unit("the control plane", START, "control-plane.target"),
        ),
        unit(
            "control-plane.target",
            "[Unit]\nDescription=Kubernetes control plane\n\
             Wants=kube-apiserver.service kube-controller-manager.service kube-scheduler.service\n",
        ),
    ];
    units.extend(components.map(|(name, flags)| {
        unit(
            &format!("{name}.service"),
            &service(name, &flags, "always", &[REPLICA_ENV]),
        )
    }));
    units
}

/// The kubelet.
pub(super) fn node(spec: &ClusterSpec, zone: &str) -> Vec<File> {
    vec![
        File::text(
            "/etc/kubernetes/kubelet.yaml",
            0o600,
            flags::kubelet_configuration(spec),
        ),
        unit(
            "kubelet.service",
            &service("kubelet", &flags::kubelet(spec, zone), "always", &[]),
        ),
    ]
}

fn unit(name: &str, content: &str) -> File {
    File::text(format!("/etc/systemd/system/{name}"), 0o644, content)
}

fn path_unit(what: &str, path: &str, starts: &str) -> String {
    format!(
        "[Unit]\nDescription=Wait for the go-ahead for {what}\n\n\
         [Path]\nPathExists={path}\nUnit={starts}\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}

fn service(program: &str, flags: &[String], restart: &str, environment: &[&str]) -> String {
    let environment: String = environment
        .iter()
        .map(|file| format!("EnvironmentFile={file}\n"))
        .collect();
    let flags: String = flags.iter().map(|flag| format!(" \\\n  {flag}")).collect();
    format!(
        "[Unit]\nDescription={program}\nStartLimitIntervalSec=0\n\n\
         [Service]\n{environment}ExecStart=/usr/local/bin/{program}{flags}\n\
         Restart={restart}\nRestartSec=500ms\nTimeoutStopSec=20s\nLimitNOFILE=65536\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}
