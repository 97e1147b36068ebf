//! The systemd units of replicas and nodes.

use super::cloud_config::File;
use super::data_disk::{DataDisk, ETCD_DATA};
use super::etcd_gate;
use super::flags;
use super::node;
use super::programs;
use super::runtime_files::{JOIN_ENV, REPLICA_ENV, START};
use super::service::{Service, unit};
use super::trust;
use hakube_model::{ClusterSpec, IsNode};

/// etcd and the control plane, each started by a path unit that waits for a file.
pub(super) fn replica(spec: &ClusterSpec) -> Vec<File> {
    let is_node = spec.replica_is_node();
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
        // etcd requires a private directory; a new file system's root isn't.
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
    units.extend(trust::replica(spec));
    if is_node == IsNode::Yes {
        units.extend(trust::replica_kubelet());
        units.extend(node::files(spec, &node::Registration::Replica));
    }
    units
}

fn path_unit(what: &str, path: &str, starts: &str) -> String {
    format!(
        "[Unit]\nDescription=Wait for permission to start {what}\n\n\
         [Path]\nPathExists={path}\nUnit={starts}\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}
