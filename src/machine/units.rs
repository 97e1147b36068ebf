//! The systemd units of replicas and nodes.

use super::cloud_config::File;
use super::data_disk::{DataDisk, ETCD_DATA};
use super::flags;
use super::metadata_guard;
use super::programs;
use super::runtime_files::{JOIN_ENV, REPLICA_ENV, START};
use crate::cluster::ClusterSpec;

/// etcd and the control plane, each behind a path unit that waits for its go-ahead.
pub(super) fn replica(spec: &ClusterSpec) -> Vec<File> {
    let downloads = programs::unit(&spec.programs.replica());
    let disk = DataDisk::of(spec);
    let etcd = Service {
        // A member that was removed exits with status 0 and must stay down.
        restart: "on-failure",
        environment: &[REPLICA_ENV, JOIN_ENV],
        variables: flags::etcd_environment(spec),
        mounted_data: disk.is_some(),
        ..Service::new("etcd", flags::etcd(spec), downloads)
    };
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
        unit("etcd.service", &etcd.render()),
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
        let component = Service {
            environment: &[REPLICA_ENV],
            ..Service::new(name, flags, downloads)
        };
        unit(&format!("{name}.service"), &component.render())
    }));
    let disk = disk.iter().flat_map(DataDisk::units);
    units.extend(disk.map(|(name, content)| unit(name, &content)));
    units
}

/// The kubelet.
pub(super) fn node(spec: &ClusterSpec, zone: &str) -> Vec<File> {
    let downloads = programs::unit(&spec.programs.node());
    let guard = metadata_guard::is_needed(spec);
    let kubelet = Service {
        // A node on which pods could read its metadata runs none.
        guard: guard.then_some(metadata_guard::UNIT),
        ..Service::new("kubelet", flags::kubelet(spec, zone), downloads)
    };
    let mut files = vec![
        File::text(
            "/etc/kubernetes/kubelet.yaml",
            0o600,
            flags::kubelet_configuration(spec),
        ),
        unit("kubelet.service", &kubelet.render()),
    ];
    if guard {
        files.extend(metadata_guard::files());
    }
    files
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

/// A unit that runs one of the programs.
struct Service<'a> {
    program: &'a str,
    flags: Vec<String>,
    restart: &'a str,
    environment: &'a [&'a str],
    /// `NAME=value`, without anything that systemd would split or expand.
    variables: Vec<String>,
    /// The unit that downloads programs of this machine first.
    downloads: Option<&'a str>,
    /// The unit that has to have closed a door first.
    guard: Option<&'a str>,
    /// Whether its data is on a disk that is mounted first.
    mounted_data: bool,
}

impl<'a> Service<'a> {
    fn new(program: &'a str, flags: Vec<String>, downloads: Option<&'a str>) -> Self {
        Self {
            program,
            flags,
            restart: "always",
            environment: &[],
            variables: Vec::new(),
            downloads,
            guard: None,
            mounted_data: false,
        }
    }

    fn render(&self) -> String {
        let Self {
            program, restart, ..
        } = self;
        let mut needs = String::new();
        let mut first = String::new();
        for unit in [self.downloads, self.guard].into_iter().flatten() {
            needs.push_str(&format!("Requires={unit}\nAfter={unit}\n"));
        }
        if self.mounted_data {
            needs.push_str(&format!("RequiresMountsFor={ETCD_DATA}\n"));
            // etcd wants its directory to be its own; a new file system's isn't.
            first.push_str(&format!("ExecStartPre=/bin/chmod 700 {ETCD_DATA}\n"));
        }
        let files = self.environment.iter();
        let files = files.map(|file| format!("EnvironmentFile={file}\n"));
        let variables = self.variables.iter();
        let variables = variables.map(|variable| format!("Environment={variable}\n"));
        let environment: String = files.chain(variables).collect();
        let flags: String = self
            .flags
            .iter()
            .map(|flag| format!(" \\\n  {flag}"))
            .collect();
        format!(
            "[Unit]\nDescription={program}\n{needs}StartLimitIntervalSec=0\n\n\
             [Service]\n{environment}{first}ExecStart=/usr/local/bin/{program}{flags}\n\
             Restart={restart}\nRestartSec=500ms\nTimeoutStopSec=20s\nLimitNOFILE=65536\n\n\
             [Install]\nWantedBy=multi-user.target\n"
        )
    }
}
