//! containerd 2's configuration and unit.

use super::{File, PREPARE, unit};
use crate::programs::CNI_DIRECTORY;
use hakube_addons::Image;
use hakube_model::ClusterSpec;

/// The configuration's template, with host-dependent parts left open.
pub(super) const TEMPLATE: &str = "/etc/hakube/containerd.toml";
/// The configuration that containerd reads.
pub(super) const CONFIG: &str = "/etc/containerd/config.toml";
/// The CRI socket.
pub(super) const SOCKET: &str = "unix:///run/containerd/containerd.sock";

pub(super) fn files(spec: &ClusterSpec, downloads: Option<&str>) -> [File; 2] {
    let pause = Image::Pause.reference(spec.addons.image_repository.as_deref());
    [
        File::text(TEMPLATE, 0o644, configuration(&pause)),
        unit("containerd.service", &service(downloads)),
    ]
}

/// Format 3: <https://github.com/containerd/containerd/blob/main/docs/cri/config.md>. Operators and
/// addons extend it in conf.d, and set registry mirrors in certs.d.
fn configuration(pause: &str) -> String {
    format!(
        "# Written by hakube for containerd 2. Add your own settings in /etc/containerd/conf.d/*.toml\n\
         version = 3\n\
         imports = ['/etc/containerd/conf.d/*.toml']\n\n\
         [plugins.'io.containerd.cri.v1.images'.pinned_images]\n\
         sandbox = '{pause}'\n\n\
         [plugins.'io.containerd.cri.v1.images'.registry]\n\
         config_path = '/etc/containerd/certs.d'\n\n\
         [plugins.'io.containerd.cri.v1.runtime'.cni]\n\
         bin_dirs = ['{CNI_DIRECTORY}']\n\
         conf_dir = '/etc/cni/net.d'\n\n\
         [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n\
         runtime_type = 'io.containerd.runc.v2'\n\n\
         [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n\
         SystemdCgroup = @SYSTEMD_CGROUP@\n"
    )
}

/// Based on <https://github.com/containerd/containerd/blob/main/containerd.service>: containers
/// outlive it (`KillMode=process`), and it manages its own cgroups (`Delegate=yes`).
fn service(downloads: Option<&str>) -> String {
    let needs: String = downloads
        .into_iter()
        .chain([PREPARE])
        .map(|unit| format!("Requires={unit}\nAfter={unit}\n"))
        .collect();
    format!(
        "[Unit]\nDescription=containerd\n{needs}StartLimitIntervalSec=0\n\n\
         [Service]\nType=notify\n\
         Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
         ExecStart=/usr/local/bin/containerd\n\
         Restart=always\nRestartSec=1s\nKillMode=process\nDelegate=yes\n\
         LimitNPROC=infinity\nLimitCORE=infinity\nLimitNOFILE=1048576\nTasksMax=infinity\nOOMScoreAdjust=-999\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}
