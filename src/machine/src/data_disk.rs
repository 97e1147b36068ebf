//! The data disk of a replica's etcd, separate from the system disk.

use super::DATA_DEVICE;
use hakube_model::ClusterSpec;
use hakube_model::ProviderKind;

/// etcd's data directory.
pub const ETCD_DATA: &str = "/var/lib/etcd";

/// A separate disk for etcd's data.
pub(super) struct DataDisk {
    /// udev's link to the disk, derived from the provider's device name.
    path: String,
}

impl DataDisk {
    /// The provider's data disk; the local cloud uses a directory.
    pub(super) fn of(spec: &ClusterSpec) -> Option<Self> {
        let bus = match spec.provider {
            _ if spec.is_on_this_host() => return None,
            // The operator decides whether a host's directory is on a separate disk.
            ProviderKind::Local | ProviderKind::Hosts => return None,
            // https://cloud.google.com/compute/docs/disks/disk-symlinks
            ProviderKind::Gce => "google",
            // udev's 60-persistent-storage.rules, for the serial number of a virtio disk
            ProviderKind::Libvirt => "virtio",
        };
        Some(Self {
            path: format!("/dev/disk/by-id/{bus}-{DATA_DEVICE}"),
        })
    }

    /// The units that format the disk once and mount it. `systemd-makefs` doesn't touch a disk with
    /// any content.
    pub(super) fn units(&self) -> [(&'static str, String); 2] {
        let Self { path } = self;
        let device = format!("{}.device", escaped(path));
        [
            (
                "etcd-disk.service",
                format!(
                    "[Unit]\nDescription=A file system for etcd's data\n\
                     Requires={device}\nAfter={device}\n\n\
                     [Service]\nType=oneshot\nRemainAfterExit=yes\n\
                     ExecStart=/usr/lib/systemd/systemd-makefs ext4 {path}\n"
                ),
            ),
            (
                "var-lib-etcd.mount",
                format!(
                    "[Unit]\nDescription=etcd's data\n\
                     Requires=etcd-disk.service\nAfter=etcd-disk.service\n\n\
                     [Mount]\nWhat={path}\nWhere={ETCD_DATA}\nType=ext4\n"
                ),
            ),
        ]
    }
}

/// Escapes a path for a unit's name, like `systemd-escape --path`.
fn escaped(path: &str) -> String {
    path.trim_start_matches('/')
        .replace('-', r"\x2d")
        .replace('/', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_paths_are_escaped_like_systemd() {
        assert_eq!(
            escaped("/dev/disk/by-id/google-master-pd"),
            r"dev-disk-by\x2did-google\x2dmaster\x2dpd"
        );
    }
}
