//! The systemd units of replicas and nodes.

use super::cloud_config::File;
use super::data_disk::{DataDisk, ETCD_DATA};
use super::etcd_gate;
use super::flags;
use super::node;
use super::programs::{self, IsNode};
use super::runtime_files::{JOIN_ENV, REPLICA_ENV, START};
use crate::cluster::ClusterSpec;

/// etcd and the control plane, each behind a path unit that waits for its go-ahead.
pub(super) fn replica(spec: &ClusterSpec) -> Vec<File> {
    let is_node = is_node(spec);
    let downloads = programs::unit(&spec.programs.replica(is_node));
    let requires: Vec<&str> = downloads.into_iter().collect();
    let disk = DataDisk::of(spec);
    let etcd = Service {
        // A member that was removed exits with status 0 and must stay down.
        restart: "on-failure",
        environment: vec![REPLICA_ENV.to_owned(), JOIN_ENV.to_owned()],
        variables: flags::etcd_environment(spec),
        requires: requires.clone(),
        mounted: disk.as_ref().map(|_| ETCD_DATA),
        // etcd wants its directory to be its own; a new file system's isn't.
        before: disk
            .iter()
            .map(|_| format!("/bin/chmod 700 {ETCD_DATA}"))
            .chain([etcd_gate::command()])
            .collect(),
        ..Service::new("etcd", flags::etcd(spec))
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
        etcd_gate::file(),
        unit("etcd.path", &path_unit("etcd", JOIN_ENV, "etcd.service")),
        unit("etcd.service", &etcd.render()),
        unit(
            "control-plane.path",
            &path_unit("the control plane", START, "control-plane.target"),
        ),
        unit(
            "control-plane.target",
            &format!(
                "[Unit]\nDescription=Kubernetes control plane\n\
                 Wants=kube-apiserver.service kube-controller-manager.service kube-scheduler.service{}\n",
                match is_node {
                    IsNode::Yes => " kubelet.service kube-proxy.service",
                    IsNode::No => "",
                }
            ),
        ),
    ];
    units.extend(components.map(|(name, flags)| {
        let component = Service {
            environment: vec![REPLICA_ENV.to_owned()],
            requires: requires.clone(),
            ..Service::new(name, flags)
        };
        unit(&format!("{name}.service"), &component.render())
    }));
    let disk = disk.iter().flat_map(DataDisk::units);
    units.extend(disk.map(|(name, content)| unit(name, &content)));
    if is_node == IsNode::Yes {
        units.extend(node::files(spec, &node::Registration::Replica));
    }
    units
}

/// Whether a replica registers as a node: REGISTER_MASTER, where machines run pods at all.
pub(super) fn is_node(spec: &ClusterSpec) -> IsNode {
    if spec.replicas_are_nodes() {
        IsNode::Yes
    } else {
        IsNode::No
    }
}

pub(super) fn unit(name: &str, content: &str) -> File {
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
pub(super) struct Service<'a> {
    pub program: &'a str,
    pub flags: Vec<String>,
    pub restart: &'a str,
    /// The files that its variables are in.
    pub environment: Vec<String>,
    /// `NAME=value`, without anything that systemd would split or expand.
    pub variables: Vec<String>,
    /// The units that have to be up first.
    pub requires: Vec<&'a str>,
    /// Commands that have to succeed first.
    pub before: Vec<String>,
    /// The directory of its data, where a disk is mounted there first.
    pub mounted: Option<&'a str>,
}

impl<'a> Service<'a> {
    pub(super) fn new(program: &'a str, flags: Vec<String>) -> Self {
        Self {
            program,
            flags,
            restart: "always",
            environment: Vec::new(),
            variables: Vec::new(),
            requires: Vec::new(),
            before: Vec::new(),
            mounted: None,
        }
    }

    pub(super) fn render(&self) -> String {
        let Self {
            program, restart, ..
        } = self;
        let required = self.requires.iter();
        let mut needs: String = required
            .map(|unit| format!("Requires={unit}\nAfter={unit}\n"))
            .collect();
        if let Some(directory) = self.mounted {
            needs.push_str(&format!("RequiresMountsFor={directory}\n"));
        }
        // Variables first: what a file says of the same one wins.
        let variables = self.variables.iter();
        let variables = variables.map(|variable| format!("Environment={variable}\n"));
        let files = self.environment.iter();
        let files = files.map(|file| format!("EnvironmentFile={file}\n"));
        let environment: String = variables.chain(files).collect();
        let before = self.before.iter();
        let before: String = before
            .map(|command| format!("ExecStartPre={command}\n"))
            .collect();
        let flags: String = self
            .flags
            .iter()
            .map(|flag| format!(" \\\n  {flag}"))
            .collect();
        // A command that waits for something has no deadline.
        let patience = if self.before.is_empty() {
            ""
        } else {
            "TimeoutStartSec=infinity\n"
        };
        format!(
            "[Unit]\nDescription={program}\n{needs}StartLimitIntervalSec=0\n\n\
             [Service]\n{environment}{before}ExecStart=/usr/local/bin/{program}{flags}\n\
             Restart={restart}\nRestartSec=500ms\n{patience}TimeoutStopSec=20s\nLimitNOFILE=65536\n\n\
             [Install]\nWantedBy=multi-user.target\n"
        )
    }
}
