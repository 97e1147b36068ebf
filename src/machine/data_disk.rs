//! The disk that a replica's etcd keeps its data on, apart from the operating system's.

use super::DATA_DEVICE;
use crate::cluster::ClusterSpec;
use crate::settings::ProviderKind;

/// Where etcd keeps its data.
pub(super) const ETCD_DATA: &str = "/var/lib/etcd";

/// A disk of its own for etcd's data.
pub(super) struct DataDisk {
    /// The link by which udev names it: by what the provider calls the disk.
    path: String,
}

impl DataDisk {
    /// The disk that machines of this cluster's provider have; those on this host have a directory.
    pub(super) fn of(spec: &ClusterSpec) -> Option<Self> {
        let bus = match spec.provider {
            _ if spec.is_on_this_host() => return None,
            // A host's directory is on a disk of its own, or isn't: as the operator has it.
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

    /// What formats the disk once, and mounts it. `systemd-makefs` leaves a disk alone that has anything
    /// on it.
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

/// A path as part of a unit's name, as `systemd-escape --path` has it.
fn escaped(path: &str) -> String {
    path.trim_start_matches('/')
        .replace('-', r"\x2d")
        .replace('/', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_the_name_that_systemd_gives_it() {
        assert_eq!(
            escaped("/dev/disk/by-id/google-master-pd"),
            r"dev-disk-by\x2did-google\x2dmaster\x2dpd"
        );
    }
}
